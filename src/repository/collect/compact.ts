/** Empties packs that are needed only in part, so that collection frees them whole: docs/recovery.md, "Compaction". */
import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import { unlessMissing } from '../../storage/object.ts';
import { DEFAULT_LEVEL } from '../format/seal.ts';
import type { Lease } from '../guards/lease.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { readChunks } from '../read/packContents.ts';
import { SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, listRevisions, nextRevision } from '../revisions.ts';
import { MovedChunks } from '../rewrite/movedChunks.ts';
import { type Revision, RevisionRound } from '../rewrite/revisionRound.ts';
import { Rewrite, type Rewritten } from '../rewrite/rewrite.ts';
import { RewriteSession } from '../rewrite/rewriteSession.ts';
import type { CompactionPlan, CompactionRules } from './compactionPlan.ts';

/** Packs emptied together: each round reads the lists of all snapshots that name them. */
const PACKS_A_ROUND = 4096;
/** Chunks moved in a round, which take 52 MB. */
const CHUNKS_A_ROUND = 1_000_000;
/** Snapshots whose new places are stored before their revisions are written. */
const SNAPSHOTS_TOGETHER = 32;

export interface Compacted {
  /** Packs that were emptied; a later collection frees them. */
  packs: number;
  bytes: number;
  /** What was written instead. */
  writtenBytes: number;
  /** Snapshots that have their streams in other places now. */
  snapshots: number;
  /** What could not be read, and so was left as it is. */
  faults: TidemarkError[];
}

export interface CompactOptions {
  rules: CompactionRules;
  /** The right to prune. */
  lease: Lease;
  signal?: AbortSignal;
  progress?(bytes: number): void;
}

/** Carries out the plan of one database; may be stopped anywhere. Throws LEASE_LOST where somebody else took over. */
export async function compact(
  repository: Repository,
  plan: CompactionPlan,
  options: CompactOptions,
): Promise<Compacted> {
  const total: Compacted = { packs: 0, bytes: 0, writtenBytes: 0, snapshots: 0, faults: [] };
  for (let left = [...plan.packs]; left.length > 0; ) {
    options.signal?.throwIfAborted();
    const round = left.slice(0, PACKS_A_ROUND);
    const postponed = await new Round(repository, plan, options, round, total).run();
    left = [...postponed.map(index => round[index]!), ...left.slice(PACKS_A_ROUND)];
    options.progress?.(round.reduce((sum, pack) => sum + pack[2], 0));
  }
  return total;
}

/** A session of its own: it reads, copies and commits some packs' worth. */
class Round {
  readonly #repository: Repository;
  readonly #plan: CompactionPlan;
  readonly #options: CompactOptions;
  readonly #total: Compacted;
  readonly #chunks: MovedChunks;
  /** Of the snapshots: number of the manifest that counts, and of the revision to be written. */
  readonly #numbers = new Map<string, { current: number; next: number }>();
  /** Those that name any of the packs. */
  readonly #surveyed: string[] = [];
  /** Packs, by index, of snapshots that could not be revised. */
  readonly #stillNamed = new Set<number>();

  constructor(
    repository: Repository,
    plan: CompactionPlan,
    options: CompactOptions,
    packs: readonly (readonly [string, number, ...unknown[]])[],
    total: Compacted,
  ) {
    this.#repository = repository;
    this.#plan = plan;
    this.#options = options;
    this.#total = total;
    this.#chunks = new MovedChunks(
      packs.map(([session, number]) => [session, number]),
      CHUNKS_A_ROUND,
    );
  }

  /** Gives the packs, by index, that have to wait for another round. */
  async run(): Promise<number[]> {
    return RevisionRound.run(this.#repository, 'compaction', this.#options.lease, async round => {
      const session = new RewriteSession(this.#repository, round.id, DEFAULT_LEVEL);
      const rewrite = this.#rewrite(session);
      await this.#survey(rewrite);
      const pays = this.#leaveFull(rewrite);
      const postponed = [...this.#chunks.packs.keys()].filter(index => this.#chunks.isPostponed(index));
      if (pays) await this.#empty(rewrite, session, round);
      return postponed;
    });
  }

  #rewrite(session: RewriteSession): Rewrite {
    const { storage, keys } = this.#repository;
    return new Rewrite(this.#repository, this.#chunks, session, {
      open: manifest => new SnapshotReader(storage, keys, manifest, { verifyIds: true }),
      chunks: (table, pack, chunks) => readChunks(storage, keys, table, pack, chunks),
    });
  }

  async #survey(rewrite: Rewrite): Promise<void> {
    const revisions = await listRevisions(this.#repository.storage);
    for (const name of this.#plan.snapshots) {
      const of = revisions.get(name);
      this.#numbers.set(name, { current: currentRevision(of), next: nextRevision(of) });
    }
    for await (const manifest of this.#repository.read(this.#plan.snapshots, { revisions })) {
      this.#options.signal?.throwIfAborted();
      const name = manifestName(manifest);
      if ((manifest.revised?.number ?? 0) !== this.#numbers.get(name)!.current) this.#leaveAll(manifest);
      else if (rewrite.concerns(manifest)) await this.#surveyOne(rewrite, manifest);
    }
  }

  /** What can't be read can't be moved, nor can the packs it names be emptied. */
  async #surveyOne(rewrite: Rewrite, manifest: Manifest): Promise<void> {
    try {
      await rewrite.survey(manifest);
      this.#surveyed.push(manifestName(manifest));
    } catch (error) {
      this.#note(error);
      this.#leaveAll(manifest);
    }
  }

  #leaveAll({ packs }: Manifest): void {
    for (const [session, number] of packs) {
      const index = this.#chunks.packIndex(session, number);
      if (index !== -1) this.#chunks.leave(index);
    }
  }

  /** Takes faults of what is stored; anything else ends the run. */
  #note(error: unknown): void {
    const fault = asTidemarkError(error);
    if (fault.kind !== 'fault' && fault.code !== 'OBJECT_FROZEN') throw error;
    this.#total.faults.push(fault);
  }

  /** Leaves packs that turn out not to be dead enough; false if what is left is not worth it. */
  #leaveFull(rewrite: Rewrite): boolean {
    const { maxDead } = this.#options.rules;
    const { packs, listBytes } = rewrite.found();
    let [dead, live] = [0, listBytes];
    for (const { index, pack } of packs) {
      const share = pack.plainBytes > 0 ? Math.min(1, pack.liveBytes / pack.plainBytes) : 1;
      const sizeBytes = pack.ref[2];
      if (1 - share <= maxDead) this.#chunks.leave(index);
      else {
        dead += sizeBytes * (1 - share);
        live += sizeBytes * share;
      }
    }
    return dead > 0 && dead >= live;
  }

  async #empty(rewrite: Rewrite, session: RewriteSession, round: RevisionRound): Promise<void> {
    await rewrite.moveChunks(error => this.#note(error), this.#options.signal);
    this.#surveyed.reverse(); // the newest first
    await round.announce(this.#surveyed.map(name => [name, this.#numbers.get(name)!.next]));
    for (let from = 0; from < this.#surveyed.length; from += SNAPSHOTS_TOGETHER) {
      this.#options.signal?.throwIfAborted();
      const some = this.#surveyed.slice(from, from + SNAPSHOTS_TOGETHER);
      await this.#revise(rewrite, session, round, some);
    }
    for (const { index, pack } of rewrite.found().packs) {
      if (!this.#chunks.isMoved(index) || this.#stillNamed.has(index)) continue;
      this.#total.packs++;
      this.#total.bytes += pack.ref[2];
    }
    this.#total.writtenBytes += session.storedBytes;
  }

  async #revise(
    rewrite: Rewrite,
    session: RewriteSession,
    round: RevisionRound,
    names: string[],
  ): Promise<void> {
    const done: { before: Manifest; rewritten: Rewritten; number: number }[] = [];
    for (const name of names) {
      const { current, next } = this.#numbers.get(name)!;
      const before = await this.#readAgain(name, current);
      if (before && rewrite.concerns(before))
        done.push({ before, rewritten: await rewrite.rewrite(before), number: next });
    }
    await session.flush();
    const revisions = done.map(({ before, rewritten, number }): Revision => {
      const { streams, counts } = rewritten;
      return { before, number, after: { ...rewrite.packTable(before, rewritten), streams, counts } };
    });
    const written = await round.write(revisions);
    this.#total.snapshots += written.length;
    for (const { before } of revisions) if (!written.includes(manifestName(before))) this.#noteNamed(before);
  }

  #noteNamed({ packs }: Manifest): void {
    for (const [session, number] of packs) this.#stillNamed.add(this.#chunks.packIndex(session, number));
  }

  /** Undefined where the snapshot was forgotten. */
  async #readAgain(name: string, number: number): Promise<Manifest | undefined> {
    return this.#repository.revision(name, number).catch(unlessMissing);
  }
}
