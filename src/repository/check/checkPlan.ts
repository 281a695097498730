import { asTidemarkError, faultError, type TidemarkError } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { ID_BYTES } from '../format/chunkId.ts';
import type { ChunkList, ListRef } from '../format/chunkList.ts';
import { packName } from '../format/packName.ts';
import { epochOf, type RepositoryKeys } from '../keys/keys.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { SnapshotReader } from '../read/reader.ts';
import type { PackFindings, PackJob } from './check.ts';
import { PlacesBuilder } from './chunkPlaces.ts';

/** What bounds memory; a place takes 36 bytes. */
export interface PlanLimits {
  /** Places of chunks held at a time; a repository with more is gone through in rounds of packs. */
  placesHeld: number;
  /** Places sent with one job; a pack that has more is read once more for the rest. */
  placesAJob: number;
}

const LIMITS: PlanLimits = { placesHeld: 2_000_000, placesAJob: 500_000 };
/** Chunk lists read at a time. */
const LISTS_AHEAD = 4;

/** One stream of one or more snapshots (those that have it unchanged), and what was found out about it. */
export interface CheckedStream {
  readonly ref: ListRef;
  /** `snapshot` is the name of its manifest. */
  readonly users: { snapshot: string; name: string }[];
  chunks: number;
  bytes: number;
  lineEnds: number;
  /** Its last byte is a line end, or it has none. */
  ended: boolean;
  /** Every byte of it was read and was right. */
  whole: boolean;
  packs: number[];
}

interface CheckedPack {
  session: string;
  number: number;
  salt: string;
  epoch: number;
  sizeBytes: number;
  places: number;
  round: number;
  /** Segment and owner of the chunk lists in it. */
  lists: number[];
}

/** What is wrong, and which streams are hurt; where no stream is, which snapshots name the object. */
export interface PlanFault {
  /** Null where it is in the manifest of whichever snapshot has the stream. */
  object: string | null;
  error: Pick<TidemarkError, 'code' | 'message' | 'hint'>;
  streams: number[];
  /** The names of their manifests. */
  snapshots: string[];
}

/**
 * Arranges the check of several snapshots so that each pack is read once, whole, however many of them share it: first all
 * chunk lists are gone through and counted, then turned from "where are this stream's chunks" into "which chunks are in
 * this pack".
 */
export class CheckPlan {
  readonly streams: CheckedStream[] = [];
  readonly #storage: Storage;
  readonly #keys: RepositoryKeys;
  readonly #limits: PlanLimits;
  readonly #report: (fault: PlanFault) => void;
  readonly #packs: CheckedPack[] = [];
  readonly #packIndex = new Map<string, number>();
  readonly #streamIndex = new Map<string, number>();
  readonly #packsOf = new Map<string, Set<number>>();
  #lists: SnapshotReader | undefined;

  constructor(
    storage: Storage,
    keys: RepositoryKeys,
    report: (fault: PlanFault) => void,
    limits: PlanLimits = LIMITS,
  ) {
    this.#limits = limits;
    this.#storage = storage;
    this.#keys = keys;
    this.#report = report;
  }

  get packCount(): number {
    return this.#packs.length;
  }

  get packBytes(): number {
    return this.#packs.reduce((sum, pack) => sum + pack.sizeBytes, 0);
  }

  /** Bytes that were read for chunk lists. */
  get bytesRead(): number {
    return this.#lists?.bytesRead ?? 0;
  }

  /** Takes in the snapshot's packs. */
  addSnapshot(manifest: Pick<Manifest, 'snapshot' | 'copied' | 'sessions' | 'epochs' | 'packs'>): void {
    const mine = new Set<number>();
    const snapshot = manifestName(manifest);
    this.#packsOf.set(snapshot, mine);
    for (const [session, number, sizeBytes] of manifest.packs) {
      const name = packName(session, number);
      const salt = manifest.sessions[session] ?? '';
      const epoch = epochOf(manifest, session);
      let index = this.#packIndex.get(name);
      if (index === undefined) {
        const made = { session, number, salt, epoch, sizeBytes, places: 0, round: 0, lists: [] };
        index = this.#packs.push(made) - 1;
        this.#packIndex.set(name, index);
      } else {
        const known = this.#packs[index]!;
        if (known.salt !== salt || known.sizeBytes !== sizeBytes || known.epoch !== epoch)
          this.#disagree(snapshot, name);
      }
      mine.add(index);
    }
  }

  #disagree(snapshot: string, name: string): void {
    const object = `snapshots/${snapshot}`;
    const error = faultError(
      'PACKS_DISAGREE',
      `${object} gives packs/${name} another size, salt or epoch than other manifests do`,
      'report this: no tidemark writes that',
    );
    this.#report({ object, error, streams: [], snapshots: [snapshot] });
  }

  /** Takes in a stream of the snapshot whose manifest is called so; its number in this plan. */
  addStream(ref: ListRef, snapshot: string, name: string): number {
    const key = 'list' in ref ? ref.list : ref.at.join(' ');
    let index = this.#streamIndex.get(key);
    if (index === undefined) {
      const made: CheckedStream = {
        ref: 'list' in ref ? { list: ref.list } : { at: ref.at },
        users: [],
        chunks: 0,
        bytes: 0,
        lineEnds: 0,
        ended: true,
        whole: true,
        packs: [],
      };
      index = this.streams.push(made) - 1;
      this.#streamIndex.set(key, index);
    }
    this.streams[index]!.users.push({ snapshot, name });
    return index;
  }

  /** Snapshots that name the pack. */
  #snapshotsWith(pack: number | undefined): string[] {
    return [...this.#packsOf].flatMap(([snapshot, packs]) =>
      pack !== undefined && packs.has(pack) ? snapshot : [],
    );
  }

  /** Goes through all chunk lists once: what they hold, and how the packs are divided into rounds. */
  async count(signal: AbortSignal): Promise<void> {
    this.#lists = new SnapshotReader(
      this.#storage,
      this.#keys,
      {
        sessions: Object.fromEntries(this.#packs.map(pack => [pack.session, pack.salt])),
        epochs: Object.fromEntries(this.#packs.map(pack => [pack.session, pack.epoch])),
        packs: this.#packs.map(pack => [pack.session, pack.number, pack.sizeBytes]),
      },
      { verifyIds: false },
    );
    for await (const [index, list] of this.#decoded(
      this.streams.map((_, i) => i),
      signal,
      true,
    )) {
      const stream = this.streams[index]!;
      stream.chunks = list.count;
      const counts = new Int32Array(list.packs.length);
      for (let i = 0; i < list.count; i++) {
        stream.bytes += list.length[i]!;
        counts[list.pack[i]!]!++;
      }
      for (const [i, { session, number }] of list.packs.entries()) {
        const pack = this.#named(index, session, number);
        if (pack === undefined) continue;
        stream.packs.push(pack);
        this.#packs[pack]!.places += counts[i]!;
      }
      if ('at' in stream.ref) {
        const pack = this.#named(index, stream.ref.at[0], stream.ref.at[1]);
        if (pack !== undefined) this.#packs[pack]!.lists.push(stream.ref.at[2], index);
      }
    }
    this.#divide();
  }

  /** The pack's index; a stream must only need packs that its snapshots name, or they would be collected. */
  #named(index: number, session: string, number: number): number | undefined {
    const name = packName(session, number);
    const pack = this.#packIndex.get(name);
    const stream = this.streams[index]!;
    const unnamed = stream.users
      .map(user => user.snapshot)
      .filter(snapshot => pack === undefined || !this.#packsOf.get(snapshot)!.has(pack));
    if (unnamed.length > 0) {
      const error = faultError(
        'PACK_UNNAMED',
        `a chunk list needs packs/${name}, which the manifest does not name`,
        'report this: no tidemark writes that',
      );
      this.#report({ object: `packs/${name}`, error, streams: [index], snapshots: unnamed });
      stream.whole = false;
    }
    return pack;
  }

  #divide(): void {
    const inOrder = [...this.#packs].sort((a, b) =>
      a.session === b.session ? a.number - b.number : a.session < b.session ? -1 : 1,
    );
    let round = 0;
    let places = 0;
    for (const pack of inOrder) {
      if (places > 0 && places + pack.places > this.#limits.placesHeld) {
        round++;
        places = 0;
      }
      pack.round = round;
      places += pack.places;
    }
  }

  /** Every pack, with what must be in it; `count` comes first. The lists are gone through again, round by round. */
  async *jobs(signal: AbortSignal): AsyncGenerator<PackJob> {
    const rounds = 1 + Math.max(-1, ...new Set(this.#packs.map(pack => pack.round)));
    for (let round = 0; round < rounds; round++) {
      const builders = new Map<number, PlacesBuilder>();
      for (const [index, pack] of this.#packs.entries())
        if (pack.round === round) builders.set(index, new PlacesBuilder());
      const touched = [...this.streams.keys()].filter(index =>
        this.streams[index]!.packs.some(pack => this.#packs[pack]!.round === round),
      );
      for await (const [index, list] of this.#decoded(touched, signal, false)) {
        yield* this.#fill(builders, index, list);
      }
      for (const [pack, builder] of builders) yield this.#job(pack, builder);
    }
  }

  *#fill(builders: Map<number, PlacesBuilder>, owner: number, list: ChunkList): Iterable<PackJob> {
    const packs = list.packs.map(
      ({ session, number }) => this.#packIndex.get(packName(session, number)) ?? -1,
    );
    for (let i = 0; i < list.count; i++) {
      const pack = packs[list.pack[i]!]!;
      const builder = builders.get(pack);
      if (!builder) continue;
      const last = i === list.count - 1;
      const { segment, offset, length, ids } = list;
      builder.add(segment[i]!, offset[i]!, length[i]!, owner, last, ids, i * ID_BYTES);
      if (builder.count >= this.#limits.placesAJob) yield this.#job(pack, builder);
    }
  }

  #job(index: number, builder: PlacesBuilder): PackJob {
    const { places: _places, round: _round, lists, ...pack } = this.#packs[index]!;
    return { ...pack, places: builder.take(), lists: Int32Array.from(lists) };
  }

  /** Takes in what the check of a pack has found. */
  apply(job: Pick<PackJob, 'session' | 'number'>, findings: PackFindings): void {
    for (const [i, owner] of findings.owners.entries())
      this.streams[owner]!.lineEnds += findings.lineEnds[i]!;
    for (const owner of findings.unended) this.streams[owner]!.ended = false;
    const name = packName(job.session, job.number);
    for (const { owners, more, lasting: _, ...error } of findings.faults) {
      for (const owner of owners) this.streams[owner]!.whole = false;
      const message = more > 0 ? `${error.message}, and ${more} more in the pack` : error.message;
      this.#report({
        object: `packs/${name}`,
        error: { ...error, message },
        streams: owners,
        snapshots: owners.length > 0 ? [] : this.#snapshotsWith(this.#packIndex.get(name)),
      });
    }
  }

  async *#decoded(
    indexes: number[],
    signal: AbortSignal,
    report: boolean,
  ): AsyncGenerator<[index: number, list: ChunkList]> {
    for (let at = 0; at < indexes.length; at += LISTS_AHEAD) {
      signal.throwIfAborted();
      const some = indexes.slice(at, at + LISTS_AHEAD);
      const lists = await Promise.all(some.map(index => this.#list(index, report)));
      for (const [i, list] of lists.entries()) if (list) yield [some[i]!, list];
    }
  }

  async #list(index: number, report: boolean): Promise<ChunkList | undefined> {
    const stream = this.streams[index]!;
    try {
      return await this.#lists!.list(stream.ref, stream.users[0]!.name);
    } catch (error) {
      stream.whole = false;
      if (!report) return undefined;
      const { ref } = stream;
      const object = 'at' in ref ? `packs/${packName(ref.at[0], ref.at[1])}` : null;
      this.#report({ object, error: asTidemarkError(error), streams: [index], snapshots: [] });
      return undefined;
    }
  }
}
