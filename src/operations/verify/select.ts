import { asTidemarkError, TidemarkError, usageError } from '../../base/errors.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoragePlace } from '../../storage/index.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { openRepository, repositoryOf, storagePlace } from '../open.ts';
import type { Faults } from './faults.ts';

/** A repository, and those of its snapshots that are to be verified, oldest first. */
export interface Chosen {
  name: string;
  repository: Repository;
  storage: StoragePlace;
  ids: string[];
}

/** What to verify: the snapshots given (ids, or databases for their latest), all, or the latest of each database. */
export async function chooseSnapshots(
  strategy: Strategy,
  given: string[],
  all: boolean,
  faults: Faults,
): Promise<Chosen[]> {
  const chosen: Chosen[] = [];
  for (const name of strategy.repositories.keys()) {
    const storage = storagePlace(repositoryOf(strategy, name));
    try {
      const repository = await openRepository(strategy, name);
      chosen.push({ name, repository, storage, ids: await repository.snapshotIds() });
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.kind !== 'fault') throw error;
      faults.add(name, 'repository.json', error, []); // the other repositories are verified all the same
    }
  }
  if (all) return chosen;
  const wanted = new Set(given.flatMap(what => (strategy.databases.has(what) ? [] : idsOf(chosen, what))));
  const databases = given.length === 0 ? undefined : given.filter(what => strategy.databases.has(what));
  for (const place of chosen) {
    const latest = databases?.length === 0 ? new Set() : await latestOf(place, databases, faults);
    place.ids = place.ids.filter(id => wanted.has(id) || latest.has(id));
  }
  return chosen;
}

function idsOf(chosen: Chosen[], given: string): string[] {
  const found = chosen.flatMap(({ ids }) =>
    ids.filter(id => id.startsWith(given) || id.endsWith(`-${given}`)),
  );
  const ids = [...new Set(found)];
  if (ids.length === 1) return ids;
  throw usageError(
    ids.length === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
    ids.length === 0
      ? `no repository of the strategy has a snapshot ${given}`
      : `${given} may be ${ids.length} snapshots: ${ids.slice(0, 5).join(', ')}`,
    "'tidemark list' shows the snapshots",
  );
}

/** The newest snapshot of each of these databases, or of every database that has one. */
async function latestOf(
  { name, repository, ids }: Chosen,
  databases: string[] | undefined,
  faults: Faults,
): Promise<Set<string>> {
  const latest = new Map<string, string>();
  for (const id of ids.toReversed()) {
    try {
      const { database } = await repository.manifest(id);
      if (!latest.has(database)) latest.set(database, id);
    } catch (error) {
      const fault = asTidemarkError(error);
      // One that was forgotten meanwhile is none; one that can't be read may be the latest of any database.
      if (fault.code !== 'OBJECT_MISSING') faults.add(name, `snapshots/${id}`, fault, [id]);
    }
  }
  const found = [...latest].filter(([database]) => databases === undefined || databases.includes(database));
  return new Set(found.map(([, id]) => id));
}
