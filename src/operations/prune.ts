import { asTidemarkError, TidemarkError, usageError } from '../base/errors.ts';
import type { Reporter } from '../base/progress.ts';
import {
  type Amount,
  amount,
  type CollectionPlan,
  collect,
  GRACE_MS,
  planCollection,
} from '../repository/collect.ts';
import { type Holdings, readHoldings } from '../repository/holdings.ts';
import { Lease } from '../repository/lease.ts';
import { snapshotOf } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { Freed } from './freed.ts';
import { openRepository } from './open.ts';
import { type Retained, type RetainedGroup, retain } from './retain.ts';

export interface PruneRequest {
  strategy: Strategy;
  dryRun: boolean;
  reporter: Reporter;
  signal: AbortSignal;
  /** Shown before anything is forgotten or deleted; false ends it with nothing done. */
  confirm(planned: PrunedRepository[]): Promise<boolean>;
}

/** What `tidemark prune --json` prints. */
export interface PruneResult {
  dryRun: boolean;
  repositories: PrunedRepository[];
}

export interface PrunedRepository {
  repository: string;
  /** Newest first. */
  snapshots: Retained[];
  /** The same by database and plan. */
  groups: PrunedGroup[];
  /** Snapshots that were forgotten, or would be. */
  forgotten: string[];
  /** What comes free because of them, a day later. */
  frees: Amount;
  /** Packs found to be needed no more. */
  condemned: Amount;
  freed: Amount;
  /** All that are condemned and not yet freed; `until` is when the last may go, `for` the backups that must end before. */
  waiting: Amount & { until: string | null; for: string[] };
  /** Why nothing, or not everything, was done here. */
  error: TidemarkError | null;
}

/** What a plan made of a database. */
export interface PrunedGroup {
  database: string;
  plan: string | null;
  /** Its rules in words, or why none decides. */
  keep: string;
  snapshots: string[];
  forgotten: string[];
  /** What would come free if these alone were forgotten. */
  frees: Amount;
}

interface Prepared {
  name: string;
  repository: Repository;
  holdings: Holdings;
  retained: RetainedGroup[];
  freed: Freed;
  plan: CollectionPlan;
}

/**
 * Forgets what no rule keeps, then collects, in every repository of the strategy. One that fails doesn't stop the others.
 */
export async function prune(request: PruneRequest): Promise<PruneResult> {
  const { strategy, dryRun, signal } = request;
  const prepared = new Map<string, Prepared | TidemarkError>();
  for (const name of strategy.repositories.keys()) {
    signal.throwIfAborted();
    prepared.set(name, await prepare(strategy, name).catch(asTidemarkError));
  }
  const outcomes = [...prepared].map(([name, each]) =>
    each instanceof TidemarkError ? failed(name, each) : outcome(each, forgettable(each.retained), each.plan),
  );
  if (dryRun) return result(dryRun, outcomes);
  const destroys = outcomes.some(each => each.forgotten.length > 0 || each.freed.packs > 0);
  if (destroys && !(await request.confirm(outcomes))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the prune was not confirmed',
      'nothing was done; confirm it, say --yes, or look at it with --dry-run',
    );
  }
  for (const [i, each] of [...prepared.values()].entries()) {
    if (each instanceof TidemarkError) continue;
    signal.throwIfAborted();
    outcomes[i] = await carryOut(request, each).catch(error => {
      signal.throwIfAborted();
      return failed(each.name, asTidemarkError(error), each);
    });
  }
  return result(dryRun, outcomes);
}

async function prepare(strategy: Strategy, name: string): Promise<Prepared> {
  const repository = await openRepository(strategy, name);
  const holdings = await readHoldings(repository);
  const retained = retain(strategy, name, holdings);
  const plan = planCollection(holdings, new Set(forgettable(retained)));
  return { name, repository, holdings, retained, freed: new Freed(holdings), plan };
}

/** Looks again once nobody else can prune: of what was shown, only what is still to be forgotten is. */
async function carryOut(request: PruneRequest, prepared: Prepared): Promise<PrunedRepository> {
  const { strategy, reporter, signal } = request;
  const { name, repository } = prepared;
  const lease = await Lease.takePrune(repository.storage);
  try {
    reporter.begin(`pruning ${name}`, null);
    let holdings = await readHoldings(repository, prepared.holdings);
    const shown = new Set(forgettable(prepared.retained));
    const retained = retain(strategy, name, holdings);
    const forgotten = forgettable(retained).filter(each => shown.has(each));
    const freed = new Freed(holdings);
    for (const each of forgotten) {
      signal.throwIfAborted();
      await lease.hold();
      await forgetOnce(repository, each);
    }
    if (forgotten.length > 0) holdings = await readHoldings(repository, holdings);
    const plan = planCollection(holdings);
    await collect(repository, plan, lease, signal);
    return outcome({ ...prepared, holdings, retained, freed }, forgotten, plan);
  } finally {
    await lease.release();
    reporter.end();
  }
}

/** Somebody else may have forgotten it meanwhile. */
export async function forgetOnce(repository: Repository, name: string): Promise<void> {
  try {
    await repository.forget(name);
  } catch (error) {
    if ((error as TidemarkError).code !== 'OBJECT_MISSING') throw error;
  }
}

const forgettable = (groups: RetainedGroup[]): string[] =>
  groups.flatMap(({ snapshots }) => snapshots.filter(each => !each.keep).map(each => each.name));

/** What was retained, as it is shown. */
function described(
  { retained, freed }: Pick<Prepared, 'retained' | 'freed'>,
  forgotten: string[],
): Pick<PrunedRepository, 'snapshots' | 'groups' | 'forgotten' | 'frees'> {
  const gone = new Set(forgotten);
  const groups = retained.map(group => {
    const names = group.snapshots.map(each => each.name);
    const own = names.filter(name => gone.has(name));
    return {
      ...group,
      snapshots: names.map(snapshotOf),
      forgotten: own.map(snapshotOf),
      frees: freed.by(own),
    };
  });
  const snapshots = retained.flatMap(group => group.snapshots);
  snapshots.sort((a, b) => (a.name < b.name ? 1 : -1));
  return { snapshots, groups, forgotten: forgotten.map(snapshotOf), frees: freed.by(forgotten) };
}

function outcome(prepared: Prepared, forgotten: string[], plan: CollectionPlan): PrunedRepository {
  const condemned = amount(plan.condemn);
  const untilMs =
    condemned.packs > 0 ? prepared.holdings.readAt.getTime() + GRACE_MS : plan.waiting.until?.getTime();
  return {
    repository: prepared.name,
    ...described(prepared, forgotten),
    condemned,
    freed: amount(plan.free),
    waiting: {
      packs: plan.waiting.packs + condemned.packs,
      bytes: plan.waiting.bytes + condemned.bytes,
      until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
      for: plan.waiting.for,
    },
    error: null,
  };
}

function failed(repository: string, error: TidemarkError, prepared?: Prepared): PrunedRepository {
  const nothing: Amount = { packs: 0, bytes: 0 };
  const waiting = { ...nothing, until: null, for: [] };
  const shown = prepared
    ? described(prepared, [])
    : { snapshots: [], groups: [], forgotten: [], frees: nothing };
  return { repository, ...shown, condemned: nothing, freed: nothing, waiting, error };
}

/** Where there is but one repository, its failure is the prune's. */
function result(dryRun: boolean, repositories: PrunedRepository[]): PruneResult {
  const [only] = repositories;
  if (repositories.length === 1 && only?.error) throw only.error;
  return { dryRun, repositories };
}
