/** An array of numbers that is used in place of a list of objects, where there are very many. */
type Numbers =
  | Buffer<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

/** The array, if it has room for so many numbers; else one that has, at least twice as long: see `grown`. */
export function withRoom<T extends Numbers>(array: T, length: number): T {
  return length <= array.length ? array : grown(array, Math.max(length, array.length * 2));
}

/**
 * A longer array that starts with the same numbers, zeros behind them. The old one, which must have its memory for itself,
 * is empty from then on: it need not wait for a collection.
 */
export function grown<T extends Numbers>(array: T, length: number): T {
  const memory = array.buffer.transfer(length * array.BYTES_PER_ELEMENT);
  if (Buffer.isBuffer(array)) return Buffer.from(memory) as T;
  return new (array.constructor as new (memory: ArrayBuffer) => T)(memory);
}
