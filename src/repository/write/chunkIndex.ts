import { ID_BYTES, isIdAt } from '../format/chunkId.ts';
import type { ChunkList } from '../format/chunkList.ts';

/**
 * Finds a chunk of the previous snapshot by its id: an open-addressing table over the bytes of one or more lists, with
 * 4 bytes a slot and no object a chunk.
 */
export class ChunkIndex {
  readonly lists: readonly ChunkList[];
  /** First chunk of each list in the numbering over all lists. */
  readonly #starts: number[] = [];
  readonly #ids: Buffer;
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(lists: readonly ChunkList[]) {
    this.lists = lists;
    let total = 0;
    for (const list of lists) {
      this.#starts.push(total);
      total += list.count;
    }
    this.#ids = Buffer.concat(lists.map(list => list.ids));
    let size = 16;
    while (size < total * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Int32Array(size).fill(-1);
    for (let i = 0; i < total; i++) {
      let slot = this.#ids.readInt32LE(i * ID_BYTES) & this.#mask;
      let known = this.#slots[slot]!;
      while (known !== -1 && !this.#same(known, i)) {
        slot = (slot + 1) & this.#mask;
        known = this.#slots[slot]!;
      }
      // The same chunk many times (equal rows) takes one slot, or the table would be one long chain.
      if (known === -1) this.#slots[slot] = i;
    }
  }

  /** The list and place in it of the chunk with this id, or -1. */
  find(id: string): number {
    const first =
      id.charCodeAt(0) | (id.charCodeAt(1) << 8) | (id.charCodeAt(2) << 16) | (id.charCodeAt(3) << 24);
    for (let slot = first & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = this.#slots[slot]!;
      if (found === -1) return -1;
      if (isIdAt(this.#ids, found, id)) return found;
    }
  }

  /** List and index in the list of what `find` gave. */
  locate(found: number): { list: ChunkList; at: number } {
    let k = this.lists.length - 1;
    while (this.#starts[k]! > found) k--;
    return { list: this.lists[k]!, at: found - this.#starts[k]! };
  }

  #same(a: number, b: number): boolean {
    const ids = this.#ids;
    return ids.compare(ids, a * ID_BYTES, (a + 1) * ID_BYTES, b * ID_BYTES, (b + 1) * ID_BYTES) === 0;
  }
}
