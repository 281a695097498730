import { placeHold, readHolds, releaseHold } from '../guards/holds.ts';
import type { Repository } from '../repository.ts';
import { isLoss } from '../rewrite/rewrite.ts';

/** A hold that goes on holding, though nobody knows any more why, or until when. */
export interface DamagedHold {
  snapshot: string;
  id: string;
}

/** Holds whose seals are broken. One of a later format, or under a newer key, is none. */
export async function findDamagedHolds(repository: Repository): Promise<DamagedHold[]> {
  const { storage, keys } = repository;
  const found: DamagedHold[] = [];
  for (const [snapshot, holds] of await readHolds(repository, await storage.now())) {
    for (const { id, reason } of holds) {
      if (reason !== null) continue;
      const name = `holds/${snapshot}/${id}`;
      try {
        keys.open(name, await storage.get(name), name);
      } catch (error) {
        if (!isLoss(error)) throw error;
        found.push({ snapshot, id });
      }
    }
  }
  return found;
}

/**
 * Places another hold, without end, unless that was done before, and only then removes the damaged one. Throws as `placeHold` does: SNAPSHOT_GONE where
 * the snapshot is not there.
 */
export async function replaceHold(repository: Repository, { snapshot, id }: DamagedHold): Promise<void> {
  const reason = `in place of hold ${id}, which was damaged: its reason and its end are lost`;
  const holds = await readHolds(repository, await repository.storage.now(), snapshot);
  if (!holds.get(snapshot)?.some(each => each.reason === reason))
    await placeHold(repository, snapshot, { reason, until: null, by: 'tidemark repair' });
  await releaseHold(repository, snapshot, id);
}
