import { createDecipheriv } from 'node:crypto';
import { chunkListBytes } from '../format/chunkList.ts';
import { PACK_HEADER_BYTES } from '../format/pack.ts';
import { MAX_SEGMENT_BYTES, openSegment, SEGMENT_KIND, type SegmentKind } from '../format/seal.ts';
import { type FrameExtent, frameExtent, ZSTD_MAGIC } from './zstdFrame.ts';

const TAG_BYTES = 16;
/** The byte before a segment's content, and the tag behind it. */
const AROUND_BYTES = 1 + TAG_BYTES;
/** What a compressed segment's plain text starts with: that byte, and the magic number of zstd. */
const COMPRESSED_START = Buffer.concat([Buffer.of(1), ZSTD_MAGIC]);
/**
 * What a chunk list that is not compressed starts with: a zero, its version, a number of packs that nobody knows, and the
 * first one's session, whose id is 27 characters that begin with the century.
 */
const LIST_START = { before: Buffer.from([0, 1]), at: 3, rest: Buffer.from([27, 0x32, 0x30]) };
/** Deciphered first, to see where a segment ends; nearly always more than a short one has. */
const WINDOW_BYTES = 1 << 18;

interface Extent {
  start: number;
  end: number;
  /** Before compression; absent where it is not compressed. */
  plainBytes?: number;
}

/**
 * Finds segments of a pack whose directory is gone, wherever in the bytes they lie. Where a segment starts is known from how
 * it must start: the cipher's stream for its index is known from the key, and what is compressed begins with the same five
 * bytes always. Where it ends, from what it holds. Whether it is the segment, its seal tells: nothing is given that the seal
 * does not prove.
 */
export class Salvage {
  readonly #bytes: Buffer;
  readonly #key: Buffer;
  readonly #where: string;
  /** Those that can be told by how they start, by index; not yet proved. Null where there is none. */
  readonly #extents = new Map<number, Extent | null>();
  /** Where those end that were opened. */
  readonly #ends = new Map<number, number>();

  /** @param key of the pack. */
  constructor(bytes: Buffer, key: Buffer, where: string) {
    this.#bytes = bytes;
    this.#key = key;
    this.#where = where;
  }

  /**
   * The content of a segment; undefined where it is not there whole. Ask for segments in order: one of rows that is not
   * compressed is found by where the one before it ends.
   *
   * @param leastBytes what it is known to hold at the least, from chunk lists; usually all of it.
   */
  segment(index: number, kind: SegmentKind, leastBytes: number): Buffer | undefined {
    for (const { start, end, plainBytes } of this.#guesses(index, kind, leastBytes)) {
      const content = this.#open(index, kind, { start, end }, plainBytes ?? end - start - AROUND_BYTES);
      if (content) return content;
    }
    return undefined;
  }

  #open(index: number, kind: SegmentKind, { start, end }: Extent, plainBytes: number): Buffer | undefined {
    try {
      const sealed = this.#bytes.subarray(start, end);
      const content = openSegment(this.#key, index, kind, sealed, plainBytes, this.#where);
      this.#ends.set(index, end);
      return content;
    } catch {
      return undefined;
    }
  }

  *#guesses(index: number, kind: SegmentKind, leastBytes: number): Iterable<Extent> {
    const told = this.#told(index);
    if (told) yield told;
    if (kind === SEGMENT_KIND.data) yield* this.#stored(index, leastBytes);
  }

  /** Where a segment lies that shows it by how it starts. */
  #told(index: number): Extent | null {
    let extent = this.#extents.get(index);
    if (extent === undefined) {
      extent = this.#compressed(index) ?? this.#list(index);
      this.#extents.set(index, extent);
    }
    return extent;
  }

  #compressed(index: number): Extent | null {
    for (const start of this.#startsOf(this.#decipher(index, COMPRESSED_START))) {
      const frame = this.#frameAt(index, start);
      if (frame) return { start, end: start + AROUND_BYTES + frame.bytes, plainBytes: frame.plainBytes };
    }
    return null;
  }

  /** A chunk list that is not compressed says how long it is. */
  #list(index: number): Extent | null {
    const { before, at, rest } = LIST_START;
    const signature = this.#decipher(index, Buffer.concat([Buffer.alloc(at), rest])).subarray(at);
    for (const found of this.#startsOf(signature)) {
      const start = found - at;
      if (start < 0) continue;
      const head = this.#decipher(index, this.#bytes.subarray(start, start + before.length));
      if (!head.equals(before)) continue;
      const plain = this.#decipher(index, this.#bytes.subarray(start, start + MAX_SEGMENT_BYTES));
      const bytes = chunkListBytes(plain.subarray(1));
      if (bytes !== undefined) return { start, end: start + AROUND_BYTES + bytes };
    }
    return null;
  }

  *#startsOf(signature: Buffer): Iterable<number> {
    for (let at = this.#bytes.indexOf(signature); at !== -1; at = this.#bytes.indexOf(signature, at + 1))
      yield at;
  }

  #frameAt(index: number, start: number): FrameExtent | undefined {
    for (const windowBytes of [WINDOW_BYTES, MAX_SEGMENT_BYTES]) {
      const bytes = this.#bytes.subarray(start, start + windowBytes);
      const frame = frameExtent(this.#decipher(index, bytes).subarray(1));
      if (frame !== 'cut') return frame;
    }
    return undefined;
  }

  /** Where rows may lie that are not compressed, and so show neither their start nor their end. */
  *#stored(index: number, leastBytes: number): Iterable<Extent> {
    const before =
      index === 0 ? PACK_HEADER_BYTES : (this.#ends.get(index - 1) ?? this.#told(index - 1)?.end);
    const after = this.#told(index + 1)?.start;
    const bytes = leastBytes + AROUND_BYTES;
    if (before !== undefined) yield { start: before, end: before + bytes };
    if (before !== undefined && after !== undefined && after > before) yield { start: before, end: after };
    if (after !== undefined && after >= bytes) yield { start: after - bytes, end: after };
  }

  /** AES-GCM without its seal (NIST SP 800-38D, 7.1): its counter starts at 2. What comes out is only looked at, never given. */
  #decipher(index: number, bytes: Buffer): Buffer {
    const counter = Buffer.alloc(16);
    counter.writeUInt32BE(index, 8);
    counter.writeUInt32BE(2, 12);
    return createDecipheriv('aes-256-ctr', this.#key, counter).update(bytes);
  }
}
