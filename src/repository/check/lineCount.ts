/** Times that four counters of 8 bits can be added to before one may run over. */
const ADDITIONS_MAX = 255;
const LINE_END = 0x0a;
const FOUR_LINE_ENDS = 0x0a0a0a0a;
const LOW_BITS = 0x7f7f7f7f;

/** How many line ends there are in [from, to), four bytes at a time: several times the speed of `indexOf`. */
export function countLineEnds(bytes: Uint8Array, from: number, to: number): number {
  const aligned = Math.min(to, from + (-(bytes.byteOffset + from) & 3));
  const words = (to - aligned) >> 2;
  const inWords = words > 0 ? countWords(new Int32Array(bytes.buffer, bytes.byteOffset + aligned, words)) : 0;
  return inWords + countBytes(bytes, from, aligned) + countBytes(bytes, aligned + words * 4, to);
}

function countBytes(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) if (bytes[i] === LINE_END) count++;
  return count;
}

function countWords(words: Int32Array): number {
  let count = 0;
  for (let i = 0; i < words.length; ) {
    const end = Math.min(words.length, i + ADDITIONS_MAX);
    let counters = 0;
    for (; i < end; i++) {
      const x = words[i]! ^ FOUR_LINE_ENDS; // a byte that was a line end is 0 now
      counters = (counters + (~(((x & LOW_BITS) + LOW_BITS) | x | LOW_BITS) >>> 7)) | 0;
    }
    count +=
      (counters & 255) + ((counters >>> 8) & 255) + ((counters >>> 16) & 255) + ((counters >>> 24) & 255);
  }
  return count;
}
