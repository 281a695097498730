import { asTidemarkError, TidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { type Collected, collect } from '../../repository/collect/collect.ts';
import {
  type Amount,
  amount,
  type CollectionPlan,
  GRACE_MS,
  planCollection,
} from '../../repository/collect/collectionPlan.ts';
import { planCompaction } from '../../repository/collect/compactionPlan.ts';
import { type Holdings, readHoldings } from '../../repository/collect/contents.ts';
import { forgetUnlessHeld } from '../../repository/guards/forgetting.ts';
import { standing } from '../../repository/guards/holds.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { keepLocks } from '../../repository/guards/lockKeeping.ts';
import { snapshotOf } from '../../repository/manifest.ts';
import type { Repository } from '../../repository/repository.ts';
import { endDeadCompactions } from '../../repository/rewrite/compactions.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { capacityWarning } from '../check/capacity.ts';
import { openRepository, repositoryOf } from '../open/open.ts';
import { emptyPacks, NO_PACKS, type PrunedPacks, plannedPacks } from './compaction.ts';
import { type Frees, freedBy } from './freed.ts';
import { keepLocked } from './locked.ts';
import { NO_REQUESTS, type Requests, requestsOf } from './requests.ts';
import { type Retained, type RetainedGroup, retain } from './retain.ts';

export interface PruneRequest {
  strategy: Strategy;
  dryRun: boolean;
  /** Packs of which more than this share is dead are emptied; from 0 to 1. */
  maxDead: number;
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
  /** Snapshots that are held and are not here (any more): what is known of them is kept until they are released. */
  heldMissing: string[];
  /** Packs that are needed only in part. */
  compacted: PrunedPacks;
  /** What doing this takes, or took, about. */
  requests: Requests;
  /** Packs that were to be freed and are locked; `until` where the storage says it. */
  locked: Amount & { until: string | null };
  /** All that are condemned and not yet freed; `until` is when the last may go, `for` the sessions of running operations that must end before. */
  waiting: Amount & { until: string | null; for: string[] };
  /** Why nothing, or not everything, was done here. */
  error: TidemarkError | null;
}

/** What a plan made of a database. */
export interface PrunedGroup {
  database: string;
  plan: string | null;
  /** Its rules in words; null where none decides, for the reason that `because` gives. */
  keep: string | null;
  because: string | null;
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
  frees: Frees;
  plan: CollectionPlan;
  compacted: PrunedPacks;
  requests: Requests;
}

/**
 * Forgets what no rule keeps, then collects, in every repository of the strategy. One that fails doesn't stop the others.
 */
export async function prune(request: PruneRequest): Promise<PruneResult> {
  const { strategy, dryRun, signal } = request;
  const prepared = new Map<string, Prepared | TidemarkError>();
  for (const name of strategy.repositories.keys()) {
    signal.throwIfAborted();
    prepared.set(name, await prepare(request, name).catch(asTidemarkError));
  }
  const outcomes = [...prepared].map(([name, each]) =>
    each instanceof TidemarkError ? failed(name, each) : outcome(each, forgettable(each.retained)),
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

async function prepare({ strategy, maxDead }: PruneRequest, name: string): Promise<Prepared> {
  const repository = await openRepository(strategy, name);
  const holdings = await readHoldings(repository);
  const retained = await keepLocked(repository, retain(strategy, name, holdings));
  const forgetting = new Set(forgettable(retained));
  const frees = await freedBy(repository, holdings, byGroup(retained, forgetting));
  const plan = await planCollection(repository, holdings, forgetting);
  const compactions = await planCompaction(repository, holdings, { maxDead });
  const requests = requestsOf(holdings, forgetting.size, plan, compactions);
  const compacted = plannedPacks(compactions);
  return { name, repository, holdings, retained, frees, plan, compacted, requests };
}

/** Looks again once nobody else can prune: of what was shown, only what is still to be forgotten is. */
async function carryOut(request: PruneRequest, prepared: Prepared): Promise<PrunedRepository> {
  const { strategy, reporter, signal } = request;
  const { name, repository } = prepared;
  const lease = await Lease.takePrune(repository.storage);
  try {
    reporter.begin(`pruning ${name}`, null);
    await endDeadCompactions(repository);
    let holdings = await readHoldings(repository, prepared.holdings);
    const shown = new Set(forgettable(prepared.retained));
    const wanted = retain(strategy, name, holdings);
    const kept = wanted.flatMap(group => group.snapshots.filter(each => each.keep).map(each => each.name));
    const retained = await keepLocked(repository, wanted);
    const due = forgettable(retained).filter(each => shown.has(each));
    const frees = await freedBy(repository, holdings, byGroup(retained, new Set(due)));
    const held = await forgetUnlessHeld(repository, due, async () => {
      signal.throwIfAborted();
      await lease.hold();
    });
    for (const each of held) reporter.note(`${name}: ${snapshotOf(each)} has been held since, and stays`);
    const forgotten = due.filter(each => !held.includes(each));
    if (forgotten.length > 0) holdings = await readHoldings(repository, holdings);
    const warning = capacityWarning(repositoryOf(strategy, name), holdings.packs.bytes);
    if (warning) reporter.note(`warning: ${warning}`);
    const locked = await keepLocks(repository, kept, holdings.packs, signal);
    if (locked > 0) reporter.note(`${name}: ${locked} objects are locked anew`);
    const plan = await planCollection(repository, holdings);
    const collected = await collect(repository, plan, lease, signal);
    const compacted = await emptyPacks(repository, holdings, request.maxDead, {
      lease,
      reporter,
      signal,
    }).catch(error => {
      // Compacting needs room first; what was freed above stays freed.
      if (!(error instanceof TidemarkError && error.code === 'STORAGE_FULL')) throw error;
      reporter.note(
        `${name}: nothing is compacted, since the disk is full: ${error.message} [${error.code}]`,
      );
      return NO_PACKS;
    });
    if (compacted.packs > 0) await condemnEmptied(repository, holdings, lease, signal);
    return outcome({ ...prepared, holdings, retained, frees, plan, compacted }, forgotten, collected);
  } finally {
    await lease.release();
    reporter.end();
  }
}

/** Packs that were emptied begin to wait at once. */
async function condemnEmptied(
  repository: Repository,
  holdings: Holdings,
  lease: Lease,
  signal: AbortSignal,
): Promise<void> {
  const plan = await planCollection(repository, await readHoldings(repository, holdings));
  await collect(repository, plan, lease, signal);
}

const forgettable = (groups: RetainedGroup[]): string[] =>
  groups.flatMap(({ snapshots }) => snapshots.filter(each => !each.keep).map(each => each.name));

const byGroup = (groups: RetainedGroup[], gone: ReadonlySet<string>): string[][] =>
  groups.map(({ snapshots }) => snapshots.map(each => each.name).filter(name => gone.has(name)));

/** What was retained, as it is shown. */
function described(
  { retained, frees }: Pick<Prepared, 'retained' | 'frees'>,
  forgotten: string[],
): Pick<PrunedRepository, 'snapshots' | 'groups' | 'forgotten' | 'frees'> {
  const own = byGroup(retained, new Set(forgotten));
  const groups = retained.map((group, i) => ({
    ...group,
    snapshots: group.snapshots.map(each => each.snapshot),
    forgotten: own[i]!.map(snapshotOf),
    frees: frees.groups[i]!,
  }));
  const snapshots = retained.flatMap(group => group.snapshots);
  snapshots.sort((a, b) => (a.name < b.name ? 1 : -1));
  return { snapshots, groups, forgotten: forgotten.map(snapshotOf), frees: frees.all };
}

/** What was done, or, where nothing was collected, would be. */
function outcome(prepared: Prepared, forgotten: string[], collected?: Collected): PrunedRepository {
  const { plan } = prepared;
  const condemned = amount(plan.condemn);
  const untilMs =
    condemned.packs > 0 ? prepared.holdings.readAt.getTime() + GRACE_MS : plan.waiting.until?.getTime();
  const locked = collected?.locked;
  return {
    repository: prepared.name,
    ...described(prepared, forgotten),
    condemned,
    freed: collected?.freed ?? amount(plan.free),
    heldMissing: heldMissing(prepared.holdings),
    compacted: prepared.compacted,
    requests: prepared.requests,
    locked: locked ? { ...locked, until: locked.until?.toISOString() ?? null } : NO_LOCKED,
    waiting: {
      packs: plan.waiting.packs + condemned.packs,
      bytes: plan.waiting.bytes + condemned.bytes,
      until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
      for: plan.waiting.for,
    },
    error: null,
  };
}

const NOTHING: Amount = { packs: 0, bytes: 0 };
const NO_LOCKED = { ...NOTHING, until: null };

function heldMissing({ snapshots, holds }: Holdings): string[] {
  const here = new Set([...snapshots.keys()].map(snapshotOf));
  return [...holds].flatMap(([id, all]) => (here.has(id) || standing(all).length === 0 ? [] : [id]));
}

function failed(repository: string, error: TidemarkError, prepared?: Prepared): PrunedRepository {
  const waiting = { ...NOTHING, until: null, for: [] };
  const shown = prepared
    ? described(
        { ...prepared, frees: { groups: prepared.frees.groups.map(() => NOTHING), all: NOTHING } },
        [],
      )
    : { snapshots: [], groups: [], forgotten: [], frees: NOTHING };
  return {
    repository,
    ...shown,
    condemned: NOTHING,
    freed: NOTHING,
    heldMissing: [],
    compacted: NO_PACKS,
    requests: NO_REQUESTS,
    locked: NO_LOCKED,
    waiting,
    error,
  };
}

/** Where there is but one repository, its failure is the prune's. */
function result(dryRun: boolean, repositories: PrunedRepository[]): PruneResult {
  const [only] = repositories;
  if (repositories.length === 1 && only?.error) throw only.error;
  return { dryRun, repositories };
}
