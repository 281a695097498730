import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import { type Hold, readHolds, standing } from '../../repository/holds.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Strategy } from '../../strategy/spec.ts';
import type { OpenPlace } from '../open.ts';
import { retain } from '../retain.ts';
import { snapshotMeant } from '../snapshots.ts';

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

export interface Candidate {
  snapshot: string;
  /** Null where it can't be read: then `error` says why. */
  manifest: Manifest | null;
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
  const candidates: Candidate[] = [];
  for (const { name, snapshot } of chosen) {
    if (inTarget.has(snapshot) || candidates.at(-1)?.snapshot === snapshot) continue;
    const read = await readManifest(from.repository, name);
    if (read && (wanted.database === null || read.manifest?.database === wanted.database))
      candidates.push({ snapshot, holds: standing(holds.get(snapshot)), left: null, ...read });
  }
  if (!wanted.all && ids.size === 0) await leaveOut(strategy, to, known, candidates);
  const there =
    wanted.database === null ? chosen.filter(({ snapshot }) => inTarget.has(snapshot)).length : null;
  return { candidates, there };
}

/** Undefined where it was forgotten meanwhile. */
async function readManifest(repository: Repository, name: string) {
  try {
    return { manifest: await repository.manifest(name), error: null };
  } catch (error) {
    const found = asTidemarkError(error);
    if (found.code === 'OBJECT_MISSING') return undefined;
    if (found.kind !== 'fault') throw error;
    return { manifest: null, error: found };
  }
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
  for (const name of known) {
    const read = await readManifest(repository, name);
    if (read?.manifest) manifests.push(read.manifest);
  }
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
