import { invariant } from '../../base/errors.ts';
import { grown } from '../../base/growing.ts';
import type { Storage } from '../../storage/storage.ts';
import type { PackRef } from '../format/packName.ts';
import type { Manifest } from '../manifest.ts';

const PACK_NAME = /^packs\/(\d{8}-\d{9}-[0-9a-f]{8})\/(\d{8})$/;
const FIRST_ROOM = 1024;

/** Packs of one session: places [start, start + count), by number. */
interface Slice {
  session: string;
  start: number;
  count: number;
}

/**
 * Packs that are there, each at a place of its own, with what is known of it. What bounds memory: 8 bytes a pack, 13 once
 * references are counted (10 million take 130 MB), and some 200 a session.
 */
export class PackCatalog {
  /** Usually one a session; more where its packs were not listed one after another, or not at once. */
  readonly #slices = new Map<string, Slice[]>();
  readonly #inOrder: Slice[] = [];
  #places = 0;
  /** Places below this don't change any more. */
  #fixed = 0;
  #numbers = new Uint32Array(FIRST_ROOM);
  /** A pack is never near 4 GiB; what is stands at the most. */
  #sizes = new Uint32Array(FIRST_ROOM);
  /** How many snapshots refer to it; shorter where none of the others has any. */
  #references = new Uint32Array(0);
  /** The most that any of them uses, of 255; 0 where none has said. As long as the references. */
  #fullness = new Uint8Array(0);

  static async list(storage: Storage): Promise<PackCatalog> {
    const catalog = new PackCatalog();
    await catalog.addListed(storage, 'packs/');
    return catalog;
  }

  /** Adds packs that a manifest names; those that are there already keep their places, and the sizes that were given first. */
  addNamed(packs: readonly PackRef[]): void {
    for (const [session, number, sizeBytes] of packs) this.#add(session, number, sizeBytes);
    this.#fixed = this.#places;
  }

  /** Adds what is stored under a prefix; packs that are there already keep their places. */
  async addListed(storage: Storage, prefix: string): Promise<void> {
    for await (const { name, sizeBytes } of storage.list(prefix)) {
      const [, session, number] = PACK_NAME.exec(name) ?? [];
      if (session) this.#add(session, Number(number), sizeBytes);
    }
    this.#fixed = this.#places;
  }

  #add(session: string, number: number, sizeBytes: number): void {
    let slice = this.#inOrder.at(-1);
    if (slice?.session !== session || slice.start < this.#fixed) slice = undefined;
    // A storage may list an object twice.
    const ascending =
      slice && this.#slices.get(session)!.length === 1 && this.#numbers[this.#places - 1]! < number;
    if (!ascending && this.find(session, number) !== -1) return;
    slice ??= this.#open(session);
    let at = this.#places;
    this.#reserve(at + 1);
    for (; at > slice.start && this.#numbers[at - 1]! > number; at--) this.#copy(at - 1, at);
    this.#numbers[at] = number;
    this.#sizes[at] = Math.min(sizeBytes, 0xffffffff);
    slice.count++;
    this.#places++;
  }

  #open(session: string): Slice {
    const slice = { session, start: this.#places, count: 0 };
    this.#inOrder.push(slice);
    const known = this.#slices.get(session);
    if (known) known.push(slice);
    else this.#slices.set(session, [slice]);
    return slice;
  }

  /** Of what was listed only numbers and sizes are known yet. */
  #copy(from: number, to: number): void {
    this.#numbers[to] = this.#numbers[from]!;
    this.#sizes[to] = this.#sizes[from]!;
  }

  #reserve(places: number): void {
    const room = this.#numbers.length;
    if (places <= room) return;
    const next = Math.max(places, room + (room >> 3) + FIRST_ROOM);
    this.#numbers = grown(this.#numbers, next);
    this.#sizes = grown(this.#sizes, next);
  }

  /** Room for what is told of every place there is. */
  #reserveReferences(): void {
    if (this.#references.length >= this.#places) return;
    this.#references = grown(this.#references, this.#numbers.length);
    this.#fullness = grown(this.#fullness, this.#numbers.length);
  }

  /** Packs there are; their places are the numbers below this. */
  get size(): number {
    return this.#places;
  }

  /** Sessions that it has packs of. */
  sessions(): Iterable<string> {
    return this.#slices.keys();
  }

  /** Places of one session's packs. */
  *placesOf(session: string): Iterable<number> {
    for (const { start, count } of this.#slices.get(session) ?? [])
      for (let place = start; place < start + count; place++) yield place;
  }

  /** Of all packs. */
  get bytes(): number {
    let sum = 0;
    for (let place = 0; place < this.#places; place++) sum += this.#sizes[place]!;
    return sum;
  }

  /** The place of a pack; -1 where it is not there. */
  find(session: string, number: number): number {
    for (const { start, count } of this.#slices.get(session) ?? []) {
      let low = start;
      let high = start + count;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.#numbers[middle]! < number) low = middle + 1;
        else high = middle;
      }
      if (low < start + count && this.#numbers[low] === number) return low;
    }
    return -1;
  }

  sessionAt(place: number): string {
    let low = 0;
    let high = this.#inOrder.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#inOrder[middle]!.start <= place) low = middle;
      else high = middle;
    }
    invariant(place >= 0 && place < this.#places, `no pack at place ${place}`);
    return this.#inOrder[low]!.session;
  }

  ref(place: number): PackRef {
    return [this.sessionAt(place), this.#numbers[place]!, this.#sizes[place]!];
  }

  number(place: number): number {
    return this.#numbers[place]!;
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
    this.#reserveReferences();
    for (const [i, [session, number]] of manifest.packs.entries()) {
      const place = this.find(session, number);
      if (place === -1) continue;
      this.#references[place]! += by;
      const [usedBytes, plainBytes] = manifest.usage?.packs[i] ?? [0, 0];
      const used = plainBytes > 0 ? Math.min(255, Math.ceil((usedBytes / plainBytes) * 255)) : 255;
      if (by === 1 && used > this.#fullness[place]!) this.#fullness[place] = used;
    }
  }

  /** How many snapshots refer to it. */
  references(place: number): number {
    return this.#references[place] ?? 0;
  }

  /** The share of it that is in use, from 0 to 1, as far as manifests tell: one that doesn't say counts as using all. */
  inUse(place: number): number {
    return (this.#fullness[place] ?? 0) / 255;
  }
}

/** Some packs of a catalog. */
export class PackSet implements Iterable<PackRef> {
  readonly catalog: PackCatalog;
  readonly places: Uint32Array;

  constructor(catalog: PackCatalog, places: Uint32Array) {
    this.catalog = catalog;
    this.places = places;
  }

  static where(catalog: PackCatalog, chosen: (place: number) => boolean): PackSet {
    let count = 0;
    for (let place = 0; place < catalog.size; place++) if (chosen(place)) count++;
    const places = new Uint32Array(count);
    count = 0;
    for (let place = 0; place < catalog.size; place++) if (chosen(place)) places[count++] = place;
    return new PackSet(catalog, places);
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
