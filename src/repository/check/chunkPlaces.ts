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
    if (this.#count * ID_BYTES === this.#ids.length) this.#grow();
    const n = this.#count * PLACE_NUMBERS;
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

  #grow(): void {
    const numbers = new Int32Array(this.#numbers.length * 2);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    const ids = new Uint8Array(this.#ids.length * 2);
    ids.set(this.#ids);
    this.#ids = ids;
  }
}
