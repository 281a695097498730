import { availableParallelism } from 'node:os';
import { asTidemarkError, faultError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { checkKeys } from '../../repository/checkKeys.ts';
import { CheckPlan, type PlanFault } from '../../repository/checkPlan.ts';
import { readHolds } from '../../repository/holds.ts';
import { type Manifest, snapshotOf } from '../../repository/manifest.ts';
import { shareOf } from '../../storage/index.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { runCrew } from './crew.ts';
import { Faults, type VerifyFault } from './faults.ts';
import { type Choice, type Chosen, chooseSnapshots } from './select.ts';
import { SnapshotCheck } from './snapshot.ts';

const WORKERS_MAX = 8;
/**
 * Snapshots are verified together, so that packs they share are read once, until they name this many packs and parts;
 * the rest follow in another pass.
 */
const REFERENCES_HELD = 1_000_000;
/** A part takes as much memory as this many packs. */
const PART_WEIGHT = 10;

export interface VerifyRequest extends Choice {
  strategy: Strategy;
  reporter: Reporter;
  signal: AbortSignal;
}

export interface VerifiedSnapshot {
  snapshot: string;
  database: string | null;
  repository: string;
  ok: boolean;
  tables: number;
  rows: number;
  /** Plain bytes. */
  bytes: number;
}

/** What `tidemark verify --json` prints. */
export interface VerifyResult {
  ok: boolean;
  snapshots: VerifiedSnapshot[];
  /** Objects read, and their bytes. */
  objects: number;
  bytesRead: number;
  faults: VerifyFault[];
  seconds: number;
}

/** Reads every byte that the snapshots need and checks it; what is wrong is in the result, not thrown. */
export async function verify(request: VerifyRequest): Promise<VerifyResult> {
  const started = performance.now();
  const { strategy, given, all } = request;
  if (all && given.length > 0) {
    throw usageError('VERIFY_TWICE', 'snapshots are given, and --all', 'give one or the other');
  }
  const run = new VerifyRun(request);
  for (const chosen of await chooseSnapshots(strategy, request, run.faults)) await run.repository(chosen);
  const faults = run.faults.list();
  if (run.snapshots.length === 0 && faults.length === 0) {
    throw usageError(
      'NO_SNAPSHOTS',
      'there is no snapshot to verify',
      'take one with: tidemark backup <database>',
    );
  }
  const hurt = new Set(faults.flatMap(fault => fault.snapshots.map(id => `${fault.repository} ${id}`)));
  for (const each of run.snapshots) each.ok = !hurt.has(`${each.repository} ${each.snapshot}`);
  const { snapshots, objects, bytesRead } = run;
  const seconds = (performance.now() - started) / 1000;
  return { ok: faults.length === 0, snapshots, objects, bytesRead, faults, seconds };
}

class VerifyRun {
  readonly faults = new Faults();
  readonly snapshots: VerifiedSnapshot[] = [];
  objects = 0;
  bytesRead = 0;
  readonly #request: VerifyRequest;

  constructor(request: VerifyRequest) {
    this.#request = request;
  }

  async repository(chosen: Chosen): Promise<void> {
    const keys = await checkKeys(chosen.repository);
    this.objects += keys.objects;
    this.bytesRead += keys.bytesRead;
    for (const { object, error } of keys.faults) this.faults.add(chosen.name, object, error, []);
    await this.#holds(chosen);
    for (let next = 0; next < chosen.names.length; ) next = await this.#pass(chosen, next);
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
  async #pass(chosen: Chosen, first: number): Promise<number> {
    const { repository, names } = chosen;
    const { signal, reporter } = this.#request;
    const open: SnapshotCheck[] = [];
    const plan = new CheckPlan(repository.storage, repository.keys, fault =>
      this.#planFault(chosen, plan, fault),
    );
    reporter.begin('opening snapshots', null);
    let weight = 0;
    let next = first;
    for (; next < names.length && weight < REFERENCES_HELD; next++) {
      signal.throwIfAborted();
      const manifest = await this.#manifest(chosen, names[next]!);
      if (!manifest) continue;
      weight += manifest.packs.length + PART_WEIGHT * manifest.counts.tables;
      const each = names[next]!;
      open.push(
        await SnapshotCheck.open(repository, manifest, plan, (fault, tables) =>
          this.faults.add(chosen.name, `snapshots/${each}`, fault, [snapshotOf(each)], tables),
        ),
      );
    }
    await plan.count(signal);
    await this.#packs(chosen, plan);
    for (const snapshot of open) {
      snapshot.judge(plan);
      this.bytesRead += snapshot.bytesRead;
    }
    this.objects += plan.packCount;
    this.bytesRead += plan.bytesRead;
    reporter.end();
    return next;
  }

  async #packs(chosen: Chosen, plan: CheckPlan): Promise<void> {
    const { signal, reporter } = this.#request;
    const { keys } = chosen.repository;
    reporter.begin('verifying', plan.packBytes);
    const workers = Math.max(1, Math.min(WORKERS_MAX, availableParallelism()));
    await runCrew(plan.jobs(signal), {
      workers,
      data: { storage: shareOf(chosen.storage, workers), keys: keys.ring },
      signal,
      checked: (job, findings) => {
        this.bytesRead += findings.bytesRead;
        plan.apply(job, findings);
        reporter.advance(job.sizeBytes);
      },
    });
  }

  async #manifest({ name, repository }: Chosen, each: string): Promise<Manifest | undefined> {
    const object = `snapshots/${each}`;
    const id = snapshotOf(each);
    this.objects++;
    const result = {
      snapshot: id,
      database: null,
      repository: name,
      ok: false,
      tables: 0,
      rows: 0,
      bytes: 0,
    };
    try {
      const manifest = await repository.manifest(each);
      const { database, counts } = manifest;
      this.bytesRead += (await repository.storage.stat(object))?.sizeBytes ?? 0;
      const { tables, rows, bytesRead } = counts;
      this.snapshots.push({ ...result, database, tables, rows, bytes: bytesRead });
      return manifest;
    } catch (error) {
      this.snapshots.push(result);
      this.faults.add(name, object, asTidemarkError(error), [id]);
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
