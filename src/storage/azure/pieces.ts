import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

/** What is handed to the connection at once: small enough that slow lines are seen to move. */
const MOUTHFUL_BYTES = 256 << 10;

/** An object's bytes, or some of them, in pieces that are never copied. */
export type Pieces = readonly Uint8Array[];

export function lengthOf(pieces: Pieces): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}

export function md5Of(pieces: Pieces): Buffer {
  const hash = createHash('md5');
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

/** Cuts into blocks of that size; the last one may be smaller. */
export function blocksOf(pieces: Pieces, sizeBytes: number): Uint8Array[][] {
  const blocks: Uint8Array[][] = [];
  let room = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; ) {
      if (room === 0) {
        blocks.push([]);
        room = sizeBytes;
      }
      const taken = piece.subarray(at, at + room);
      blocks.at(-1)!.push(taken);
      room -= taken.byteLength;
      at += taken.byteLength;
    }
  }
  return blocks;
}

/** A stream of the bytes that tells whenever some were taken. */
export function streamOf(pieces: Pieces, taken: () => void): Readable {
  return Readable.from(mouthfuls(pieces, taken), { objectMode: false, highWaterMark: MOUTHFUL_BYTES });
}

function* mouthfuls(pieces: Pieces, taken: () => void): Iterable<Buffer> {
  for (const piece of pieces) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = 0; at < bytes.length; at += MOUTHFUL_BYTES) {
      taken();
      yield bytes.subarray(at, at + MOUTHFUL_BYTES);
    }
  }
}
