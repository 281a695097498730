import { withRoom } from '../../base/growing.ts';
import { ID_BYTES } from '../format/chunkId.ts';

/** Chunks that are to be found in one pack; plain data, for worker threads. Ids stand 16 bytes a place. */
export interface Places {
  /** For each: segment, offset, length, owner, and 1 if it ends the owner's stream. */
  numbers: Int32Array<ArrayBuffer>;
  ids: Uint8Array<ArrayBuffer>;
}

export const PLACE_NUMBERS = 5;

/** Collects places in arrays that grow. */
export class PlacesBuilder {
  #numbers = new Int32Array(PLACE_NUMBERS * 64);
  #ids = new Uint8Array(ID_BYTES * 64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(
    segment: number,
    offset: number,
    length: number,
    owner: number,
    last: boolean,
    ids: Uint8Array,
    at: number,
  ): void {
    const n = this.#count * PLACE_NUMBERS;
    this.#numbers = withRoom(this.#numbers, n + PLACE_NUMBERS);
    this.#ids = withRoom(this.#ids, (this.#count + 1) * ID_BYTES);
    const numbers = this.#numbers;
    numbers[n] = segment;
    numbers[n + 1] = offset;
    numbers[n + 2] = length;
    numbers[n + 3] = owner;
    numbers[n + 4] = last ? 1 : 0;
    const to = this.#count * ID_BYTES;
    for (let i = 0; i < ID_BYTES; i++) this.#ids[to + i] = ids[at + i]!;
    this.#count++;
  }

  /** The places; the builder is empty after it. */
  take(): Places {
    const places = {
      numbers: this.#numbers.slice(0, this.#count * PLACE_NUMBERS),
      ids: this.#ids.slice(0, this.#count * ID_BYTES),
    };
    this.#numbers = new Int32Array(PLACE_NUMBERS * 64);
    this.#ids = new Uint8Array(ID_BYTES * 64);
    this.#count = 0;
    return places;
  }
}
