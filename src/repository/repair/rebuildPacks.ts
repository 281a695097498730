/**
 * Makes snapshots whole that need damaged packs: what can be proved of these is written to packs of a new session, and the
 * snapshots get revisions with the new places, as compaction does it (compact.ts). Nothing that is there is touched. What is
 * lost stays named where it was. docs/recovery.md, "Repair".
 */

import { idAt } from '../format/chunkId.ts';
import type { ListRef } from '../format/chunkList.ts';
import { decodeChunkList } from '../format/chunkList.ts';
import { packName } from '../format/packName.ts';
import { DEFAULT_LEVEL, SEGMENT_KIND } from '../format/seal.ts';
import type { Lease } from '../guards/lease.ts';
import {
  type Manifest,
  manifestName,
  newSessionId,
  ownStreams,
  type PartRecord,
  partKey,
} from '../manifest.ts';
import { parsePartLines } from '../read/parts.ts';
import type { SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, listRevisions, nextRevision } from '../revisions.ts';
import { MovedChunks } from '../rewrite/movedChunks.ts';
import { REVISIONS_AT_ONCE, type Revision, RevisionRound } from '../rewrite/revisionRound.ts';
import { isLoss, Rewrite, type Rewritten } from '../rewrite/rewrite.ts';
import { RewriteSession } from '../rewrite/rewriteSession.ts';
import { type OtherPlace, OtherPlaces } from './otherPlaces.ts';
import { type DamagedPack, findDamaged } from './packRescue.ts';
import { RescueSource } from './rescueSource.ts';

/** Packs rebuilt together: each round reads the lists of all snapshots that name them. */
const PACKS_A_ROUND = 4096;
/** Chunks moved in a round, which take 52 MB. */
const CHUNKS_A_ROUND = 1_000_000;

export interface RebuildWork {
  /** Damaged packs, by `packName`. */
  damaged: ReadonlySet<string>;
  /** Manifests of the snapshots that name any of them. */
  names: readonly string[];
  signal?: AbortSignal;
}

/** What can't be had of a snapshot. */
export interface LostStreams {
  /** Names of those that are no parts. */
  streams: string[];
  /** Null: the list of parts is lost, and with it every part. */
  parts: PartRecord[] | null;
  /** Something else of it comes back, or nothing of the damaged packs is needed: it is worth a revision. */
  gains: boolean;
}

/** What would become of the snapshots, by the names of their manifests. Writes nothing. */
export async function foreseeRebuild(
  repository: Repository,
  work: RebuildWork,
): Promise<Map<string, LostStreams>> {
  const found = new Map<string, LostStreams>();
  await inRounds(repository, work, async round => {
    for (const [name, lost] of await round.foresee()) found.set(name, together(found.get(name), lost));
  });
  return found;
}

/**
 * Rebuilds what can be rebuilt; may be stopped anywhere, and run again.
 *
 * @param lease the right to prune; LEASE_LOST where somebody else took over.
 * @returns names of the manifests that got a revision.
 */
export async function rebuildPacks(
  repository: Repository,
  work: RebuildWork,
  lease: Lease,
): Promise<string[]> {
  const revised = new Set<string>();
  await inRounds(repository, work, async round => {
    for (const name of await round.carryOut(lease)) revised.add(name);
  });
  return [...revised];
}

async function inRounds(
  repository: Repository,
  work: RebuildWork,
  each: (round: Round) => Promise<void>,
): Promise<void> {
  const manifests: Manifest[] = [];
  for await (const { packs, sessions, epochs } of repository.read(work.names))
    manifests.push({ packs, sessions, epochs } as Manifest);
  const all = await findDamaged(repository.storage, manifests, work.damaged);
  for (let left = [...all.values()]; left.length > 0; ) {
    work.signal?.throwIfAborted();
    const some = left.slice(0, PACKS_A_ROUND);
    const id = newSessionId(await repository.storage.now());
    const round = new Round(repository, work, id, all, some);
    await each(round);
    left = [...round.postponed, ...left.slice(PACKS_A_ROUND)];
  }
}

/** A session of its own: it reads, copies and commits some packs' worth. */
class Round {
  readonly #repository: Repository;
  readonly #work: RebuildWork;
  readonly #id: string;
  readonly #packs: readonly DamagedPack[];
  readonly #chunks: MovedChunks;
  readonly #others = new OtherPlaces();
  readonly #source: RescueSource;
  readonly #session: RewriteSession;
  readonly #rewrite: Rewrite;
  /** Of the snapshots: number of the manifest that counts, and of the revision to be written. */
  readonly #numbers = new Map<string, { current: number; next: number }>();
  readonly #surveyed: string[] = [];
  /** Segments that are lost where they lay: pack, by its index, and segment. */
  readonly #lost = new Set<string>();
  /** Something was found of the snapshot that is being looked at. */
  #gains = false;

  constructor(
    repository: Repository,
    work: RebuildWork,
    id: string,
    all: ReadonlyMap<string, DamagedPack>,
    packs: readonly DamagedPack[],
  ) {
    this.#repository = repository;
    this.#work = work;
    this.#id = id;
    this.#packs = packs;
    this.#chunks = new MovedChunks(
      packs.map(({ ref }) => [ref[0], ref[1]]),
      CHUNKS_A_ROUND,
    );
    this.#source = new RescueSource(repository, all, this.#others);
    this.#session = new RewriteSession(repository, id, DEFAULT_LEVEL);
    this.#rewrite = new Rewrite(repository, this.#chunks, this.#session, this.#source);
  }

  /** Packs that have to wait for another round. */
  get postponed(): DamagedPack[] {
    return this.#packs.filter((_, index) => this.#chunks.isPostponed(index));
  }

  async foresee(): Promise<Map<string, LostStreams>> {
    await this.#survey();
    await this.#searchLost();
    const found = new Map<string, LostStreams>();
    for await (const manifest of this.#repository.read(this.#work.names)) {
      this.#work.signal?.throwIfAborted();
      if (this.#rewrite.concerns(manifest)) found.set(manifestName(manifest), await this.#lostOf(manifest));
    }
    return found;
  }

  async carryOut(pruneLease: Lease): Promise<string[]> {
    const work = async (round: RevisionRound) => {
      await this.#survey();
      await this.#searchLost();
      return this.#revise(round);
    };
    return RevisionRound.run(this.#repository, 'repair', pruneLease, work, this.#id);
  }

  async #survey(): Promise<void> {
    const revisions = await listRevisions(this.#repository.storage);
    for await (const manifest of this.#repository.read(this.#work.names, { revisions })) {
      this.#work.signal?.throwIfAborted();
      const name = manifestName(manifest);
      const of = revisions.get(name);
      this.#numbers.set(name, { current: currentRevision(of), next: nextRevision(of) });
      if (!this.#rewrite.concerns(manifest)) continue;
      try {
        await this.#rewrite.survey(manifest);
        this.#surveyed.push(name);
      } catch (error) {
        if (!isLoss(error)) throw error; // nobody knows what its parts are
      }
    }
    this.#surveyed.reverse(); // the newest first
  }

  /** Finds out which chunks can't be read where they lie, and looks for them elsewhere. */
  async #searchLost(): Promise<void> {
    let any = false;
    for (const { pack, chunks } of this.#chunks.inOrder()) {
      this.#work.signal?.throwIfAborted();
      const { ref } = this.#packs[pack]!;
      const places = Array.from(chunks, chunk => this.#chunks.at(chunk));
      const leastBytes = new Map<number, number>();
      for (const { segment, offset, length } of places)
        leastBytes.set(segment, Math.max(leastBytes.get(segment) ?? 0, offset + length));
      for (const [segment, bytes] of leastBytes) {
        const name = packName(ref[0], ref[1]);
        const content = await this.#source.segment(name, segment, SEGMENT_KIND.data, bytes);
        if (content === undefined || content.length < bytes) this.#lost.add(`${name} ${segment}`);
      }
      for (const place of places) {
        if (!this.#lost.has(`${packName(ref[0], ref[1])} ${place.segment}`)) continue;
        this.#others.add(ref, place);
        any = true;
      }
    }
    if (!any) return;
    const names = await this.#repository.snapshotNames();
    await this.#others.search(this.#repository, names, place => this.#readable(place), this.#work.signal);
  }

  async #readable(place: OtherPlace): Promise<boolean> {
    const { session, number } = place.chunk.packs[0]!;
    if (this.#lost.has(`${packName(session, number)} ${place.chunk.segment[0]}`)) return false;
    return (await this.#source.at(place)) !== undefined;
  }

  async #lostOf(manifest: Manifest): Promise<LostStreams> {
    const reader = this.#source.open(manifest);
    const { streams } = manifest;
    const { parts } = streams;
    this.#gains = this.#lies(parts);
    const lost: LostStreams = { streams: [], parts: [], gains: false };
    for (const name of ownStreams(manifest))
      if (await this.#isLost(reader, streams[name]!)) lost.streams.push(name);
    try {
      const where = `the parts of snapshot ${manifest.snapshot}`;
      for (const part of parsePartLines(await reader.whole(parts, where)))
        if (await this.#isLost(reader, part)) lost.parts!.push(part);
    } catch (error) {
      if (!isLoss(error)) throw error;
      lost.parts = null;
    }
    const nothing = lost.streams.length === 0 && lost.parts?.length === 0;
    // Without its list of parts nobody can write it again.
    lost.gains = nothing || (this.#gains && lost.parts !== null);
    return lost;
  }

  /** Whether the list itself lies in one of the packs. */
  #lies(ref: ListRef): boolean {
    return 'at' in ref && this.#chunks.packIndex(ref.at[0], ref.at[1]) !== -1;
  }

  async #isLost(reader: Pick<SnapshotReader, 'encodedList'>, ref: ListRef): Promise<boolean> {
    try {
      const list = decodeChunkList(await reader.encodedList(ref), 'a snapshot');
      const names = list.packs.map(({ session, number }) =>
        this.#chunks.packIndex(session, number) === -1 ? null : packName(session, number),
      );
      let lost = false;
      this.#gains ||= this.#lies(ref);
      for (let i = 0; i < list.count; i++) {
        const name = names[list.pack[i]!]!;
        if (name === null) continue;
        const gone = this.#lost.has(`${name} ${list.segment[i]}`);
        if (gone && !this.#others.find(idAt(list.ids, i))) lost = true;
        else this.#gains = true;
      }
      return lost;
    } catch (error) {
      if (!isLoss(error)) throw error;
      return true;
    }
  }

  async #revise(round: RevisionRound): Promise<string[]> {
    if (this.#surveyed.length === 0) return [];
    await this.#rewrite.moveChunks(error => {
      throw error;
    }, this.#work.signal);
    await round.announce(this.#surveyed.map(name => [name, this.#numbers.get(name)!.next]));
    const revised: string[] = [];
    for (let from = 0; from < this.#surveyed.length; from += REVISIONS_AT_ONCE) {
      this.#work.signal?.throwIfAborted();
      const some = this.#surveyed.slice(from, from + REVISIONS_AT_ONCE);
      revised.push(...(await round.write(await this.#revisionsOf(some))));
    }
    return revised;
  }

  /** Of those that have anything in a new place; all of which is stored when it returns. */
  async #revisionsOf(names: readonly string[]): Promise<Revision[]> {
    const done: { before: Manifest; rewritten: Rewritten; number: number }[] = [];
    for (const name of names) {
      const { current, next } = this.#numbers.get(name)!;
      const before = await this.#readAgain(name, current);
      if (!before) continue;
      const rewritten = await this.#rewrite.rewrite(before);
      const changed = JSON.stringify(rewritten.streams) !== JSON.stringify(before.streams);
      // Where no place is another, it may yet name a pack that it never needed.
      if (changed || !rewritten.lost) done.push({ before, rewritten, number: next });
    }
    await this.#session.flush();
    return done.map(({ before, rewritten, number }) => {
      const { streams, counts } = rewritten;
      return { before, number, after: { ...this.#rewrite.packTable(before, rewritten), streams, counts } };
    });
  }

  /** Undefined where the snapshot was forgotten. */
  async #readAgain(name: string, number: number): Promise<Manifest | undefined> {
    for await (const manifest of this.#repository.read([name]))
      if ((manifest.revised?.number ?? 0) === number) return manifest;
    return undefined;
  }
}

function together(a: LostStreams | undefined, b: LostStreams): LostStreams {
  if (!a) return b;
  const parts =
    a.parts && b.parts
      ? [...new Map([...a.parts, ...b.parts].map(each => [partKey(each), each])).values()]
      : null;
  return {
    streams: [...new Set([...a.streams, ...b.streams])],
    parts,
    gains: a.gains || b.gains,
  };
}
