import { asTidemarkError, type TidemarkError, usageError } from '../../base/errors.ts';
import type { Amount } from '../../repository/collect/collectionPlan.ts';
import { readHoldings } from '../../repository/collect/contents.ts';
import { Forgetting, lockedUntil, refuseLocked } from '../../repository/guards/forgetting.ts';
import { type Hold, holdText, readHolds, refuseHeld, standing } from '../../repository/guards/holds.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import { hasAllPacks, newestFirst } from '../../repository/newest.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import type { Repository } from '../../repository/repository.ts';
import { SAFETY_PLAN, type Strategy } from '../../strategy/spec.ts';
import { openAll } from '../open/open.ts';
import { meantAnywhere } from '../open/snapshots.ts';
import { isWhole } from '../open/wholeness.ts';
import { freedBy } from './freed.ts';
import { lockText } from './locked.ts';
import { retain } from './retain.ts';

export interface ForgetRequest {
  strategy: Strategy;
  /** Starts or ends of snapshots' ids. */
  given: string[];
  /** Also where no good snapshot of the database would be left in a repository. */
  evenLast: boolean;
  /** Changes nothing, and says of each snapshot what would become of it. */
  dryRun: boolean;
  signal: AbortSignal;
  /** Shown before anything is forgotten; false ends it with nothing done. */
  confirm(planned: ForgottenSnapshot[]): Promise<boolean>;
}

/** `database`, `plan` and `started` are null where the manifest can't be read. */
export interface ForgottenSnapshot {
  snapshot: string;
  repository: string;
  database: string | null;
  plan: string | null;
  started: string | null;
  /** Of one that stays, why; in a dry run, of one that goes, what the rules of its plan say of it. */
  reasons: string[];
}

/** What `tidemark forget --json` prints. */
export interface ForgetResult {
  dryRun: boolean;
  /** Or would be. */
  forgotten: ForgottenSnapshot[];
  /** Those that can't be forgotten; only in a dry run, since otherwise they are an error. */
  stays: ForgottenSnapshot[];
  /** In a dry run, what would come free: packs that nothing else needs. `error`: why nobody knows. */
  frees: { repository: string; amount: Amount | null; error: TidemarkError | null }[];
  /** Repositories in which it could not be done, or not looked. */
  failures: { repository: string; error: TidemarkError }[];
}

interface Place {
  name: string;
  repository: Repository;
  names: string[];
  /** Of the snapshots that are to be forgotten, by name; null where the manifest can't be read. */
  manifests: Map<string, Manifest | null>;
  /** By the ids of those snapshots. */
  holds: Map<string, Hold[]>;
  /** The one that has to stay, since none as good would be left of its database. */
  last: Manifest | null;
}

/** Ends the existence of snapshots in every repository that holds them. One that fails doesn't stop the others. */
export async function forget(request: ForgetRequest): Promise<ForgetResult> {
  const { strategy, given, evenLast, dryRun, signal } = request;
  const all = await openAll(strategy);
  const { failures } = all;
  const places = await Promise.all(all.opened.map(toPlace));
  const known = places.flatMap(place => place.names);
  const ids = new Set(given.map(each => meantAnywhere(known, each, all)));
  for (const place of places) await look(place, ids, evenLast);
  if (dryRun) return { ...(await foresee(strategy, places)), failures };
  for (const place of places) await refuse(place);
  const planned = places.flatMap(each => [...each.manifests.keys()].map(name => describe(each, name)));
  if (!(await request.confirm(planned))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the forgetting was not confirmed',
      'nothing was done; confirm it, or say --yes',
    );
  }
  const forgotten: ForgottenSnapshot[] = [];
  for (const place of places) {
    try {
      for await (const name of forgetAll(place, signal)) forgotten.push(describe(place, name));
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ repository: place.name, error: asTidemarkError(error) });
    }
  }
  if (forgotten.length === 0 && failures[0]) throw failures[0].error;
  return { dryRun, forgotten, stays: [], frees: [], failures };
}

async function toPlace({ name, repository }: { name: string; repository: Repository }): Promise<Place> {
  const names = await repository.snapshotNames();
  return { name, repository, names, manifests: new Map(), holds: new Map(), last: null };
}

/** A manifest that is damaged is no obstacle: forgetting is what one does with such a snapshot. */
async function look(place: Place, ids: ReadonlySet<string>, evenLast: boolean): Promise<void> {
  const { repository, manifests } = place;
  const wanted = place.names.filter(name => ids.has(snapshotOf(name)));
  const damaged = (name: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
    manifests.set(name, null);
  };
  for await (const manifest of repository.read(wanted, { damaged }))
    manifests.set(manifestName(manifest), manifest);
  const now = await repository.storage.now();
  for (const id of new Set(wanted.map(snapshotOf)))
    for (const [of, holds] of await readHolds(repository, now, id)) place.holds.set(of, holds);
  if (!evenLast) place.last = await lastOne(place);
}

/** How much a snapshot counts as the last one of its database: a whole one most, what a restore replaced least. */
function rankOf(manifest: Manifest): number {
  if (manifest.plan === SAFETY_PLAN) return 0;
  return isWhole(manifest) ? 2 : 1;
}

/** A good snapshot that is to go, where its database would be left with none that counts as much. */
async function lastOne({ repository, names, manifests, holds }: Place): Promise<Manifest | null> {
  const goes = (name: string) => manifests.has(name) && standing(holds.get(snapshotOf(name))).length === 0;
  const checks = await PackChecks.read(repository);
  const isGood = async (manifest: Manifest) =>
    checks.hurting(manifest).length === 0 && (await hasAllPacks(repository, manifest));
  const best = new Map<string, Manifest>();
  for (const [name, manifest] of [...manifests].reverse()) {
    if (!manifest || !goes(name)) continue;
    const known = best.get(manifest.database);
    if (known && rankOf(known) >= rankOf(manifest)) continue;
    if (await isGood(manifest)) best.set(manifest.database, manifest);
  }
  if (best.size === 0) return null;
  for await (const other of newestFirst(repository, { names: names.filter(name => !goes(name)) })) {
    const going = best.get(other.database);
    if (!going || rankOf(other) < rankOf(going) || !(await isGood(other))) continue;
    best.delete(other.database);
    if (best.size === 0) return null;
  }
  return [...best.values()][0]!;
}

async function refuse({ name, repository, manifests, holds, last }: Place): Promise<void> {
  for (const id of new Set([...manifests.keys()].map(snapshotOf))) refuseHeld(id, holds.get(id), name);
  for (const each of manifests.keys()) await refuseLocked(repository, each);
  if (!last) return;
  throw usageError(
    'LAST_SNAPSHOT',
    `${last.snapshot} is the last good snapshot of ${last.database} in ${name}`,
    `take another first: tidemark backup ${last.database}; or say --even-last`,
  );
}

/** The names of those that were forgotten, as it happens. */
async function* forgetAll({ repository, manifests }: Place, signal: AbortSignal): AsyncIterable<string> {
  if (manifests.size === 0) return;
  const forgetting = await Forgetting.begin(repository);
  try {
    for (const name of manifests.keys()) {
      signal.throwIfAborted();
      await forgetting.forget(name);
      yield name;
    }
  } finally {
    await forgetting.end();
  }
}

function describe({ name: repository, manifests }: Place, name: string): ForgottenSnapshot {
  const { database = null, plan = null, started = null } = manifests.get(name) ?? {};
  return { snapshot: snapshotOf(name), repository, database, plan, started, reasons: [] };
}

async function foresee(
  strategy: Strategy,
  places: readonly Place[],
): Promise<Omit<ForgetResult, 'failures'>> {
  const result: Omit<ForgetResult, 'failures'> = { dryRun: true, forgotten: [], stays: [], frees: [] };
  for (const place of places.filter(each => each.manifests.size > 0)) {
    const goes: string[] = [];
    for (const name of place.manifests.keys()) {
      const reasons = standing(place.holds.get(snapshotOf(name))).map(holdText);
      const locked = await lockedUntil(place.repository, name);
      if (locked) reasons.push(lockText(locked));
      if (place.last && manifestName(place.last) === name) reasons.push('last good snapshot');
      if (reasons.length > 0) result.stays.push({ ...describe(place, name), reasons });
      else goes.push(name);
    }
    const { rules, ...frees } = await consequences(strategy, place, goes);
    result.frees.push({ repository: place.name, ...frees });
    for (const name of goes)
      result.forgotten.push({ ...describe(place, name), reasons: rules.get(name) ?? [] });
  }
  return result;
}

/** What the rules say of all snapshots there, and what comes free without these. */
async function consequences(strategy: Strategy, { name, repository }: Place, goes: string[]) {
  try {
    const holdings = await readHoldings(repository);
    const retained = retain(strategy, name, holdings).flatMap(group => group.snapshots);
    const rules = new Map(retained.map(each => [each.name, each.reasons]));
    return { rules, amount: (await freedBy(repository, holdings, [goes])).all, error: null };
  } catch (error) {
    const known = asTidemarkError(error);
    if (known.kind !== 'fault') throw error;
    return { rules: new Map<string, string[]>(), amount: null, error: known };
  }
}
