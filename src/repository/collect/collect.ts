/** Carries collection out: frees packs that no snapshot needs, in two phases. docs/recovery.md, "Collection". */
import { eachOf } from '../../base/ahead.ts';
import { TidemarkError } from '../../base/errors.ts';
import { packName } from '../format/packName.ts';
import type { Lease } from '../guards/lease.ts';
import { newSessionId } from '../manifest.ts';
import type { PackSet } from '../packs/packCatalog.ts';
import type { Repository } from '../repository.ts';
import type { Amount, CollectionPlan } from './collectionPlan.ts';
import { CONDEMNED, RECORD_PACKS_MAX } from './condemned.ts';

/** Removals under way at once. */
const REMOVALS_MAX = 8;
/** Locks looked at to say until when objects stay. */
const LOCKS_LOOKED_AT = 32;

export interface Collected {
  freed: Amount;
  locked: LockedPacks;
}

/** Packs that nothing needs and a lock keeps; they are condemned anew. `until`: the last day seen, where one is known. */
export type LockedPacks = Amount & { until: Date | null };

/**
 * Condemns first, deletes packs, then the manifests and records that spoke of them. May be stopped anywhere; the next plan
 * goes on from there. Throws LEASE_LOST if somebody else took over.
 */
export async function collect(
  repository: Repository,
  plan: CollectionPlan,
  lease: Lease,
  signal?: AbortSignal,
): Promise<Collected> {
  await condemn(repository, plan);
  if (plan.free.length > 0) await lease.hold();
  const collected = await free(repository, plan.free, signal);
  for (const names of [plan.manifests, plan.records.map(id => CONDEMNED.name(id)), plan.leases]) {
    if (names.length === 0) continue;
    await lease.hold();
    await eachOf(names, REMOVALS_MAX, async name => {
      signal?.throwIfAborted();
      await unlessLocked(repository.storage.remove(name));
    });
  }
  return collected;
}

async function condemn(repository: Repository, { condemn, settled }: CollectionPlan): Promise<void> {
  const { catalog, places } = condemn;
  for (let from = 0; from < places.length; from += RECORD_PACKS_MAX) {
    const packs = Array.from(places.subarray(from, from + RECORD_PACKS_MAX), place => catalog.ref(place));
    const id = newSessionId(await repository.storage.now());
    await CONDEMNED.write(repository, id, { packs, settled }, { ifAbsent: true, freesSpace: true });
  }
}

async function free({ storage }: Repository, packs: PackSet, signal?: AbortSignal): Promise<Collected> {
  const freed: Amount = { packs: 0, bytes: 0 };
  const locked: LockedPacks = { packs: 0, bytes: 0, until: null };
  await eachOf(packs, REMOVALS_MAX, async ([session, number, sizeBytes]) => {
    signal?.throwIfAborted();
    const name = `packs/${packName(session, number)}`;
    const gone = await unlessLocked(storage.remove(name));
    const where = gone ? freed : locked;
    where.packs++;
    where.bytes += sizeBytes;
    if (gone || locked.packs > LOCKS_LOOKED_AT) return;
    const until = await storage.locks?.until(name);
    if (until && until > (locked.until ?? new Date(0))) locked.until = until;
  });
  return { freed, locked };
}

/** False where a lock keeps the object. */
async function unlessLocked(removing: Promise<void>): Promise<boolean> {
  try {
    await removing;
    return true;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'OBJECT_LOCKED') return false;
    throw error;
  }
}
