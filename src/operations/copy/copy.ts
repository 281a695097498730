import { asTidemarkError, type TidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { DEFAULT_LEVEL } from '../../repository/format/seal.ts';
import type { Manifest } from '../../repository/manifest.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { databaseOf, openPlace, repositoryOf } from '../open/open.ts';
import { type Candidate, chooseCopies, type Wanted } from './choose.ts';
import { copySnapshot } from './copySnapshot.ts';
import { takeHoldsAlong } from './holds.ts';

export interface CopyCommand extends Wanted {
  strategy: Strategy;
  /** Names of repositories. */
  from: string;
  to: string;
  dryRun: boolean;
  jobs: number | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** What `tidemark copy --json` prints; sizes in bytes, times ISO 8601. */
export interface CopyResult {
  from: string;
  to: string;
  dryRun: boolean;
  /** Those wanted that the target lacked, oldest first. */
  snapshots: CopiedSnapshot[];
  /** How many of those wanted were there already; null where only one database is. */
  there: number | null;
  seconds: number;
}

/**
 * `pending`: not copied, since this is a dry run, or since the target failed before. `left`: retention would forget it there
 * at once.
 */
export interface CopiedSnapshot {
  snapshot: string;
  /** Null where the source's manifest can't be read, as are the times and sizes then. */
  database: string | null;
  started: string | null;
  state: 'copied' | 'there' | 'pending' | 'left' | 'failed';
  /** Plain bytes. */
  bytesRead: number | null;
  bytesAdded: number | null;
  reason: string | null;
  error: TidemarkError | null;
}

/**
 * Brings snapshots from one repository into another, oldest first. One that the source can't give does not stop the
 * others; a failure of the target does.
 */
export async function copy(command: CopyCommand): Promise<CopyResult> {
  const started = performance.now();
  const { strategy, dryRun, signal } = command;
  refuseNonsense(command);
  const from = await openPlace(strategy, command.from, signal);
  const to = await openPlace(strategy, command.to, signal);
  const { candidates, there } = await chooseCopies(strategy, from, to, command);
  // One that is not in the strategy may still have snapshots.
  if (command.database !== null && candidates.length === 0) databaseOf(strategy, command.database);
  const snapshots = candidates.map(describe);
  let stopped = dryRun;
  for (const [i, { manifest, left, holds }] of candidates.entries()) {
    signal.throwIfAborted();
    if (stopped || left !== null || manifest === null) continue;
    const { jobs, version, reporter } = command;
    const how = { ...storedAs(strategy, manifest, to.name), jobs, version, reporter, signal };
    try {
      const copied = await copySnapshot({ from, to, manifest, ...how });
      snapshots[i]!.state = copied ? 'copied' : 'there';
      snapshots[i]!.bytesAdded = copied?.counts.bytesAdded ?? null;
      if (copied) await takeHoldsAlong(to, manifest.snapshot, holds, line => reporter.note(line));
    } catch (error) {
      signal.throwIfAborted();
      Object.assign(snapshots[i]!, { state: 'failed', error: asTidemarkError(error) });
      stopped = to.failed(error); // the next would fail in the same way
    } finally {
      reporter.end();
    }
  }
  const seconds = (performance.now() - started) / 1000;
  return { from: command.from, to: command.to, dryRun, snapshots, there, seconds };
}

function refuseNonsense({ strategy, from, to }: CopyCommand): void {
  repositoryOf(strategy, from);
  repositoryOf(strategy, to);
  if (from === to) {
    throw usageError(
      'COPY_SAME',
      `${from} is both source and target`,
      'give two repositories of the strategy',
    );
  }
}

function describe({ snapshot, manifest, error, left }: Candidate): CopiedSnapshot {
  const { database = null, started = null, bytesRead = null } = manifest ?? {};
  return {
    snapshot,
    database,
    started,
    state: error ? 'failed' : left === null ? 'pending' : 'left',
    bytesRead,
    bytesAdded: null,
    reason: left,
    error,
  };
}

/** How the plan that made a snapshot stores it in a repository. */
export function storedAs(
  strategy: Strategy,
  { plan }: Pick<Manifest, 'plan'>,
  repository: string,
): { level: number; storageClass: string | null } {
  const spec = strategy.plans.get(plan ?? '');
  const ours = spec?.store.includes(repository) ?? false;
  return {
    level: spec?.compression ?? DEFAULT_LEVEL,
    storageClass: ours ? (spec?.storageClass ?? null) : null,
  };
}
