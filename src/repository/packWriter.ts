import type { EpochKeys } from './keys.ts';
import { type DirectoryEntry, PACK_HEADER_BYTES, packHeader, packTail } from './pack.ts';
import { SEGMENT_KIND, type SegmentKind, sealSegment } from './seal.ts';

/** A pack is closed once its segments have this many stored bytes. */
export const PACK_BYTES = 16 << 20;
/** A segment is sealed once its chunks have this many bytes. */
export const SEGMENT_BYTES = 4 << 20;

/** Where the pieces of packs go; a pack's pieces come in order, and `end` after the last. */
export interface PackOutput {
  piece(pack: number, bytes: Buffer<ArrayBuffer>): void;
  end(pack: number, sizeBytes: number): void;
}

export interface WriterSession {
  /** Of the session's epoch. */
  keys: EpochKeys;
  session: string;
  sessionSalt: Buffer;
  /** zstd level of segments. */
  level: number;
  /** A number no other writer of the session has: pack numbers are never used twice. */
  nextPack(): number;
  output: PackOutput;
}

/**
 * Puts segments into packs. One data segment at a time is being filled; its place is known from the start, so that
 * chunk lists can name it before it is sealed.
 */
export class PackWriter {
  readonly session: WriterSession;
  #pack = 0;
  #key: Buffer = Buffer.alloc(0);
  #entries: DirectoryEntry[] = [];
  #nextIndex = 0;
  #sizeBytes = 0;
  #dataIndex = -1;
  /** Chunk lists that wait for the data segment before them. */
  #waiting: { index: number; content: Buffer }[] = [];

  constructor(session: WriterSession) {
    this.session = session;
  }

  get pack(): number {
    return this.#pack;
  }

  /** The place of the data segment being filled; opens it, and a pack, if there is none. */
  dataSegment(): number {
    if (this.#dataIndex === -1) this.#dataIndex = this.#claim();
    return this.#dataIndex;
  }

  /** Seals the data segment being filled with this content. */
  sealData(content: Uint8Array): void {
    this.#emit(this.dataSegment(), SEGMENT_KIND.data, content);
    this.#dataIndex = -1;
    for (const { index, content } of this.#waiting) this.#emit(index, SEGMENT_KIND.list, content);
    this.#waiting = [];
    if (this.#sizeBytes >= PACK_BYTES) this.close();
  }

  /** Stores a chunk list as a segment of its own and says where. */
  addList(content: Buffer): { pack: number; segment: number } {
    const index = this.#claim();
    const place = { pack: this.#pack, segment: index };
    if (this.#dataIndex === -1) this.#emit(index, SEGMENT_KIND.list, content);
    else this.#waiting.push({ index, content });
    return place;
  }

  /** Ends the pack. The data segment must have been sealed. */
  close(): void {
    if (this.#pack === 0) return;
    const tail = packTail(this.#key, this.#entries);
    const { output } = this.session;
    output.piece(this.#pack, ownBytes(tail));
    output.end(this.#pack, this.#sizeBytes + tail.length);
    this.#pack = 0;
    this.#entries = [];
    this.#nextIndex = 0;
  }

  #claim(): number {
    if (this.#pack === 0) {
      const { session, keys, sessionSalt, output } = this.session;
      this.#pack = this.session.nextPack();
      this.#key = keys.pack(session, this.#pack, sessionSalt);
      this.#sizeBytes = PACK_HEADER_BYTES;
      output.piece(this.#pack, ownBytes(packHeader(this.#pack, sessionSalt)));
    }
    return this.#nextIndex++;
  }

  #emit(index: number, kind: SegmentKind, content: Uint8Array): void {
    const sealed = sealSegment(this.#key, index, kind, content, this.session.level);
    this.#entries.push({ storedBytes: sealed.length, plainBytes: content.length, kind });
    this.#sizeBytes += sealed.length;
    this.session.output.piece(this.#pack, sealed);
  }
}

/** The bytes in a buffer of their own, which can be handed to another thread. */
function ownBytes(bytes: Buffer): Buffer<ArrayBuffer> {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
