import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import { manifestName, snapshotOf } from '../../repository/manifest.ts';
import { newestFirst } from '../../repository/newest.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoragePlace } from '../../storage/index.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { openRepository, repositoryOf, storagePlace } from '../open.ts';
import { snapshotMeant } from '../snapshots.ts';
import type { Faults } from './faults.ts';

/** A repository, and those of its snapshots that are to be verified, by the names of their manifests, oldest first. */
export interface Chosen {
  name: string;
  repository: Repository;
  storage: StoragePlace;
  names: string[];
}

export interface Choice {
  /** Ids of snapshots, or databases for their latest; with none, the latest of each database in each repository. */
  given: string[];
  all: boolean;
  /** Only there; undefined: wherever they are. */
  repository?: string;
}

/** What to verify, repository by repository. Of several, one that can't be opened does not keep the others from it. */
export async function chooseSnapshots(
  strategy: Strategy,
  { given, all, repository: only }: Choice,
  faults: Faults,
): Promise<Chosen[]> {
  const chosen: Chosen[] = [];
  const places = only === undefined ? [...strategy.repositories.keys()] : [repositoryOf(strategy, only).name];
  for (const name of places) {
    try {
      const storage = storagePlace(repositoryOf(strategy, name));
      const repository = await openRepository(strategy, name);
      chosen.push({ name, repository, storage, names: await repository.snapshotNames() });
    } catch (error) {
      const found = asTidemarkError(error);
      if (found.kind === 'interrupted' || (found.kind !== 'fault' && places.length === 1)) throw error;
      faults.add(name, 'repository.json', found, []);
    }
  }
  if (all) return chosen;
  const known = chosen.flatMap(({ names }) => names);
  const ids = given.filter(what => !strategy.databases.has(what)).map(what => snapshotMeant(known, what));
  const wanted = new Set(ids);
  const databases = given.length === 0 ? undefined : given.filter(what => strategy.databases.has(what));
  for (const place of chosen) {
    const latest = databases?.length === 0 ? new Set() : await latestOf(place, databases, faults);
    place.names = place.names.filter(name => wanted.has(snapshotOf(name)) || latest.has(name));
  }
  return chosen;
}

/** The newest snapshot of each of these databases, or of every database that has one. */
async function latestOf(
  { name, repository, names }: Chosen,
  databases: string[] | undefined,
  faults: Faults,
): Promise<Set<string>> {
  const latest = new Map<string, string>();
  // One that can't be read may be the latest of any database.
  const damaged = (each: string, fault: TidemarkError) =>
    faults.add(name, `snapshots/${each}`, fault, [snapshotOf(each)]);
  const missing = new Set(databases);
  for await (const manifest of newestFirst(repository, { names, damaged })) {
    const { database } = manifest;
    if (databases && !missing.delete(database)) continue;
    if (!latest.has(database)) latest.set(database, manifestName(manifest));
    if (databases && missing.size === 0) break;
  }
  return new Set(latest.values());
}
