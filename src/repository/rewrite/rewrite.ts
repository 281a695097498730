/**
 * Same streams, other places: empties packs by moving the chunks of theirs that snapshots refer to, and makes manifests that
 * say where these are now. Three steps, in this order: `survey` every snapshot that names one of the packs, `moveChunks`,
 * `rewrite` each of the snapshots. It commits nothing: a manifest may be written once `session.flush()` has resolved.
 *
 * What bounds memory: the chunks held (movedChunks.ts), the lists remembered (surveyedLists.ts), the parts of one snapshot.
 */
import { ahead } from '../../base/ahead.ts';
import { invariant, TidemarkError } from '../../base/errors.ts';
import { Interned } from '../../base/interned.ts';
import { ChunkHasher, idAt } from '../format/chunkId.ts';
import {
  type ChunkList,
  ChunkListBuilder,
  decodeChunkList,
  INLINE_CHUNKS,
  type ListRef,
  type UsedPack,
  usedPacks,
} from '../format/chunkList.ts';
import { type PackRef, packName } from '../format/packName.ts';
import { type Manifest, ownStreams, type PartRecord, refOf } from '../manifest.ts';
import type { IdentifiedPlace } from '../read/packContents.ts';
import { parsePartLines, partLines } from '../read/parts.ts';
import type { SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import type { PackContent } from '../storagePolicy.ts';
import { ChunkIndex } from '../write/chunkIndex.ts';
import type { WrittenStream } from '../write/chunkWriter.ts';
import { packTable } from '../write/packTable.ts';
import type { MovedChunks } from './movedChunks.ts';
import type { RewriteSession } from './rewriteSession.ts';
import { type SurveyedList, SurveyedLists } from './surveyedLists.ts';

/** Chunk lists read at once. */
const LISTS_AHEAD = 8;

/** Where what is moved is read: from the packs themselves, or, where they are damaged, from elsewhere. */
export interface RewriteSource {
  /** For the streams that say where others are. */
  open(manifest: Manifest): Pick<SnapshotReader, 'encodedList' | 'whole'>;
  /**
   * Chunks of one pack, in the order given; ids are checked by the rewriting. A chunk is used before the next is asked for.
   * Undefined, only where `lossy`: it is lost.
   */
  chunks(table: Table, pack: PackRef, chunks: readonly IdentifiedPlace[]): AsyncIterable<Buffer | undefined>;
  /** What can't be read stays named where it was, and the rest moves; otherwise it ends the survey, or leaves its pack. */
  readonly lossy?: boolean;
}

type Table = Pick<Manifest, 'sessions' | 'epochs'>;

/** What a survey found in a pack. */
export interface SurveyedPack {
  ref: PackRef;
  /** Of chunks and lists that are referred to, before compression; and of all there is, 0 where nobody knows. */
  liveBytes: number;
  plainBytes: number;
}

/** A snapshot's new places. Its packs are known once they are stored. */
export interface Rewritten {
  streams: Manifest['streams'];
  counts: Manifest['counts'];
  written: Pick<WrittenStream, 'packs' | 'listBytes'>;
  /** Something of it lies in the packs still, and can't be read. */
  lost: boolean;
}

export class Rewrite {
  readonly #repository: Repository;
  readonly #chunks: MovedChunks;
  readonly #session: RewriteSession;
  readonly #source: RewriteSource;
  readonly #lists = new SurveyedLists();
  readonly #table: { sessions: Record<string, string>; epochs: Record<string, number> } = {
    sessions: {},
    epochs: {},
  };
  readonly #packs: SurveyedPack[];
  readonly #sessions = new Interned<string>();
  #listBytes = 0;
  /** Of the packs that are written: bytes that the snapshots rewritten so far use together. */
  readonly #used = new Map<number, number>();
  /** Where the parts of the snapshot before were written: the next one's are nearly the same. */
  #lastParts: ChunkList | undefined;

  constructor(repository: Repository, chunks: MovedChunks, session: RewriteSession, source: RewriteSource) {
    this.#repository = repository;
    this.#chunks = chunks;
    this.#session = session;
    this.#source = source;
    this.#packs = chunks.packs.map(([id, number]) => ({ ref: [id, number, 0], liveBytes: 0, plainBytes: 0 }));
  }

  /** Whether a snapshot names any of the packs. */
  concerns({ packs }: Pick<Manifest, 'packs'>): boolean {
    return packs.some(([session, number]) => this.#chunks.packIndex(session, number) !== -1);
  }

  /** Takes in what a snapshot refers to. */
  async survey(manifest: Manifest): Promise<void> {
    this.#notePacks(manifest);
    const reader = this.#source.open(manifest);
    const { streams } = manifest;
    const of = manifest.snapshot;
    for (const name of ownStreams(manifest)) {
      const ref = streams[name]!;
      const encoded = await this.#encoded(reader, ref);
      if (encoded) this.#surveyList(ref, 'any', encoded, of);
    }
    const lines = parsePartLines(await reader.whole(streams.parts, `the parts of snapshot ${of}`));
    const unknown = lines.filter(part => !this.#lists.get(refOf(part)));
    const read = async (part: PartRecord) => ({ part, encoded: await this.#encoded(reader, refOf(part)) });
    for await (const { part, encoded } of ahead(unknown, LISTS_AHEAD, read))
      if (encoded) this.#surveyList(refOf(part), 'rows', encoded, of);
  }

  /** Undefined where it is lost, and may be. */
  async #encoded(reader: Pick<SnapshotReader, 'encodedList'>, ref: ListRef): Promise<Buffer | undefined> {
    try {
      return await reader.encodedList(ref);
    } catch (error) {
      if (this.#source.lossy && isLoss(error)) return undefined;
      throw error;
    }
  }

  #notePacks({ packs, sessions, epochs, usage }: Manifest): void {
    for (const [i, ref] of packs.entries()) {
      const index = this.#chunks.packIndex(ref[0], ref[1]);
      if (index === -1) continue;
      const pack = this.#packs[index]!;
      pack.ref = ref;
      pack.plainBytes = Math.max(pack.plainBytes, usage?.packs[i]?.[1] ?? 0);
      this.#table.sessions[ref[0]] = sessions[ref[0]]!;
      if (epochs?.[ref[0]] !== undefined) this.#table.epochs[ref[0]] = epochs[ref[0]]!;
    }
  }

  #surveyList(ref: ListRef, content: PackContent, encoded: Buffer, of: string): void {
    if (this.#lists.get(ref)) return;
    const list = decodeChunkList(encoded, `snapshot ${of}`);
    const packs = this.#usedBy(list, ref, encoded.length);
    const moves = packs.some(([session, number]) => this.#chunks.packIndex(session, number) !== -1);
    this.#lists.set(ref, { moves, packs });
    if (!moves) return;
    if ('at' in ref) this.#listBytes += encoded.length;
    this.#chunks.add(list, content);
    const own = 'at' in ref ? this.#chunks.packIndex(ref.at[0], ref.at[1]) : -1;
    if (own !== -1) this.#packs[own]!.liveBytes += encoded.length;
  }

  #usedBy(list: ChunkList, ref: ListRef, encodedBytes: number): UsedPack[] {
    const used = usedPacks(list);
    if ('at' in ref) used.push([ref.at[0], ref.at[1], encodedBytes]);
    return this.#known(used);
  }

  #use(pack: number, bytes: number): void {
    this.#used.set(pack, (this.#used.get(pack) ?? 0) + bytes);
  }

  /** The same packs: they are remembered, so that ids of sessions are to be in memory once. */
  #known(packs: UsedPack[]): UsedPack[] {
    for (const pack of packs) pack[0] = this.#sessions.once(pack[0]);
    return packs;
  }

  /** What was found, of the packs that are still to be emptied; `listBytes` of lists that would be written anew. */
  found(): { packs: { index: number; pack: SurveyedPack }[]; listBytes: number } {
    const chunkBytes = this.#chunks.liveBytes();
    const packs = this.#packs.flatMap((pack, index) => {
      if (!this.#chunks.isMoved(index)) return [];
      return { index, pack: { ...pack, liveBytes: pack.liveBytes + chunkBytes[index]! } };
    });
    return { packs, listBytes: this.#listBytes };
  }

  /** Copies the chunks that were found, each checked against its id. A pack that `damaged` takes the error of is left. */
  async moveChunks(damaged: (error: unknown) => void, signal?: AbortSignal): Promise<void> {
    for (const { pack, chunks } of this.#chunks.inOrder()) {
      signal?.throwIfAborted();
      try {
        await this.#movePack(pack, chunks);
      } catch (error) {
        damaged(error);
        this.#chunks.leave(pack);
      }
    }
  }

  async #movePack(index: number, chunks: Int32Array): Promise<void> {
    const { ref } = this.#packs[index]!;
    const name = `packs/${packName(ref[0], ref[1])}`;
    const hasher = new ChunkHasher(this.#repository.keys.of(this.#table, ref[0]).chunkIdKey());
    const places = Array.from(chunks, chunk => this.#chunks.at(chunk));
    let next = 0;
    for await (const bytes of this.#source.chunks(this.#table, ref, places)) {
      const chunk = chunks[next]!;
      const { content, length, id } = places[next++]!;
      if (bytes === undefined) continue;
      invariant(bytes.length === length, `a chunk of ${name} has ${bytes.length} bytes instead of ${length}`);
      const copied = this.#session.copier(content).copy(bytes, id, hasher, name);
      this.#chunks.moved(chunk, copied);
      await this.#session.drained();
    }
    invariant(next === chunks.length, `${name} gave ${next} of ${chunks.length} chunks`);
  }

  /**
   * The same streams at their new places. The manifest must be one that was surveyed. Begin with the newest snapshot: what
   * each is said to use includes what those before it do, and it is the oldest that go first.
   */
  async rewrite(manifest: Manifest): Promise<Rewritten> {
    const reader = this.#source.open(manifest);
    const of = manifest.snapshot;
    const written: Rewritten['written'][] = [];
    let lost = false;
    const moveList = async (ref: ListRef): Promise<ListRef> => {
      const { listBytes, ...list } = await this.#moveList(ref, reader, of);
      written.push({ packs: list.packs, listBytes });
      lost ||= list.lost ?? false;
      return list.ref ?? ref;
    };
    const own: Record<string, ListRef> = {};
    for (const name of ownStreams(manifest)) own[name] = await moveList(manifest.streams[name]!);
    const old = await reader.whole(manifest.streams.parts, `the parts of snapshot ${of}`);
    const lines: PartRecord[] = [];
    for (const part of parsePartLines(old)) lines.push(withRef(part, await moveList(refOf(part))));
    const parts = await this.#writeParts(manifest.streams.parts, partLines(lines), reader, of);
    written.push(parts);
    await this.#session.drained();
    const { counts } = manifest;
    return {
      streams: { ...own, parts: parts.ref },
      counts: {
        ...counts,
        bytesRead: counts.bytesRead + parts.bytes - old.length,
        chunks: counts.chunks + parts.chunks - parts.oldChunks,
      },
      written: this.#together(written),
      lost,
    };
  }

  async #moveList(
    ref: ListRef,
    reader: Pick<SnapshotReader, 'encodedList'>,
    of: string,
  ): Promise<SurveyedList & { listBytes: number }> {
    const known = this.#lists.get(ref);
    if (known && (!known.moves || known.ref)) return { ...known, listBytes: 0 };
    const encoded = await this.#encoded(reader, ref);
    if (!encoded) return { moves: true, packs: [], lost: true, listBytes: 0 };
    const list = decodeChunkList(encoded, `snapshot ${of}`);
    const own = 'at' in ref && this.#chunks.packIndex(ref.at[0], ref.at[1]) !== -1;
    const indexes = list.packs.map(({ session, number }) => this.#chunks.packIndex(session, number));
    if (!own && indexes.every(index => index === -1)) {
      const same = { moves: false, packs: this.#usedBy(list, ref, encoded.length) };
      this.#lists.set(ref, same);
      return { ...same, listBytes: 0 };
    }
    const { moved, count, lost } = this.#withNewPlaces(list, indexes);
    if (count === 0 && lost && !own)
      return { moves: true, packs: this.#usedBy(list, ref, encoded.length), lost, listBytes: 0 };
    const stored = this.#storeList(moved, list.count);
    const packs = this.#known(moved.packs);
    if ('at' in stored.ref) packs.push([this.#session.id, stored.ref.at[1], stored.listBytes]);
    this.#lists.set(ref, { moves: true, packs, ref: stored.ref, lost });
    return { moves: true, packs, lost, ...stored };
  }

  /** `count` of its chunks have moved; where any is `lost`, that one is still named where it was. */
  #withNewPlaces(
    list: ChunkList,
    indexes: readonly number[],
  ): { moved: ChunkListBuilder; count: number; lost: boolean } {
    const builder = new ChunkListBuilder();
    let count = 0;
    let lost = false;
    for (let i = 0; i < list.count; i++) {
      const index = indexes[list.pack[i]!]!;
      const length = list.length[i]!;
      const to = index === -1 ? undefined : this.#chunks.target(index, list, i);
      if (!to) {
        invariant(index === -1 || this.#source.lossy, 'a chunk that is to be moved was not surveyed');
        lost ||= index !== -1;
        const { session, number } = list.packs[list.pack[i]!]!;
        const id = idAt(list.ids, i);
        builder.add(session, number, list.segment[i]!, list.offset[i]!, length, id);
      } else {
        count++;
        if (to.first) this.#use(to.number, length);
        builder.add(this.#session.id, to.number, to.segment, to.offset, length, to.id);
      }
    }
    return { moved: builder, count, lost };
  }

  #storeList(moved: ChunkListBuilder, count: number): { ref: ListRef; listBytes: number } {
    const encoded = moved.encode();
    if (count <= INLINE_CHUNKS) return { ref: { list: encoded.toString('base64url') }, listBytes: 0 };
    const place = this.#session.addList(encoded);
    this.#use(place.pack, encoded.length);
    return { ref: { at: [this.#session.id, place.pack, place.segment] }, listBytes: encoded.length };
  }

  /** The list of parts is written anew, but for chunks of it that are the same and stay, or that the last one had. */
  async #writeParts(
    ref: ListRef,
    lines: Buffer,
    reader: Pick<SnapshotReader, 'encodedList'>,
    of: string,
  ): Promise<WrittenStream & { oldChunks: number }> {
    const encoded = await reader.encodedList(ref);
    const list = decodeChunkList(encoded, `snapshot ${of}`);
    const stays = 'list' in ref || this.#chunks.packIndex(ref.at[0], ref.at[1]) === -1;
    const kept = this.#keptOf(list);
    const writer = this.#session.streams;
    writer.begin({
      index: new ChunkIndex(this.#lastParts ? [kept, this.#lastParts] : [kept]),
      ...(stays ? { same: { encoded, ref } } : {}),
    });
    writer.appendStream(lines);
    const written = writer.finish('stream');
    for (const [session, number, usedBytes] of written.packs)
      if (session === this.#session.id) this.#use(number, usedBytes);
    this.#lastParts = writer.list;
    return { ...written, oldChunks: list.count };
  }

  /** The chunks of a list that stay where they are. */
  #keptOf(list: ChunkList): ChunkList {
    const builder = new ChunkListBuilder();
    for (let i = 0; i < list.count; i++) {
      const { session, number } = list.packs[list.pack[i]!]!;
      if (this.#chunks.packIndex(session, number) !== -1) continue;
      const id = idAt(list.ids, i);
      builder.add(session, number, list.segment[i]!, list.offset[i]!, list.length[i]!, id);
    }
    return decodeChunkList(builder.encode(), 'what stays');
  }

  /**
   * Streams refer to the same packs again and again. Of packs that are written now the snapshot is said to use what it and
   * all that were rewritten before it use: else a pack that many share would seem nearly empty to each of them.
   */
  #together(written: readonly Rewritten['written'][]): Rewritten['written'] {
    const used = new Map<string, UsedPack>();
    for (const [session, number, usedBytes] of written.flatMap(stream => stream.packs)) {
      const name = packName(session, number);
      const known = used.get(name);
      if (session === this.#session.id) used.set(name, [session, number, this.#used.get(number) ?? 0]);
      else if (known) known[2] += usedBytes;
      else used.set(name, [session, number, usedBytes]);
    }
    return {
      packs: [...used.values()],
      listBytes: written.reduce((sum, { listBytes }) => sum + listBytes, 0),
    };
  }

  /**
   * What the new manifest says of packs, once all of them are stored. Of those that stay it says no less than before. Where
   * something is lost all stay: what can't be read may be read again, once somebody puts an object back.
   */
  packTable(manifest: Manifest, { written, lost }: Rewritten): ReturnType<typeof packTable> {
    const named = manifest.packs.map(([session, number]): UsedPack => [session, number, 0]);
    const all = lost ? [written, { packs: named, listBytes: 0 }] : [written];
    const table = packTable(this.#session.ownPacks, all, [manifest]);
    const { usage } = table;
    if (!usage || !manifest.usage) return table;
    const before = new Map(
      manifest.packs.map(([session, number], i) => [packName(session, number), manifest.usage!.packs[i]![0]]),
    );
    for (const [i, [session, number]] of table.packs.entries())
      usage.packs[i]![0] = Math.max(usage.packs[i]![0], before.get(packName(session, number)) ?? 0);
    // Lists it once stored it goes on sharing with others, wherever they lie now.
    usage.listBytes = manifest.usage.listBytes;
    return table;
  }
}

/** What is stored is damaged, or gone, and not only out of reach. */
export function isLoss(error: unknown): boolean {
  return error instanceof TidemarkError && error.kind === 'fault';
}

function withRef(part: PartRecord, ref: ListRef): PartRecord {
  const { list, at, ...said } = part as PartRecord & { list?: unknown; at?: unknown };
  return { ...said, ...ref };
}
