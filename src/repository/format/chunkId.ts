import { hash } from 'node:crypto';

/**
 * Ids of chunks (docs/format.md, "Cutting"). In memory an id is a text of latin1 characters, a byte each: it costs one string
 * a chunk, and no buffer. A hasher's text has the whole hash; only its first `ID_BYTES` count.
 */

export const ID_BYTES = 16;
/** Of the key that is hashed behind each chunk. */
export const ID_KEY_BYTES = 32;

/** Makes ids with the key of one epoch. The key is written behind the chunk while it is hashed, so that nothing is copied. */
export class ChunkHasher {
  readonly #key: Buffer;
  readonly #behind = Buffer.allocUnsafeSlow(ID_KEY_BYTES);

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** Of the last chunk in a buffer that has `ID_KEY_BYTES` of room behind it; what stood there is gone. */
  last(buffer: Buffer, from: number, to: number): string {
    this.#key.copy(buffer, to);
    return hash('sha256', buffer.subarray(from, to + ID_KEY_BYTES), 'latin1' as 'hex');
  }

  /** Of any chunk in a buffer, which is as it was when this returns. */
  within(buffer: Buffer, from: number, to: number): string {
    const end = to + ID_KEY_BYTES;
    if (end > buffer.length)
      return this.last(Buffer.concat([buffer.subarray(from, to)], end - from), 0, to - from);
    buffer.copy(this.#behind, 0, to, end);
    const id = this.last(buffer, from, to);
    this.#behind.copy(buffer, to);
    return id;
  }
}

/** The id at an index of ids that lie one behind the other. */
export function idAt(ids: Buffer, index: number): string {
  return ids.toString('latin1', index * ID_BYTES, (index + 1) * ID_BYTES);
}

/** Whether it is this id that stands there. */
export function isIdAt(ids: Uint8Array, index: number, id: string): boolean {
  const from = index * ID_BYTES;
  for (let i = 0; i < ID_BYTES; i++) if (ids[from + i] !== id.charCodeAt(i)) return false;
  return true;
}

/** Whether two texts are the same id. */
export function isSameId(one: string, other: string): boolean {
  return one.slice(0, ID_BYTES) === other.slice(0, ID_BYTES);
}
