import { createHash, type Hash, hash } from 'node:crypto';
import type { CopyReceiver } from '../../postgres/wire.ts';

const LANES = 16;
const LINE_END = 0x0a;

/**
 * The number of rows and the sum of their SHA-512 hashes, in sixteen lanes of 32 bits: no order of rows changes it, one row
 * twice does not cancel out, and two sets of rows that differ have the same one with a chance of 2⁻⁵¹². Rows are COPY text,
 * each with its line end. Memory: one hash, however long a row is.
 */
export class RowDigest implements CopyReceiver {
  readonly #sums = new Uint32Array(LANES);
  /** Of a row that came in several pieces. */
  #begun: Hash | undefined;
  #only: Buffer | undefined;
  rows = 0;
  bytes = 0;

  append(buffer: Buffer, from: number, to: number): void {
    this.bytes += to - from;
    if (this.#only === undefined && this.#begun === undefined) {
      this.#only = Buffer.from(buffer.subarray(from, to));
      return;
    }
    if (this.#begun === undefined) {
      this.#begun = createHash('sha512').update(this.#only!);
      this.#only = undefined;
    }
    this.#begun.update(buffer.subarray(from, to));
  }

  endRow(): void {
    if (this.#begun) this.#add(this.#begun.digest());
    else this.#add(hash('sha512', this.#only ?? Buffer.alloc(0), 'buffer'));
    this.#begun = undefined;
    this.#only = undefined;
  }

  /** Whole rows and parts of rows, as they follow each other in a part of a snapshot. */
  appendText(piece: Buffer): void {
    let from = 0;
    for (let end = piece.indexOf(LINE_END); end >= 0; end = piece.indexOf(LINE_END, from)) {
      if (this.#begun === undefined && this.#only === undefined) {
        this.bytes += end + 1 - from;
        this.#add(hash('sha512', piece.subarray(from, end + 1), 'buffer'));
      } else {
        this.append(piece, from, end + 1);
        this.endRow();
      }
      from = end + 1;
    }
    if (from < piece.length) this.append(piece, from, piece.length);
  }

  equals(other: RowDigest): boolean {
    return this.rows === other.rows && this.#sums.every((sum, lane) => sum === other.#sums[lane]);
  }

  #add(digest: Buffer): void {
    this.rows++;
    for (let lane = 0; lane < LANES; lane++) this.#sums[lane]! += digest.readUInt32LE(lane * 4);
  }
}
