/** Where chunks end (docs/format.md, "Cutting"): pure functions of the bytes and the repository's secret table. */

export const CHUNK_MIN_BYTES = 4096;
/** What a row's chance to end a chunk is measured by: a row of n bytes ends one with the chance n / this. */
export const CHUNK_SPREAD_BYTES = 8192;
/** After this many bytes the next row end ends the chunk. */
export const CHUNK_SOFT_BYTES = 65536;
/** No chunk is longer, be it in the middle of a row. */
export const CHUNK_MAX_BYTES = 262144;

const MIX = 0x9e3779b1 | 0;

/** Whether a chunk may end behind the row at [from, to) of `bytes`. */
export function endsChunk(table: Int32Array, bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (length >= CHUNK_SPREAD_BYTES) return true;
  let h = length;
  if (length <= 64) h = mix(table, bytes, from, to, h);
  else {
    const middle = from + (length >>> 1) - 8;
    h = mix(table, bytes, from, from + 24, h);
    h = mix(table, bytes, middle, middle + 16, h);
    h = mix(table, bytes, to - 24, to, h);
  }
  h ^= h >>> 15;
  return h >>> 0 < length * (2 ** 32 / CHUNK_SPREAD_BYTES);
}

function mix(table: Int32Array, bytes: Uint8Array, from: number, to: number, start: number): number {
  let h = start | 0;
  for (let i = from; i < to; i++) h = Math.imul((h + table[bytes[i]!]!) | 0, MIX);
  return h;
}

const STREAM_MIN_BYTES = 4096;
const STREAM_MAX_BYTES = 65536;
const STREAM_LIMIT = 2 ** 19;
const WARM_UP_BYTES = 64;

/**
 * Where the chunk that starts at `from` of a stream without rows ends; `end` if no cut is found before it. Call it with
 * at least 65536 bytes, or with the end of the stream.
 */
export function streamCut(table: Int32Array, bytes: Uint8Array, from: number, end: number): number {
  if (end - from <= STREAM_MIN_BYTES) return end;
  const last = Math.min(end, from + STREAM_MAX_BYTES);
  let h = 0;
  let i = from + STREAM_MIN_BYTES - WARM_UP_BYTES;
  for (; i < from + STREAM_MIN_BYTES; i++) h = ((h << 1) + table[bytes[i]!]!) | 0;
  for (; i < last; i++) {
    h = ((h << 1) + table[bytes[i]!]!) | 0;
    if (h >>> 0 < STREAM_LIMIT) return i + 1;
  }
  return last;
}
