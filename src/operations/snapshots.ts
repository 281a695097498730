import { usageError } from '../base/errors.ts';
import type { Manifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { databaseOf, openRepository } from './open.ts';

/** Finding snapshots over all repositories of a strategy. */

export interface Placed {
  repositoryName: string;
  repository: Repository;
  manifest: Manifest;
}

/** All snapshots of all repositories, oldest first. */
export async function allSnapshots(strategy: Strategy): Promise<Placed[]> {
  const placed: Placed[] = [];
  for (const repositoryName of strategy.repositories.keys()) {
    const repository = await openRepository(strategy, repositoryName);
    for (const manifest of await repository.manifests())
      placed.push({ repositoryName, repository, manifest });
  }
  return placed.sort((a, b) => (a.manifest.snapshot < b.manifest.snapshot ? -1 : 1));
}

/** The repository that holds the one snapshot whose id starts, or ends, like this. */
export async function findSnapshot(
  strategy: Strategy,
  given: string,
): Promise<{ repository: Repository; repositoryName: string; id: string }> {
  const found: { repository: Repository; repositoryName: string; id: string }[] = [];
  for (const repositoryName of strategy.repositories.keys()) {
    const repository = await openRepository(strategy, repositoryName);
    for (const id of await repository.snapshotIds()) {
      if (id.startsWith(given) || id.endsWith(`-${given}`)) found.push({ repository, repositoryName, id });
    }
  }
  const ids = new Set(found.map(each => each.id));
  if (ids.size === 1) return found[0]!;
  throw usageError(
    ids.size === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
    ids.size === 0
      ? `no repository of the strategy has a snapshot ${given}`
      : `${given} may be ${ids.size} snapshots: ${[...ids].slice(0, 5).join(', ')}`,
    "'tidemark list' shows the snapshots",
  );
}

/** The newest snapshot of a database. */
export async function latestSnapshot(
  strategy: Strategy,
  database: string,
): Promise<{ repository: Repository; repositoryName: string; id: string }> {
  databaseOf(strategy, database);
  const newest = (await allSnapshots(strategy)).filter(each => each.manifest.database === database).at(-1);
  if (newest)
    return {
      repository: newest.repository,
      repositoryName: newest.repositoryName,
      id: newest.manifest.snapshot,
    };
  throw usageError(
    'NO_SNAPSHOTS',
    `there is no snapshot of ${database}`,
    `take one: tidemark backup ${database}`,
  );
}
