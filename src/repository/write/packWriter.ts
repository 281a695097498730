import { type DirectoryEntry, PACK_HEADER_BYTES, packHeader, packTail } from '../format/pack.ts';
import { SEGMENT_KIND, type SegmentKind, sealSegment } from '../format/seal.ts';
import type { EpochKeys } from '../keys/keys.ts';
import type { PackContent } from '../storagePolicy.ts';

/** A pack is closed once its segments have this many stored bytes. */
export const PACK_BYTES = 16 << 20;
/** So is a pack of lists alone: they are few, and a backup that is cut off is gone on from those that are stored. */
const LISTS_PACK_BYTES = 512 << 10;
/** A segment is sealed once its chunks have this many bytes. */
export const SEGMENT_BYTES = 4 << 20;

/** Where the pieces of packs go; a pack's pieces come in order, and `end` after the last. `plainBytes`: before compression. */
export interface PackOutput {
  piece(pack: number, bytes: Buffer<ArrayBuffer>): void;
  end(pack: number, sizeBytes: number, content: PackContent, plainBytes: number): void;
}

export interface WriterSession {
  /** Of the session's epoch. */
  keys: EpochKeys;
  session: string;
  sessionSalt: Buffer;
  /** zstd level of segments. */
  level: number;
  /** What the data segments' packs hold; where that is rows alone, chunk lists go to packs of their own. */
  content: PackContent;
  /** A number no other writer of the session has: pack numbers are never used twice. */
  nextPack(): number;
  output: PackOutput;
}

/**
 * Puts segments into packs. One data segment at a time is being filled; its place is known from the start, so that
 * chunk lists can name it before it is sealed. Lists have packs of their own where rows are stored so that reading takes
 * hours, since lists are read with every backup.
 */
export class PackWriter {
  readonly session: WriterSession;
  readonly #rows: OpenPack;
  readonly #lists: OpenPack;
  #dataIndex = -1;

  constructor(session: WriterSession) {
    this.session = session;
    const alone = session.content === 'rows';
    this.#lists = new OpenPack(session, 'any', alone ? LISTS_PACK_BYTES : PACK_BYTES);
    this.#rows = alone ? new OpenPack(session, 'rows', PACK_BYTES) : this.#lists;
  }

  /** The place of the data segment being filled; opens it, and a pack, if there is none. */
  dataSegment(): { pack: number; segment: number } {
    if (this.#dataIndex === -1) this.#dataIndex = this.#rows.claim();
    return { pack: this.#rows.number, segment: this.#dataIndex };
  }

  /** Seals the data segment being filled with this content. */
  sealData(content: Uint8Array): void {
    const { segment } = this.dataSegment();
    this.#rows.emit(segment, SEGMENT_KIND.data, content);
    this.#dataIndex = -1;
    this.#rows.closeIfFull();
  }

  /** Stores a chunk list as a segment of its own and says where. */
  addList(content: Buffer): { pack: number; segment: number } {
    const segment = this.#lists.claim();
    const place = { pack: this.#lists.number, segment };
    this.#lists.emit(segment, SEGMENT_KIND.list, content);
    if (this.#dataIndex === -1 || this.#lists !== this.#rows) this.#lists.closeIfFull();
    return place;
  }

  /** Ends the packs. The data segment must have been sealed. */
  close(): void {
    this.#rows.close();
    this.#lists.close();
  }
}

/** A pack being written, or none yet. Segments are emitted in the order of their indexes. */
class OpenPack {
  readonly #session: WriterSession;
  readonly #content: PackContent;
  readonly #fullBytes: number;
  number = 0;
  #key: Buffer = Buffer.alloc(0);
  #entries: DirectoryEntry[] = [];
  #nextIndex = 0;
  #sizeBytes = 0;
  /** Segments that wait for one before them. */
  readonly #waiting = new Map<number, { kind: SegmentKind; content: Buffer }>();

  constructor(session: WriterSession, content: PackContent, fullBytes: number) {
    this.#session = session;
    this.#content = content;
    this.#fullBytes = fullBytes;
  }

  /** The index of the next segment; opens a pack if there is none. */
  claim(): number {
    if (this.number === 0) {
      const { session, keys, sessionSalt, output } = this.#session;
      this.number = this.#session.nextPack();
      this.#key = keys.pack(session, this.number, sessionSalt);
      this.#sizeBytes = PACK_HEADER_BYTES;
      output.piece(this.number, ownBytes(packHeader(this.number, sessionSalt)));
    }
    return this.#nextIndex++;
  }

  emit(index: number, kind: SegmentKind, content: Uint8Array): void {
    if (index !== this.#entries.length) {
      this.#waiting.set(index, { kind, content: Buffer.from(content) });
      return;
    }
    this.#seal(kind, content);
    for (let next = this.#takeWaiting(); next; next = this.#takeWaiting())
      this.#seal(next.kind, next.content);
  }

  #takeWaiting(): { kind: SegmentKind; content: Buffer } | undefined {
    const next = this.#waiting.get(this.#entries.length);
    this.#waiting.delete(this.#entries.length);
    return next;
  }

  #seal(kind: SegmentKind, content: Uint8Array): void {
    const index = this.#entries.length;
    const sealed = sealSegment(this.#key, index, kind, content, this.#session.level);
    this.#entries.push({ storedBytes: sealed.length, plainBytes: content.length, kind });
    this.#sizeBytes += sealed.length;
    this.#session.output.piece(this.number, sealed);
  }

  closeIfFull(): void {
    if (this.#sizeBytes >= this.#fullBytes) this.close();
  }

  close(): void {
    if (this.number === 0) return;
    const tail = packTail(this.#key, this.#entries);
    const { output } = this.#session;
    output.piece(this.number, ownBytes(tail));
    const plainBytes = this.#entries.reduce((sum, entry) => sum + entry.plainBytes, 0);
    output.end(this.number, this.#sizeBytes + tail.length, this.#content, plainBytes);
    this.number = 0;
    this.#entries = [];
    this.#nextIndex = 0;
  }
}

/** The bytes in a buffer of their own, which can be handed to another thread. */
function ownBytes(bytes: Buffer): Buffer<ArrayBuffer> {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
