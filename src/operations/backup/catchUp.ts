import { asTidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import type { Hold } from '../../repository/guards/holds.ts';
import { type Manifest, snapshotOf } from '../../repository/manifest.ts';
import { newestFirst } from '../../repository/newest.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { chooseCopies, type KeptManifest } from '../copy/choose.ts';
import { storedAs } from '../copy/copy.ts';
import { copySnapshot } from '../copy/copySnapshot.ts';
import { takeHoldsAlong } from '../copy/holds.ts';
import type { OpenPlace } from '../open/open.ts';

export interface CatchUpRun {
  strategy: Strategy;
  jobs: number | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Brings what a repository missed of a database, because it failed when the backups were made: snapshots newer than the
 * newest it had before `latest`, of plans that store to it, unless retention would forget them at once. A repository that
 * had none yet is new: its past is brought by `tidemark copy`, when somebody wants it. What can't be brought is noted and
 * does not fail the backup, whose own snapshot is there.
 */
export async function catchUp(
  run: CatchUpRun,
  others: readonly OpenPlace[],
  to: OpenPlace,
  latest: Manifest,
): Promise<{ caughtUp: string[]; missing: string[] }> {
  const caughtUp = new Set<string>();
  const missing = new Set<string>();
  try {
    const after = await newestBefore(to.repository, latest);
    for (const from of after === undefined ? [] : others) {
      for (const { manifest, holds } of await missed(run.strategy, from, to, latest, after!)) {
        const done = await bring(run, from, to, manifest, holds);
        (done ? caughtUp : missing).add(manifest.snapshot);
      }
    }
  } catch (error) {
    run.signal.throwIfAborted();
    noteFailure(run, `what ${to.name} missed could not be found out`, error);
  }
  return { caughtUp: [...caughtUp], missing: [...missing].filter(each => !caughtUp.has(each)) };
}

async function bring(
  run: CatchUpRun,
  from: OpenPlace,
  to: OpenPlace,
  manifest: KeptManifest,
  holds: readonly Hold[],
): Promise<boolean> {
  const { strategy, jobs, version, reporter, signal } = run;
  signal.throwIfAborted();
  try {
    const how = { ...storedAs(strategy, manifest, to.name), jobs, version, reporter, signal };
    const copied = await copySnapshot({ from, to, manifest, ...how });
    if (copied) await takeHoldsAlong(to, manifest.snapshot, holds, line => reporter.note(line));
    return true;
  } catch (error) {
    signal.throwIfAborted();
    noteFailure(run, `snapshot ${manifest.snapshot} could not be brought to ${to.name}`, error);
    return false;
  } finally {
    reporter.end();
  }
}

function noteFailure({ reporter }: CatchUpRun, what: string, error: unknown): void {
  const { message, code } = asTidemarkError(error);
  reporter.note(`warning: ${what}: ${message} [${code}]`);
}

/** Manifests, as `from` has them, and holds of what `to` should have and lacks. */
async function missed(
  strategy: Strategy,
  from: OpenPlace,
  to: OpenPlace,
  { database }: Manifest,
  after: string,
): Promise<{ manifest: KeptManifest; holds: Hold[] }[]> {
  const { candidates } = await chooseCopies(strategy, from, to, { given: [], database, all: false, after });
  return candidates.flatMap(({ left, manifest, holds }) => {
    const stores = strategy.plans.get(manifest?.plan ?? '')?.store;
    return manifest && left === null && stores?.includes(to.name) ? { manifest, holds } : [];
  });
}

/** The newest snapshot of the database that is older than the latest. */
async function newestBefore(repository: Repository, latest: Manifest): Promise<string | undefined> {
  const names = (await repository.snapshotNames()).filter(name => snapshotOf(name) < latest.snapshot);
  for await (const manifest of newestFirst(repository, { names }))
    if (manifest.database === latest.database) return manifest.snapshot;
  return undefined;
}
