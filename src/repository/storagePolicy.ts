import type { Lock, PutOptions } from '../storage/storage.ts';

/** How the objects of a repository are stored. */
export interface StoragePolicy {
  /** The class of packs with rows; null: the one that is read at once, in which everything else is. */
  storageClass: string | null;
  /** What is stored stays locked for at least half of this time, and is locked again while it is needed. */
  lock: { mode: Lock['mode']; forMs: number } | null;
}

export const PLAIN_POLICY: StoragePolicy = { storageClass: null, lock: null };

/** How a pack, or another object that is needed at once, is put. */
export function putOptions({ storageClass, lock }: StoragePolicy, content: PackContent): PutOptions {
  const options: PutOptions = {};
  if (storageClass !== null && content === 'rows') options.storageClass = storageClass;
  if (lock) options.lock = { mode: lock.mode, until: new Date(Date.now() + lock.forMs) };
  return options;
}

/** What a pack holds: rows alone, or anything: chunk lists and the streams that describe a snapshot, which must be read at once. */
export type PackContent = 'rows' | 'any';
