import type { TidemarkError } from '../../base/errors.ts';
import { Interned } from '../../base/interned.ts';
import { type Hold, readHolds, standing } from '../../repository/guards/holds.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Strategy } from '../../strategy/spec.ts';
import type { OpenPlace } from '../open/open.ts';
import { snapshotMeant } from '../open/snapshots.ts';
import { retain } from '../prune/retain.ts';

export interface Wanted {
  /** Starts or ends of snapshots' ids; empty for all. */
  given: string[];
  /** Only of this database; null for all. */
  database: string | null;
  /** Also what retention would forget there at once. What is given by its id always comes. */
  all: boolean;
  /** Only snapshots whose ids come after this one. */
  after?: string;
}

/** What is kept of a manifest: there may be 100,000. */
export type KeptManifest = Pick<
  Manifest,
  'snapshot' | 'copied' | 'database' | 'plan' | 'started' | 'scope'
> & { bytesRead: number };

export interface Candidate {
  snapshot: string;
  /** As the source has it. Null where it can't be read: then `error` says why. */
  manifest: KeptManifest | null;
  error: TidemarkError | null;
  /** What holds it in the source. */
  holds: Hold[];
  /** Why it is not to be copied; null where it is. */
  left: string | null;
}

/**
 * The snapshots that are wanted and that the target lacks, oldest first; and how many of those wanted it has, null where
 * only one database is.
 */
export async function chooseCopies(
  strategy: Strategy,
  from: OpenPlace,
  to: OpenPlace,
  wanted: Wanted,
): Promise<{ candidates: Candidate[]; there: number | null }> {
  const names = await from.repository.snapshotNames();
  const ids = new Set(wanted.given.map(each => snapshotMeant(names, each)));
  const chosen = names
    .map(name => ({ name, snapshot: snapshotOf(name) }))
    .filter(({ snapshot }) => {
      return (ids.size === 0 || ids.has(snapshot)) && snapshot > (wanted.after ?? '');
    });
  const holds = await readHolds(from.repository, await from.repository.storage.now());
  const known = await to.repository.snapshotNames();
  const inTarget = new Set(known.map(snapshotOf));
  const candidates = await readCandidates(
    from.repository,
    chosen.flatMap(({ name, snapshot }) => (inTarget.has(snapshot) ? [] : name)),
    wanted.database,
    snapshot => standing(holds.get(snapshot)),
  );
  if (!wanted.all && ids.size === 0) await leaveOut(strategy, to, known, candidates);
  const there =
    wanted.database === null ? chosen.filter(({ snapshot }) => inTarget.has(snapshot)).length : null;
  return { candidates, there };
}

/** One for each snapshot, oldest first; those that were forgotten meanwhile are left out. */
async function readCandidates(
  repository: Repository,
  names: readonly string[],
  database: string | null,
  holdsOf: (snapshot: string) => Hold[],
): Promise<Candidate[]> {
  const found = new Map<string, Candidate>();
  const add = (name: string, manifest: KeptManifest | null, error: TidemarkError | null) => {
    const snapshot = snapshotOf(name);
    found.set(name, { snapshot, manifest, error, holds: holdsOf(snapshot), left: null });
  };
  const damaged = (name: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
    if (database === null) add(name, null, error);
  };
  const scopes = new Interned<Manifest['scope']>();
  for await (const manifest of repository.read(names, { damaged }))
    if (database === null || manifest.database === database)
      add(manifestName(manifest), kept(manifest, scopes), null);
  const candidates = names.flatMap(name => found.get(name) ?? []);
  return candidates.filter(({ snapshot }, i) => snapshot !== candidates[i - 1]?.snapshot);
}

function kept(manifest: Manifest, scopes: Interned<Manifest['scope']>): KeptManifest {
  const { snapshot, copied, database, plan, started, counts } = manifest;
  const scope = scopes.once(manifest.scope);
  return { snapshot, copied, database, plan, started, scope, bytesRead: counts.bytesRead };
}

/** Marks those that the rules of their plan would forget as soon as they were there. */
async function leaveOut(
  strategy: Strategy,
  { name: target, repository }: OpenPlace,
  known: string[],
  candidates: Candidate[],
): Promise<void> {
  const manifests = candidates.flatMap(({ manifest }) => manifest ?? []);
  if (manifests.length === 0) return;
  const scopes = new Interned<Manifest['scope']>();
  const damaged = (_: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
  };
  for await (const manifest of repository.read(known, { damaged })) manifests.push(kept(manifest, scopes));
  const retained = retain(strategy, target, {
    readAt: await repository.storage.now(),
    holds: new Map(candidates.map(({ snapshot, holds }) => [snapshot, holds])), // those of what is there change nothing
    snapshots: new Map(manifests.map(manifest => [manifestName(manifest), { ...manifest, good: true }])),
  });
  const forgotten = new Set(
    retained
      .flatMap(each => each.snapshots)
      .filter(each => !each.keep)
      .map(each => each.snapshot),
  );
  for (const candidate of candidates)
    if (forgotten.has(candidate.snapshot)) candidate.left = 'no rule of its plan would keep it there';
}
