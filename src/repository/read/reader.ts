import { faultError } from '../../base/errors.ts';
import { release } from '../../base/release.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { Storage } from '../../storage/storage.ts';
import { ChunkHasher, isIdAt } from '../format/chunkId.ts';
import { type ChunkList, decodeChunkList, type ListRef } from '../format/chunkList.ts';
import { packName } from '../format/packName.ts';
import { openSegment, SEGMENT_KIND, type SegmentKind } from '../format/seal.ts';
import type { RepositoryKeys } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';
import { type OpenPack, openPack } from './packDirectory.ts';

/** Opened segments kept, so that chunks from a few places in turn don't open each segment again and again. */
const SEGMENTS_KEPT = 4;
/** Pack directories kept (a few KiB each). */
const DIRECTORIES_KEPT = 256;

/** What is needed to read a snapshot's packs; plain data, for worker threads. */
export interface PackTable {
  sessions: Manifest['sessions'];
  epochs?: Manifest['epochs'];
  packs: Manifest['packs'];
}

/** Reads streams of one snapshot. What it gives was unsealed, and each chunk's id recomputed if `verifyIds`. */
export class SnapshotReader {
  readonly #storage: Pick<Storage, 'get'>;
  readonly #keys: RepositoryKeys;
  readonly #table: PackTable;
  readonly #sizes = new Map<string, number>();
  readonly #packs = new Map<string, Promise<OpenPack>>();
  readonly #segments = new Map<string, Promise<Buffer>>();
  /** By epoch. */
  readonly #hashers = new Map<number, ChunkHasher>();
  readonly #verifyIds: boolean;
  /** Bytes read from the storage. */
  bytesRead = 0;

  constructor(storage: Storage, keys: RepositoryKeys, table: PackTable, options: { verifyIds: boolean }) {
    this.#storage = {
      get: async (name, range) => {
        const bytes = await storage.get(name, range);
        this.bytesRead += bytes.length;
        return bytes;
      },
    };
    this.#keys = keys;
    this.#table = table;
    for (const [session, number, sizeBytes] of table.packs)
      this.#sizes.set(packName(session, number), sizeBytes);
    this.#verifyIds = options.verifyIds;
  }

  async list(ref: ListRef, where: string): Promise<ChunkList> {
    return decodeChunkList(await this.encodedList(ref), where);
  }

  async encodedList(ref: ListRef): Promise<Buffer> {
    if ('list' in ref) return Buffer.from(ref.list, 'base64url');
    return this.#segment(ref.at[0], ref.at[1], ref.at[2], SEGMENT_KIND.list);
  }

  /** A short stream as one buffer. */
  async whole(ref: ListRef, where: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.stream(await this.list(ref, where), where)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** The stream's bytes, in pieces that may be views of a segment: use them before asking for the next. */
  async *stream(list: ChunkList, where: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
    for (let at = 0; at < list.count; ) {
      signal?.throwIfAborted();
      const end = runEnd(list, at);
      this.#prefetch(list, end);
      const pack = list.packs[list.pack[at]!]!;
      const segment = await this.#segment(pack.session, pack.number, list.segment[at]!, SEGMENT_KIND.data);
      const from = list.offset[at]!;
      const to = list.offset[end - 1]! + list.length[end - 1]!;
      if (to > segment.length) throw outside(where);
      if (this.#verifyIds) this.#verify(list, at, end, segment, where);
      yield segment.subarray(from, to);
      at = end;
    }
  }

  /** Starts to read the next run's segment; its error, if any, comes when it is asked for. */
  #prefetch(list: ChunkList, at: number): void {
    if (at >= list.count) return;
    const pack = list.packs[list.pack[at]!]!;
    this.#segment(pack.session, pack.number, list.segment[at]!, SEGMENT_KIND.data).catch(() => {});
  }

  #hasher(session: string): ChunkHasher {
    const keys = this.#keys.of(this.#table, session);
    let hasher = this.#hashers.get(keys.epoch);
    if (!hasher) {
      hasher = new ChunkHasher(keys.chunkIdKey());
      this.#hashers.set(keys.epoch, hasher);
    }
    return hasher;
  }

  #verify(list: ChunkList, at: number, end: number, segment: Buffer, where: string): void {
    const hasher = this.#hasher(list.packs[list.pack[at]!]!.session);
    for (let i = at; i < end; i++) {
      const from = list.offset[i]!;
      if (!isIdAt(list.ids, i, hasher.within(segment, from, from + list.length[i]!))) {
        throw faultError('CHUNK_WRONG', `chunk ${i} of ${where} is not the one that was stored`, DAMAGE_HINT);
      }
    }
  }

  #segment(session: string, number: number, index: number, kind: SegmentKind): Promise<Buffer> {
    const name = `${packName(session, number)}#${index}`;
    const known = this.#segments.get(name);
    if (known) {
      this.#segments.delete(name);
      this.#segments.set(name, known);
      return known;
    }
    const reading = this.#readSegment(session, number, index, kind);
    this.#segments.set(name, reading);
    if (this.#segments.size > SEGMENTS_KEPT) this.#segments.delete(this.#segments.keys().next().value!);
    return reading;
  }

  async #readSegment(session: string, number: number, index: number, kind: SegmentKind): Promise<Buffer> {
    const name = packName(session, number);
    const pack = await this.#openPack(session, number);
    const where = `segment ${index} of packs/${name}`;
    const placed = pack.segments[index];
    if (!placed || placed.kind !== kind) throw outside(where);
    const { offset, storedBytes } = placed;
    const sealed = await this.#storage.get(`packs/${name}`, { offset, length: storedBytes });
    const content = openSegment(pack.key, index, kind, sealed, placed.plainBytes, where);
    release(sealed);
    return content;
  }

  async #openPack(session: string, number: number): Promise<OpenPack> {
    const name = packName(session, number);
    let pack = this.#packs.get(name);
    if (!pack) {
      const sizeBytes = this.#sizes.get(name);
      if (sizeBytes === undefined || !(session in this.#table.sessions)) throw outside(`packs/${name}`);
      pack = openPack(this.#storage, this.#keys, this.#table, [session, number, sizeBytes]);
      this.#packs.set(name, pack);
      if (this.#packs.size > DIRECTORIES_KEPT) this.#packs.delete(this.#packs.keys().next().value!);
    }
    return pack;
  }
}

/** Chunks [at, end) lie one behind the other in one segment. */
function runEnd(list: ChunkList, at: number): number {
  let end = at + 1;
  while (
    end < list.count &&
    list.pack[end] === list.pack[at] &&
    list.segment[end] === list.segment[at] &&
    list.offset[end] === list.offset[end - 1]! + list.length[end - 1]!
  ) {
    end++;
  }
  return end;
}

function outside(where: string): Error {
  return faultError('PLACE_WRONG', `${where} is named by a snapshot but is not there`, DAMAGE_HINT);
}
