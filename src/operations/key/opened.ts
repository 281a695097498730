import { TidemarkError } from '../../base/errors.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { finishReplacing, type JudgedSlot, judgeSlots } from '../../repository/keys/changeSlots.ts';
import { newestEpoch } from '../../repository/keys/epochs.ts';
import { type KeySlot, type Secret, unwrapKey } from '../../repository/keys/slots.ts';
import { Repository } from '../../repository/repository.ts';
import { openStorage } from '../../storage/index.ts';
import type { Storage } from '../../storage/storage.ts';
import type { RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { readSecret, repositoryOf, storagePlace } from '../open/open.ts';

/** A repository whose keys may be changed, by nobody else meanwhile. */
export interface OpenedKeys {
  strategy: Strategy;
  spec: RepositorySpec;
  repository: Repository;
  /** What the strategy opens it with. */
  secret: Secret;
  slots: JudgedSlot[];
  /** Slots that had been replaced before, by an operation that was cut off, and were removed just now. */
  finished: string[];
  /** To be called before what was decided is done. LEASE_LOST where others may have changed keys meanwhile. */
  stillAlone(): Promise<void>;
}

/** Runs `work` while nobody else changes keys. Keys that are retired are refused: KEY_RETIRED. */
export async function changingKeys<T>(
  strategy: Strategy,
  name: string,
  work: (opened: OpenedKeys) => Promise<T>,
): Promise<T> {
  const spec = repositoryOf(strategy, name);
  const storage = await openStorage(storagePlace(spec));
  try {
    const secret = await readSecret(spec.key, strategy.environment);
    const repository = await Repository.open(storage, secret);
    const { epoch } = repository.keys.current;
    const lease = await Lease.takeKeys(storage);
    try {
      const slots = await judged(repository, storage, epoch);
      const finished = await finishReplacing(repository, slots, slot => opensWith(slot, repository, secret));
      const left = slots.filter(each => !finished.includes(each.name));
      const stillAlone = () => lease.hold();
      return await work({ strategy, spec, repository, secret, slots: left, finished, stillAlone });
    } finally {
      await lease.release();
    }
  } finally {
    await storage.close();
  }
}

async function judged(repository: Repository, storage: Storage, epoch: number): Promise<JudgedSlot[]> {
  const newest = await newestEpoch(storage);
  if (newest === epoch) return judgeSlots(storage, repository.keys, newest);
  throw new TidemarkError(
    'KEYS_BUSY',
    `somebody else began an epoch in ${storage.place}`,
    'run the command again',
  );
}

/** Whether a secret opens a slot, with the master key that the repository has in its epoch. */
export async function opensWith(slot: KeySlot, repository: Repository, secret: Secret): Promise<boolean> {
  const master = await unwrapKey(slot, repository.id, secret);
  return master?.equals(repository.keys.at(slot.epoch ?? 0).master) ?? false;
}

/** The first slot of the newest epoch that a secret opens. */
export async function slotOpenedBy(
  slots: readonly JudgedSlot[],
  repository: Repository,
  secret: Secret,
): Promise<KeySlot | undefined> {
  for (const { slot, state } of slots)
    if (slot && state === 'current' && (await opensWith(slot, repository, secret))) return slot;
  return undefined;
}
