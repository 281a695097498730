import { type TidemarkError, usageError } from '../base/errors.ts';
import { type Manifest, manifestName, snapshotOf } from '../repository/manifest.ts';
import { newestFirst } from '../repository/newest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { databaseOf, openRepository } from './open.ts';

/** Finding snapshots over all repositories of a strategy. */

export interface Placed {
  repositoryName: string;
  repository: Repository;
  manifest: Manifest;
}

/** A snapshot that is there, and that the repository's key of the strategy can't read since it was retired. */
export interface NewerSnapshot {
  repositoryName: string;
  snapshot: string;
  error: TidemarkError;
}

/** All snapshots of all repositories, oldest first; those newer than a retired key go to `newer`, or fail the call. */
export async function allSnapshots(
  strategy: Strategy,
  newer?: (snapshot: NewerSnapshot) => void,
): Promise<Placed[]> {
  const placed: Placed[] = [];
  for (const repositoryName of strategy.repositories.keys()) {
    const repository = await openRepository(strategy, repositoryName);
    const tell =
      newer &&
      ((name: string, error: TidemarkError) => newer({ repositoryName, snapshot: snapshotOf(name), error }));
    for (const manifest of await repository.manifests(tell))
      placed.push({ repositoryName, repository, manifest });
  }
  return placed.sort((a, b) => (a.manifest.snapshot < b.manifest.snapshot ? -1 : 1));
}

/** A snapshot in one repository; `name` is its manifest's. */
export interface Found {
  repository: Repository;
  repositoryName: string;
  name: string;
}

/** The repository that holds the one snapshot whose id starts, or ends, like this. */
export async function findSnapshot(strategy: Strategy, given: string): Promise<Found> {
  const all: Found[] = [];
  for (const repositoryName of strategy.repositories.keys()) {
    const repository = await openRepository(strategy, repositoryName);
    for (const name of await repository.snapshotNames()) all.push({ repository, repositoryName, name });
  }
  const id = snapshotMeant(
    all.map(each => each.name),
    given,
  );
  return all.find(each => snapshotOf(each.name) === id)!;
}

/** The id of the one snapshot, of those whose manifests have these names, that starts or ends like this. */
export function snapshotMeant(names: Iterable<string>, given: string): string {
  const found = new Set<string>();
  for (const name of names) {
    const id = snapshotOf(name);
    if (name.startsWith(given) || id.endsWith(`-${given}`)) found.add(id);
  }
  if (found.size === 1) return [...found][0]!;
  throw usageError(
    found.size === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
    found.size === 0
      ? `no repository of the strategy has a snapshot ${given}`
      : `${given} may be ${found.size} snapshots: ${[...found].slice(0, 5).join(', ')}`,
    "'tidemark list' shows the snapshots",
  );
}

/** The newest snapshot of a database. */
export async function latestSnapshot(strategy: Strategy, database: string): Promise<Found> {
  databaseOf(strategy, database);
  let newest: Found | undefined;
  for (const repositoryName of strategy.repositories.keys()) {
    const repository = await openRepository(strategy, repositoryName);
    const name = await newestOf(repository, database);
    if (name !== undefined && (!newest || name > newest.name)) newest = { repository, repositoryName, name };
  }
  if (newest) return newest;
  throw usageError(
    'NO_SNAPSHOTS',
    `there is no snapshot of ${database}`,
    `take one: tidemark backup ${database}`,
  );
}

async function newestOf(repository: Repository, database: string): Promise<string | undefined> {
  for await (const manifest of newestFirst(repository, { damaged: thrown }))
    if (manifest.database === database) return manifestName(manifest);
  return undefined;
}

/** One that can't be read might be the newest. */
function thrown(_name: string, error: Error): never {
  throw error;
}
