import { availableParallelism } from 'node:os';
import { failureOf, faultError, type TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { logicalFacts } from '../../capture/logical/part.ts';
import type { PackFindings, PackJob } from '../../repository/check/check.ts';
import { CheckPlan, type PlanFault } from '../../repository/check/checkPlan.ts';
import { packName } from '../../repository/format/packName.ts';
import { readHolds } from '../../repository/guards/holds.ts';
import { checkKeys } from '../../repository/keys/checkKeys.ts';
import { type Manifest, snapshotOf } from '../../repository/manifest.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import { shareOf } from '../../storage/index.ts';
import { oldestFirst, type Spending } from './budget.ts';
import { checkPacks, type JobFacts } from './checkPacks.ts';
import { Faults } from './faults.ts';
import { Looks } from './looks.ts';
import { ALL_LOST, isWholeStill, type Lost } from './lost.ts';
import { PackRoster, type SnapshotCoverage } from './roster.ts';
import type { Chosen } from './select.ts';
import { SnapshotCheck } from './snapshot.ts';

const WORKERS_MAX = 8;
/**
 * Snapshots are verified together, so that packs they share are read once, until they name this many packs and parts;
 * the rest follow in another pass.
 */
const REFERENCES_HELD = 1_000_000;
/** A part takes as much memory as this many packs. */
const PART_WEIGHT = 10;

export interface VerifiedSnapshot {
  snapshot: string;
  database: string | null;
  repository: string;
  ok: boolean;
  tables: number;
  rows: number;
  /** Plain bytes. */
  bytes: number;
  /** What of it can't be restored; null where everything can. */
  lost: Lost | null;
}

/** What is known of a snapshot that was not opened yet. */
const UNKNOWN = { database: null, ok: false, tables: 0, rows: 0, bytes: 0, lost: null };

/** Whether a pack is one of those to be looked at. */
export type SuspectedPacks = (session: string, number: number) => boolean;

export interface RunOptions {
  reporter: Reporter;
  signal: AbortSignal;
  /** Checks since then count as coverage, that long before now. */
  coverageMs: number;
}

/** The verification of one repository after another, and what it has found so far. */
export class VerifyRun {
  readonly faults = new Faults();
  readonly snapshots: VerifiedSnapshot[] = [];
  readonly coverage: SnapshotCoverage[] = [];
  /** Packs that were read, of those that the snapshots need. */
  readonly packs = { checked: 0, all: 0 };
  objects = 0;
  bytesRead = 0;
  readonly #options: RunOptions;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Everything that the chosen snapshots need. */
  async repository(chosen: Chosen): Promise<void> {
    await this.#small(chosen);
    const roster = new PackRoster();
    const looks = new Looks(chosen.repository, chosen.name, this.#options.reporter, true);
    try {
      for (let next = 0; next < chosen.names.length; ) next = await this.#pass(chosen, next, roster, looks);
    } finally {
      await looks.record(await this.#stillCount(chosen, roster));
    }
    this.packs.all += roster.packs.size;
    await this.#cover(chosen, roster);
  }

  /**
   * Only some packs, held against everything that the chosen snapshots need of them: says what is hurt by damage that is
   * known, or suspected.
   *
   * @param record whether what was found is recorded.
   */
  async suspects(chosen: Chosen, suspected: SuspectedPacks, record: boolean): Promise<void> {
    const roster = new PackRoster();
    const { name, repository, names } = chosen;
    const looks = record ? new Looks(repository, name, this.#options.reporter, true) : undefined;
    for (let next = 0; next < names.length; ) next = await this.#pass(chosen, next, roster, looks, suspected);
    await looks?.record(await this.#stillCount(chosen, roster));
  }

  /** The packs that were not read for longest, as many as may be spent on. */
  async budgeted(chosen: Chosen, spending: Spending): Promise<void> {
    await this.#small(chosen);
    const { reporter } = this.#options;
    const roster = await this.#roster(chosen);
    const looks = new Looks(chosen.repository, chosen.name, reporter, false);
    reporter.begin('verifying', null);
    try {
      const jobs = oldestFirst(roster, await PackChecks.read(chosen.repository), spending);
      await this.#check(chosen, jobs, looks, (job, findings) => {
        this.objects++;
        for (const { code, message, hint } of findings.faults) {
          const hurt = roster.needing(job.session, job.number);
          const object = `packs/${packName(job.session, job.number)}`;
          this.faults.add(chosen.name, object, { code, message, hint }, hurt);
        }
      });
    } finally {
      await looks.record(await this.#stillCount(chosen, roster));
      reporter.end();
    }
    this.packs.all += roster.packs.size;
    await this.#cover(chosen, roster);
  }

  /** Where the verification of a repository ended midway: nothing in it counts as verified. */
  brokenOff(repository: string, { code, message, hint }: TidemarkError): void {
    for (let i = this.snapshots.length - 1; i >= 0; i--)
      if (this.snapshots[i]!.repository === repository) this.snapshots.splice(i, 1);
    const said = `the verification of ${repository} ended midway: ${message}`;
    this.faults.add(repository, 'repository.json', { code, message: said, hint }, []);
  }

  /** The databases that snapshots were found of in a repository. */
  databasesIn(repository: string): Set<string> {
    const found = [...this.snapshots, ...this.coverage].filter(each => each.repository === repository);
    return new Set(found.flatMap(each => each.database ?? []));
  }

  /** What is small is checked always. */
  async #small(chosen: Chosen): Promise<void> {
    const keys = await checkKeys(chosen.repository);
    this.objects += keys.objects;
    this.bytesRead += keys.bytesRead;
    for (const { object, error } of keys.faults) this.faults.add(chosen.name, object, error, []);
    await this.#holds(chosen);
  }

  async #roster({ name, repository, names }: Chosen): Promise<PackRoster> {
    const roster = new PackRoster();
    const damaged = (each: string, error: TidemarkError) =>
      this.faults.add(name, `snapshots/${each}`, error, [snapshotOf(each)]);
    for await (const manifest of repository.read(names, { damaged })) {
      this.#options.signal.throwIfAborted();
      this.objects++;
      roster.add(manifest);
    }
    return roster;
  }

  /** Which packs still count can be said only where every snapshot was asked. */
  async #stillCount({ repository }: Chosen, roster: PackRoster) {
    const names = await repository.snapshotNames();
    if (names.some(name => !roster.knows(name))) return undefined;
    return (session: string, number: number) => roster.has(session, number);
  }

  async #cover({ name, repository }: Chosen, roster: PackRoster): Promise<void> {
    const now = await repository.storage.now();
    const since = new Date(now.getTime() - this.#options.coverageMs);
    const checks = await PackChecks.read(repository);
    for (const each of roster.coverage(name, checks, since)) this.coverage.push(each);
  }

  /** One that can't be read hurts no snapshot, and goes on holding; but nobody knows until when, and why. */
  async #holds({ name, repository }: Chosen): Promise<void> {
    for (const [snapshot, holds] of await readHolds(repository, await repository.storage.now())) {
      this.objects += holds.length;
      for (const { id, reason } of holds) {
        if (reason !== null) continue;
        const object = `holds/${snapshot}/${id}`;
        const hint = `release it and place another: tidemark release ${snapshot} ${id}`;
        const fault = faultError('HOLD_UNREADABLE', `${object} can't be read; it goes on holding`, hint);
        this.faults.add(name, object, fault, []);
      }
    }
  }

  /** Verifies snapshots from `first` on, as many as memory allows; gives the first of the next pass. */
  async #pass(
    chosen: Chosen,
    first: number,
    roster: PackRoster,
    looks: Looks | undefined,
    suspected?: SuspectedPacks,
  ): Promise<number> {
    const { repository, names } = chosen;
    const { signal, reporter } = this.#options;
    const open: { check: SnapshotCheck; result: VerifiedSnapshot }[] = [];
    const plan = new CheckPlan(repository.storage, repository.keys, fault =>
      this.#planFault(chosen, plan, fault),
    );
    reporter.begin('opening snapshots', null);
    let weight = 0;
    let next = first;
    for (; next < names.length && weight < REFERENCES_HELD; next++) {
      signal.throwIfAborted();
      const found = await this.#manifest(chosen, names[next]!);
      if (!found) continue;
      const { manifest, result } = found;
      roster.add(manifest);
      weight += manifest.packs.length + PART_WEIGHT * manifest.counts.parts;
      const each = names[next]!;
      const check = await SnapshotCheck.open(repository, manifest, plan, (fault, tables) =>
        this.faults.add(chosen.name, `snapshots/${each}`, fault, [snapshotOf(each)], tables),
      );
      open.push({ check, result });
    }
    await plan.count(signal);
    await this.#packs(chosen, plan, looks, suspected);
    for (const { check, result } of open) {
      if (!suspected) check.judge(plan);
      const lost = check.lost(plan);
      result.lost = isWholeStill(lost) ? null : lost;
      this.bytesRead += check.bytesRead;
    }
    this.objects += plan.packCount;
    this.bytesRead += plan.bytesRead;
    reporter.end();
    return next;
  }

  async #packs(
    chosen: Chosen,
    plan: CheckPlan,
    looks: Looks | undefined,
    suspected?: SuspectedPacks,
  ): Promise<void> {
    const { signal, reporter } = this.#options;
    reporter.begin('verifying', suspected ? null : plan.packBytes);
    const jobs = suspected ? among(plan.jobs(signal), suspected) : plan.jobs(signal);
    await this.#check(chosen, jobs, looks, (job, findings) => plan.apply(job, findings));
  }

  async #check(
    { repository, storage }: Chosen,
    jobs: AsyncIterable<PackJob> | Iterable<PackJob>,
    looks: Looks | undefined,
    found: (job: JobFacts, findings: PackFindings) => void,
  ): Promise<void> {
    const { signal, reporter } = this.#options;
    const workers = Math.max(1, Math.min(WORKERS_MAX, availableParallelism()));
    await checkPacks(recordedNowAndThen(jobs, looks), {
      workers,
      data: { storage: shareOf(storage, workers), keys: repository.keys.ring },
      signal,
      checked: (job, findings) => {
        this.bytesRead += findings.bytesRead;
        this.packs.checked++;
        found(job, findings);
        looks?.add(job, findings.faults);
        reporter.advance(job.sizeBytes);
      },
    });
  }

  async #manifest(
    { name, repository }: Chosen,
    each: string,
  ): Promise<{ manifest: Manifest; result: VerifiedSnapshot } | undefined> {
    const object = `snapshots/${each}`;
    const id = snapshotOf(each);
    this.objects++;
    const result: VerifiedSnapshot = { ...UNKNOWN, snapshot: id, repository: name };
    this.snapshots.push(result);
    try {
      const manifest = await repository.manifest(each);
      const { database, counts } = manifest;
      this.bytesRead += (await repository.storage.stat(object))?.sizeBytes ?? 0;
      const { tables, rows } = logicalFacts(manifest).source;
      const { bytesRead } = counts;
      Object.assign(result, { database, tables, rows, bytes: bytesRead });
      return { manifest, result };
    } catch (error) {
      result.lost = ALL_LOST;
      this.faults.add(name, object, failureOf(error), [id]);
      return undefined;
    }
  }

  /** From streams to the names that a person knows. */
  #planFault({ name }: Chosen, plan: CheckPlan, fault: PlanFault): void {
    const users = fault.streams.flatMap(stream => plan.streams[stream]!.users);
    const snapshots = [...new Set([...users.map(user => user.snapshot), ...fault.snapshots])];
    const tables = users.map(user => user.name);
    const objects = fault.object === null ? snapshots.map(each => `snapshots/${each}`) : [fault.object];
    for (const object of objects)
      this.faults.add(name, object, fault.error, snapshots.map(snapshotOf), tables);
  }
}

async function* among(jobs: AsyncIterable<PackJob>, suspected: SuspectedPacks): AsyncIterable<PackJob> {
  for await (const job of jobs) if (suspected(job.session, job.number)) yield job;
}

async function* recordedNowAndThen(
  jobs: AsyncIterable<PackJob> | Iterable<PackJob>,
  looks: Looks | undefined,
): AsyncIterable<PackJob> {
  for await (const job of jobs) {
    await looks?.recordNowAndThen();
    yield job;
  }
}
