import { HOLDS, placeHold, readHolds, releaseHold } from '../guards/holds.ts';
import type { Repository } from '../repository.ts';

/** A hold that goes on holding, though nobody knows any more why, or until when. */
export interface DamagedHold {
  snapshot: string;
  id: string;
}

/** Holds whose seals are broken. One of a later format, or under a newer key, is none. */
export async function findDamagedHolds(repository: Repository): Promise<DamagedHold[]> {
  const found: DamagedHold[] = [];
  for (const { id } of await HOLDS.list(repository.storage)) {
    if ((await HOLDS.read(repository, id)) !== 'damaged') continue;
    const [snapshot, hold] = id.split('/') as [string, string];
    found.push({ snapshot, id: hold });
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
