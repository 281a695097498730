import { ChunkHasher, ID_KEY_BYTES } from '../format/chunkId.ts';
import {
  type ChunkList,
  ChunkListBuilder,
  decodeChunkList,
  INLINE_CHUNKS,
  type ListRef,
  type UsedPack,
} from '../format/chunkList.ts';
import { CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, CHUNK_SOFT_BYTES, endsChunk, streamCut } from '../format/cut.ts';
import type { ChunkIndex } from './chunkIndex.ts';
import { type PackWriter, SEGMENT_BYTES } from './packWriter.ts';

/** The same stream in the previous snapshot: its chunks may be used again, its list too if nothing changed. */
export interface PreviousStream {
  index: ChunkIndex;
  /** Given where there was just one such stream: its list, encoded, and where it is. */
  same?: { encoded: Buffer; ref: ListRef };
}

export interface WrittenStream {
  bytes: number;
  rows: number;
  chunks: number;
  chunksAdded: number;
  /** Plain bytes of the chunks that were not there before. */
  bytesNew: number;
  ref: ListRef;
  /** Bytes of its list, where that was stored as a segment of its own. */
  listBytes: number;
  /** Every pack the stream refers to, and how many plain bytes there. Its list counts; a pack may come twice. */
  packs: UsedPack[];
}

const STREAM_WINDOW_BYTES = 65536;

/**
 * Cuts one stream at a time into chunks, drops those the previous snapshot has, and fills segments with the rest.
 * Synchronous: what it emits goes to the PackWriter's output at once.
 */
export class ChunkWriter {
  readonly #packs: PackWriter;
  readonly #table: Int32Array;
  readonly #hasher: ChunkHasher;
  readonly #buffer = Buffer.allocUnsafeSlow(
    SEGMENT_BYTES + CHUNK_MAX_BYTES + STREAM_WINDOW_BYTES + ID_KEY_BYTES,
  );
  #at = 0;
  #chunkStart = 0;
  #rowStart = 0;
  #list = new ChunkListBuilder();
  #previous: PreviousStream | undefined;
  #rows = 0;
  #bytes = 0;
  #chunksAdded = 0;
  #bytesNew = 0;

  constructor(packs: PackWriter) {
    this.#packs = packs;
    this.#table = packs.session.keys.cutter();
    this.#hasher = new ChunkHasher(packs.session.keys.chunkIdKey());
  }

  begin(previous?: PreviousStream): void {
    this.#previous = previous;
    this.#list = new ChunkListBuilder();
    this.#rowStart = this.#chunkStart;
    this.#rows = this.#bytes = this.#chunksAdded = this.#bytesNew = 0;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of a row, or a piece of one. */
  append(source: Uint8Array, from: number, to: number): void {
    this.#bytes += to - from;
    let start = from;
    while (to - start > CHUNK_MAX_BYTES - (this.#at - this.#chunkStart)) {
      const room = CHUNK_MAX_BYTES - (this.#at - this.#chunkStart);
      this.#copy(source, start, start + room);
      start += room;
      this.#cut();
    }
    this.#copy(source, start, to);
  }

  #copy(source: Uint8Array, from: number, to: number): void {
    const buffer = this.#buffer;
    let at = this.#at;
    if (to - from < 32) for (let i = from; i < to; i++) buffer[at++] = source[i]!;
    else {
      (source as Buffer).copy(buffer, at, from, to);
      at += to - from;
    }
    this.#at = at;
  }

  /** The row is whole: its last byte is the last one appended. */
  endRow(): void {
    this.#rows++;
    const size = this.#at - this.#chunkStart;
    if (
      size >= CHUNK_MIN_BYTES &&
      (size >= CHUNK_SOFT_BYTES || endsChunk(this.#table, this.#buffer, this.#rowStart, this.#at))
    ) {
      this.#cut();
    }
    this.#rowStart = this.#at;
  }

  /** Bytes of a stream that has no rows. */
  appendStream(source: Uint8Array): void {
    for (let from = 0; from < source.length; from += STREAM_WINDOW_BYTES) {
      const to = Math.min(source.length, from + STREAM_WINDOW_BYTES);
      this.#copy(source, from, to);
      this.#bytes += to - from;
      while (this.#at - this.#chunkStart >= STREAM_WINDOW_BYTES) this.#cutStream();
    }
  }

  #cutStream(): void {
    const end = this.#at;
    const cutAt = streamCut(this.#table, this.#buffer, this.#chunkStart, end);
    const rest = Buffer.from(this.#buffer.subarray(cutAt, end));
    this.#at = cutAt;
    this.#cut();
    rest.copy(this.#buffer, this.#at);
    this.#at += rest.length;
  }

  /** Ends the stream: its list is final, though its last segment may still be open for the next stream's chunks. */
  finish(kind: 'rows' | 'stream'): WrittenStream {
    if (kind === 'stream') while (this.#at > this.#chunkStart) this.#cutStream();
    if (this.#at > this.#chunkStart) this.#cut();
    const { packs } = this.#list;
    const { ref, listBytes } = this.#listRef(packs);
    return {
      bytes: this.#bytes,
      rows: this.#rows,
      chunks: this.#list.count,
      chunksAdded: this.#chunksAdded,
      bytesNew: this.#bytesNew,
      ref,
      listBytes,
      packs,
    };
  }

  /** The chunks of the stream that was finished last. */
  get list(): ChunkList {
    return decodeChunkList(this.#list.encode(), 'the stream');
  }

  #listRef(packs: UsedPack[]): { ref: ListRef; listBytes: number } {
    const encoded = this.#list.encode();
    const same = this.#previous?.same;
    if (same?.encoded.equals(encoded)) {
      if ('at' in same.ref) packs.push([same.ref.at[0], same.ref.at[1], encoded.length]);
      return { ref: same.ref, listBytes: 0 };
    }
    if (this.#list.count <= INLINE_CHUNKS)
      return { ref: { list: encoded.toString('base64url') }, listBytes: 0 };
    const place = this.#packs.addList(encoded);
    const { session } = this.#packs.session;
    packs.push([session, place.pack, encoded.length]);
    return { ref: { at: [session, place.pack, place.segment] }, listBytes: encoded.length };
  }

  /** Seals what is open, so that every list handed out can be read once the packs are stored. */
  flush(): void {
    if (this.#at > 0) this.#seal();
    this.#packs.close();
  }

  #cut(): void {
    const start = this.#chunkStart;
    const end = this.#at;
    const length = end - start;
    const id = this.#hasher.last(this.#buffer, start, end);
    if (!this.#reuse(id, length)) {
      const { session } = this.#packs.session;
      const { pack, segment } = this.#packs.dataSegment();
      this.#list.add(session, pack, segment, start, length, id);
      this.#chunksAdded++;
      this.#bytesNew += length;
      this.#chunkStart = end;
      if (end >= SEGMENT_BYTES) this.#seal();
    } else this.#at = start;
    this.#rowStart = this.#at;
  }

  #reuse(id: string, length: number): boolean {
    const index = this.#previous?.index;
    if (!index) return false;
    const found = index.find(id);
    if (found === -1) return false;
    const { list, at } = index.locate(found);
    if (list.length[at] !== length) return false;
    const pack = list.packs[list.pack[at]!]!;
    this.#list.add(pack.session, pack.number, list.segment[at]!, list.offset[at]!, length, id);
    return true;
  }

  #seal(): void {
    this.#packs.sealData(this.#buffer.subarray(0, this.#chunkStart));
    this.#at = this.#chunkStart = this.#rowStart = 0;
  }
}
