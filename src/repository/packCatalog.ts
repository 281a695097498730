import { invariant } from '../base/errors.ts';
import type { Storage } from '../storage/storage.ts';
import type { Manifest } from './manifest.ts';

/** `[session, number, size in bytes]`, as in manifests. */
export type PackRef = Manifest['packs'][number];

const PACK_NAME = /^packs\/(\d{8}-\d{9}-[0-9a-f]{8})\/(\d{8})$/;
const FIRST_ROOM = 1024;

/** A session's packs: places [start, start + count), by number. */
interface Slice {
  session: string;
  start: number;
  count: number;
}

/**
 * Packs that are there, each at a place of its own, with what is known of it. What bounds memory: 13 bytes a pack (10
 * million take 130 MB) and some 200 a session.
 */
export class PackCatalog {
  readonly #slices = new Map<string, Slice>();
  /** By start; slices that had to move leave a gap. */
  #inOrder: Slice[] = [];
  #places = 0;
  #numbers = new Uint32Array(FIRST_ROOM);
  /** A pack is never near 4 GiB; what is stands at the most. */
  #sizes = new Uint32Array(FIRST_ROOM);
  /** How many snapshots refer to it. */
  #references = new Uint32Array(FIRST_ROOM);
  /** The most that any of them uses, of 255; 0 where none has said. */
  #fullness = new Uint8Array(FIRST_ROOM);

  static async list(storage: Storage): Promise<PackCatalog> {
    const catalog = new PackCatalog();
    await catalog.addListed(storage, 'packs/');
    return catalog;
  }

  /** Adds what is stored under a prefix. A storage may list an object twice. */
  async addListed(storage: Storage, prefix: string): Promise<void> {
    for await (const { name, sizeBytes } of storage.list(prefix)) {
      const [, session, number] = PACK_NAME.exec(name) ?? [];
      if (session) this.add(session, Number(number), sizeBytes);
    }
  }

  /** Cheapest in the order of sessions and numbers. Of a pack that is there already nothing changes. */
  add(session: string, number: number, sizeBytes: number): void {
    const slice = this.#slices.get(session) ?? this.#open(session);
    const end = slice.start + slice.count;
    const ascending = slice.count === 0 || this.#numbers[end - 1]! < number;
    if (!ascending && this.#seek(slice, number).found) return;
    if (end !== this.#places) this.#move(slice);
    let at = slice.start + slice.count;
    this.#reserve(at + 1);
    for (; at > slice.start && this.#numbers[at - 1]! > number; at--) this.#copy(at - 1, at);
    this.#numbers[at] = number;
    this.#sizes[at] = Math.min(sizeBytes, 0xffffffff);
    this.#references[at] = this.#fullness[at] = 0;
    slice.count++;
    this.#places = slice.start + slice.count;
  }

  #open(session: string): Slice {
    const slice = { session, start: this.#places, count: 0 };
    this.#slices.set(session, slice);
    this.#inOrder.push(slice);
    return slice;
  }

  /** To the end, where there is room. */
  #move(slice: Slice): void {
    const start = this.#places;
    this.#reserve(start + slice.count + 1);
    for (let i = 0; i < slice.count; i++) this.#copy(slice.start + i, start + i);
    this.#inOrder = this.#inOrder.filter(each => each !== slice);
    this.#inOrder.push(slice);
    slice.start = start;
    this.#places = start + slice.count;
  }

  #copy(from: number, to: number): void {
    for (const column of [this.#numbers, this.#sizes, this.#references, this.#fullness])
      column[to] = column[from]!;
  }

  #reserve(places: number): void {
    const room = this.#numbers.length;
    if (places <= room) return;
    const next = Math.max(places, room + (room >> 1));
    this.#numbers = grown(this.#numbers, new Uint32Array(next));
    this.#sizes = grown(this.#sizes, new Uint32Array(next));
    this.#references = grown(this.#references, new Uint32Array(next));
    this.#fullness = grown(this.#fullness, new Uint8Array(next));
  }

  /** All places are below this. */
  get end(): number {
    return this.#places;
  }

  get sessions(): Iterable<string> {
    return this.#slices.keys();
  }

  hasSession(session: string): boolean {
    return this.#slices.has(session);
  }

  /** Places of the packs that are there; of one session, or of all. */
  *places(session?: string): Iterable<number> {
    const slices = session === undefined ? this.#inOrder : [this.#slices.get(session) ?? { start: 0, count: 0 }];
    for (const { start, count } of slices) for (let i = start; i < start + count; i++) yield i;
  }

  /** The place of a pack; -1 where it is not there. */
  find(session: string, number: number): number {
    const slice = this.#slices.get(session);
    if (!slice) return -1;
    const { at, found } = this.#seek(slice, number);
    return found ? at : -1;
  }

  #seek({ start, count }: Slice, number: number): { at: number; found: boolean } {
    let low = start;
    let high = start + count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#numbers[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return { at: low, found: low < start + count && this.#numbers[low] === number };
  }

  sessionAt(place: number): string {
    let low = 0;
    let high = this.#inOrder.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#inOrder[middle]!.start <= place) low = middle;
      else high = middle;
    }
    const slice = this.#inOrder[low];
    invariant(slice && place >= slice.start && place < slice.start + slice.count, `no pack at place ${place}`);
    return slice.session;
  }

  ref(place: number): PackRef {
    return [this.sessionAt(place), this.#numbers[place]!, this.#sizes[place]!];
  }

  sizeBytes(place: number): number {
    return this.#sizes[place]!;
  }

  /** Whether it is there with the size that a manifest gives it. */
  holds([session, number, sizeBytes]: PackRef): boolean {
    const place = this.find(session, number);
    return place !== -1 && this.#sizes[place] === sizeBytes;
  }

  /** That a manifest refers to its packs, or (-1) no longer does. */
  refer(manifest: Pick<Manifest, 'packs' | 'usage'>, by: 1 | -1 = 1): void {
    for (const [i, [session, number]] of manifest.packs.entries()) {
      const place = this.find(session, number);
      if (place === -1) continue;
      this.#references[place]! += by;
      const [usedBytes, plainBytes] = manifest.usage?.packs[i] ?? [0, 0];
      const used = plainBytes > 0 ? Math.min(255, Math.ceil((usedBytes / plainBytes) * 255)) : 255;
      if (by === 1 && used > this.#fullness[place]!) this.#fullness[place] = used;
    }
  }

  referredTo(place: number): boolean {
    return this.#references[place]! > 0;
  }

  references(place: number): number {
    return this.#references[place]!;
  }

  /** The share of it that is in use, from 0 to 1, as far as manifests tell: one that doesn't say counts as using all. */
  inUse(place: number): number {
    return this.#fullness[place]! / 255;
  }
}

/** Some packs of a catalog. */
export class PackSet implements Iterable<PackRef> {
  readonly catalog: PackCatalog;
  readonly places: Uint32Array;

  constructor(catalog: PackCatalog, places: Iterable<number>) {
    this.catalog = catalog;
    this.places = places instanceof Uint32Array ? places : Uint32Array.from(places);
  }

  get length(): number {
    return this.places.length;
  }

  get bytes(): number {
    let sum = 0;
    for (const place of this.places) sum += this.catalog.sizeBytes(place);
    return sum;
  }

  *[Symbol.iterator](): Iterator<PackRef> {
    for (const place of this.places) yield this.catalog.ref(place);
  }
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
