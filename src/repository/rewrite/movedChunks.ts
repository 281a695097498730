import { withRoom } from '../../base/growing.ts';
import { ID_BYTES, idAt } from '../format/chunkId.ts';
import type { ChunkList } from '../format/chunkList.ts';
import { packName } from '../format/packName.ts';
import type { IdentifiedPlace } from '../read/packContents.ts';
import type { PackContent } from '../storagePolicy.ts';

/**
 * Chunks of packs that are being emptied: where they lie, and where they go. What bounds memory: 52 bytes a chunk, and no
 * more chunks than `limit`; the last packs are left for another time rather.
 */
export class MovedChunks {
  readonly packs: readonly (readonly [session: string, number: number])[];
  readonly #limit: number;
  readonly #packIndex = new Map<string, number>();
  /** Packs from here on are left. */
  #kept: number;
  readonly #left = new Set<number>();
  #count = 0;
  #slots = new Int32Array(1024).fill(-1);
  #numbers = new Int32Array(NUMBERS * 512);
  #ids = Buffer.alloc(ID_BYTES * 512);

  constructor(packs: readonly (readonly [session: string, number: number])[], limit: number) {
    this.packs = packs;
    this.#limit = limit;
    this.#kept = packs.length;
    for (const [i, [session, number]] of packs.entries()) this.#packIndex.set(packName(session, number), i);
  }

  get count(): number {
    return this.#count;
  }

  /** Index of a pack that is being emptied; -1 for any other. */
  packIndex(session: string, number: number): number {
    const index = this.#packIndex.get(packName(session, number));
    return index !== undefined && this.isMoved(index) ? index : -1;
  }

  isMoved(pack: number): boolean {
    return pack < this.#kept && !this.#left.has(pack);
  }

  /** For want of room: another time. */
  isPostponed(pack: number): boolean {
    return pack >= this.#kept && !this.#left.has(pack);
  }

  /** A pack is not emptied after all. */
  leave(pack: number): void {
    this.#left.add(pack);
  }

  /** Takes in those chunks of a list that are in the packs. */
  add(list: ChunkList, content: PackContent): void {
    const indexes = list.packs.map(({ session, number }) => this.packIndex(session, number));
    if (indexes.every(index => index === -1)) return;
    for (let i = 0; i < list.count; i++) {
      const pack = indexes[list.pack[i]!]!;
      if (pack !== -1 && this.isMoved(pack)) this.#add(pack, list, i, content);
    }
  }

  #add(pack: number, list: ChunkList, i: number, content: PackContent): void {
    const slot = this.#slot(pack, list.segment[i]!, list.offset[i]!, list.length[i]!);
    if (this.#slots[slot] !== -1) return;
    if (this.#count === this.#limit) {
      this.#leaveLast();
      if (!this.isMoved(pack) || this.#count === this.#limit) return;
      this.#add(pack, list, i, content);
      return;
    }
    this.#reserve();
    const at = this.#count * NUMBERS;
    this.#numbers.set(
      [pack, list.segment[i]!, list.offset[i]!, list.length[i]!, 0, 0, 0, content === 'rows' ? ROWS : 0],
      at,
    );
    this.#ids.set(list.ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), this.#count * ID_BYTES);
    this.#slots[this.#slot(pack, list.segment[i]!, list.offset[i]!, list.length[i]!)] = this.#count++;
  }

  /** Forgets the chunks of the last pack that has any, to make room; but never of the only one. */
  #leaveLast(): void {
    let last = -1;
    let first = this.packs.length;
    for (let i = 0; i < this.#count; i++) {
      last = Math.max(last, this.#numbers[i * NUMBERS]!);
      first = Math.min(first, this.#numbers[i * NUMBERS]!);
    }
    // Of one pack alone there are more than may be held: it can't be emptied.
    this.#kept = last;
    if (last === first) this.leave(last);
    let to = 0;
    for (let i = 0; i < this.#count; i++) {
      if (this.#numbers[i * NUMBERS]! === last) continue;
      this.#numbers.copyWithin(to * NUMBERS, i * NUMBERS, (i + 1) * NUMBERS);
      this.#ids.copyWithin(to * ID_BYTES, i * ID_BYTES, (i + 1) * ID_BYTES);
      to++;
    }
    this.#count = to;
    this.#index(this.#slots.length);
  }

  #slot(pack: number, segment: number, offset: number, length: number): number {
    const mask = this.#slots.length - 1;
    let hash = Math.imul(pack, 0x9e3779b1) ^ Math.imul(segment, 0x85ebca6b) ^ Math.imul(offset, 0xc2b2ae35);
    hash = (hash ^ (hash >>> 15)) & mask;
    for (; ; hash = (hash + 1) & mask) {
      const found = this.#slots[hash]!;
      if (found === -1) return hash;
      const at = found * NUMBERS;
      const n = this.#numbers;
      if (n[at] === pack && n[at + 1] === segment && n[at + 2] === offset && n[at + 3] === length)
        return hash;
    }
  }

  #reserve(): void {
    this.#numbers = withRoom(this.#numbers, (this.#count + 1) * NUMBERS);
    this.#ids = withRoom(this.#ids, (this.#count + 1) * ID_BYTES);
    if ((this.#count + 1) * 2 > this.#slots.length) this.#index(this.#slots.length * 2);
  }

  #index(size: number): void {
    this.#slots = new Int32Array(size).fill(-1);
    const n = this.#numbers;
    for (let i = 0; i < this.#count; i++) {
      const at = i * NUMBERS;
      this.#slots[this.#slot(n[at]!, n[at + 1]!, n[at + 2]!, n[at + 3]!)] = i;
    }
  }

  /** Bytes of the chunks that each pack has, before compression. */
  liveBytes(): Float64Array {
    const bytes = new Float64Array(this.packs.length);
    for (let at = 0; at < this.#count * NUMBERS; at += NUMBERS)
      bytes[this.#numbers[at]!]! += this.#numbers[at + 3]!;
    return bytes;
  }

  /** Of each pack its chunks, in the order in which they lie there. */
  *inOrder(): Iterable<{ pack: number; chunks: Int32Array }> {
    const n = this.#numbers;
    const order = new Int32Array(this.#count);
    for (let i = 0; i < this.#count; i++) order[i] = i;
    order.sort((a, b) => {
      for (let k = 0; k < 3; k++) {
        const difference = n[a * NUMBERS + k]! - n[b * NUMBERS + k]!;
        if (difference !== 0) return difference;
      }
      return 0;
    });
    for (let from = 0; from < order.length; ) {
      const pack = n[order[from]! * NUMBERS]!;
      let to = from;
      while (to < order.length && n[order[to]! * NUMBERS] === pack) to++;
      if (this.isMoved(pack)) yield { pack, chunks: order.subarray(from, to) };
      from = to;
    }
  }

  at(chunk: number): IdentifiedPlace {
    const at = chunk * NUMBERS;
    const n = this.#numbers;
    return {
      segment: n[at + 1]!,
      offset: n[at + 2]!,
      length: n[at + 3]!,
      content: n[at + 7] ? 'rows' : 'any',
      id: idAt(this.#ids, chunk),
    };
  }

  /** Where it went; in another epoch it has another id. */
  moved(chunk: number, to: { pack: number; segment: number; offset: number; id: string }): void {
    const at = chunk * NUMBERS;
    this.#numbers[at + 4] = to.pack;
    this.#numbers[at + 5] = to.segment;
    this.#numbers[at + 6] = to.offset;
    this.#ids.write(to.id, chunk * ID_BYTES, ID_BYTES, 'latin1');
  }

  /** Where the i-th chunk of a list went, which lies in one of the packs (`pack`, by its index); undefined where it didn't. */
  target(pack: number, list: ChunkList, i: number): MovedChunk | undefined {
    const chunk = this.#slots[this.#slot(pack, list.segment[i]!, list.offset[i]!, list.length[i]!)]!;
    if (chunk === -1 || this.#numbers[chunk * NUMBERS + 4] === 0) return undefined;
    const at = chunk * NUMBERS;
    const [number, segment, offset, flags] = this.#numbers.subarray(at + 4, at + 8);
    this.#numbers[at + 7]! |= ASKED;
    const first = (flags! & ASKED) === 0;
    return { number: number!, segment: segment!, offset: offset!, id: idAt(this.#ids, chunk), first };
  }
}

/** Of a chunk: pack, segment, offset, length; then pack, segment, offset where it went (0: nowhere yet); flags. */
const NUMBERS = 8;
const ROWS = 1;
const ASKED = 2;

export interface MovedChunk {
  number: number;
  segment: number;
  offset: number;
  id: string;
  /** Nobody has asked for it before. */
  first: boolean;
}
