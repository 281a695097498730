import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import { manifestName, snapshotOf } from '../../repository/manifest.ts';
import { newestFirst } from '../../repository/newest.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoragePlace } from '../../storage/index.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { openRepository, repositoryOf, storagePlace } from '../open/open.ts';
import { noneWhole, snapshotMeant } from '../open/snapshots.ts';
import { type PassedOver, partOf } from '../open/wholeness.ts';
import type { Faults } from './faults.ts';

/** A repository, and those of its snapshots that are to be verified, by the names of their manifests, oldest first. */
export interface Chosen {
  name: string;
  repository: Repository;
  storage: StoragePlace;
  names: string[];
}

export interface Choice {
  /**
   * Ids of snapshots, or databases for their newest whole one; with none, that of each database in each repository, or
   * where it has none there, the newest.
   */
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
  const ids = given
    .filter(what => !strategy.databases.has(what))
    .map(what => snapshotMeant(known, what, strategy.databases.keys()));
  const wanted = new Set(ids);
  const databases = given.length === 0 ? undefined : given.filter(what => strategy.databases.has(what));
  const found = new Set<string>();
  const parts = new Map<string, PassedOver>();
  const failed = (place: Chosen) => (error: unknown) => {
    const fault = asTidemarkError(error);
    if (fault.kind === 'interrupted' || places.length === 1) throw error;
    faults.add(place.name, 'snapshots', fault, []);
    place.names = [];
    return [];
  };
  for (const place of chosen) {
    const latest =
      databases?.length === 0 ? [] : await latestOf(place, databases, faults).catch(failed(place));
    const isWanted = (each: Latest) => databases === undefined || each.part === null;
    const names = new Set(latest.filter(isWanted).map(each => each.name));
    for (const { database, snapshot, part } of latest) {
      if (part === null) found.add(database);
      else parts.set(database, [{ snapshot, part }]);
    }
    place.names = place.names.filter(name => wanted.has(snapshotOf(name)) || names.has(name));
  }
  const lacking = databases?.find(name => !found.has(name) && parts.has(name));
  if (lacking !== undefined) throw noneWhole(lacking, parts.get(lacking)!);
  return chosen;
}

interface Latest {
  database: string;
  /** Of its manifest. */
  name: string;
  snapshot: string;
  /** Why it is no whole one; null: it is. */
  part: string | null;
}

/** The newest whole snapshot of each of these databases, or of every database that has one; else the newest of its parts. */
async function latestOf(
  { name, repository, names }: Chosen,
  databases: string[] | undefined,
  faults: Faults,
): Promise<Latest[]> {
  const latest = new Map<string, Latest>();
  // One that can't be read may be the latest of any database.
  const damaged = (each: string, fault: TidemarkError) =>
    faults.add(name, `snapshots/${each}`, fault, [snapshotOf(each)]);
  const missing = new Set(databases);
  for await (const manifest of newestFirst(repository, { names, damaged })) {
    const { database, snapshot } = manifest;
    const known = latest.get(database);
    if (known?.part === null || (databases && !missing.has(database))) continue;
    const part = partOf(manifest);
    if (known === undefined || part === null)
      latest.set(database, { database, name: manifestName(manifest), snapshot, part });
    if (part === null) missing.delete(database);
    if (databases && missing.size === 0) break;
  }
  return [...latest.values()];
}
