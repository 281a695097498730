import { asTidemarkError } from '../../base/errors.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { type KeyRepair, reopen, writeRepairs } from '../../repository/repair/reopen.ts';
import { isLoss } from '../../repository/rewrite/rewrite.ts';
import { openStorage } from '../../storage/index.ts';
import type { Strategy } from '../../strategy/spec.ts';
import {
  type OpenPlace,
  openAll,
  openPlace,
  placeOf,
  readSecret,
  repositoryOf,
  storagePlace,
} from '../open/open.ts';
import { requireResidency } from '../open/residency.ts';
import type { RepairedObject } from './outcome.ts';

/** A repository, opened in spite of damage, and what of that can be repaired. */
export interface OpenedForRepair {
  place: OpenPlace;
  repairs: KeyRepair[];
}

/**
 * Opens a repository whose header or epochs may be damaged. Writes nothing.
 *
 * @param id as its recovery kit has it; null: what copies in other repositories say.
 */
export async function openForRepair(
  strategy: Strategy,
  name: string,
  id: string | null,
  signal: AbortSignal,
): Promise<OpenedForRepair> {
  const spec = repositoryOf(strategy, name);
  const storage = await openStorage(storagePlace(spec), { signal });
  try {
    await requireResidency(storage, spec);
    const secret = await readSecret(spec.key, strategy.environment);
    const ids = async () => [...(id === null ? [] : [id]), ...(await sourcesOfCopies(strategy))];
    const { repository, repairs } = await reopen(storage, secret, ids);
    repository.policy = { storageClass: spec.storageClass, lock: spec.lock };
    return { place: placeOf(strategy, name, repository), repairs };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** Ids of the repositories that copies in any repository were read from. */
async function sourcesOfCopies(strategy: Strategy): Promise<string[]> {
  const ids = new Set<string>();
  for (const { repository } of (await openAll(strategy)).opened) {
    try {
      const names = await repository.snapshotNames();
      for await (const { copied } of repository.read(names, { damaged() {} }))
        if (copied) ids.add(copied.from);
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }
  return [...ids];
}

export function plannedKeys(repairs: readonly KeyRepair[]): RepairedObject[] {
  return repairs.map(({ object, fault, bytes }) => ({
    ...{ object, fault: fault.message, code: fault.code },
    remedy: bytes ? 'it is written again: the key proves what it said' : null,
    state: bytes ? 'pending' : 'lost',
    error: null,
  }));
}

/** Writes them, and opens the repository as everybody does. */
export async function repairKeys(
  strategy: Strategy,
  { place, repairs }: OpenedForRepair,
): Promise<{ place: OpenPlace; objects: RepairedObject[] }> {
  const objects = plannedKeys(repairs);
  if (!objects.some(each => each.state === 'pending')) return { place, objects };
  const { storage } = place.repository;
  const lease = await Lease.takeKeys(storage);
  try {
    await writeRepairs(storage, repairs);
    for (const each of objects) if (each.state === 'pending') each.state = 'repaired';
  } catch (error) {
    for (const each of objects)
      if (each.state === 'pending') Object.assign(each, { state: 'failed', error: asTidemarkError(error) });
  } finally {
    await lease.release();
  }
  return { place: await openPlace(strategy, place.name), objects };
}
