import type { TidemarkError } from '../../base/errors.ts';
import { packName } from '../format/packName.ts';
import type { Lease } from '../guards/lease.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import type { Repository } from '../repository.ts';
import { revisionName } from '../revisions.ts';
import { putOptions } from '../storagePolicy.ts';

/** Revisions written between two looks at the leases. */
export const REVISIONS_AT_ONCE = 8;

/** A manifest with new places, and the one it comes after. */
export interface Revision {
  before: Manifest;
  /** What differs. */
  after: Pick<Manifest, 'sessions' | 'epochs' | 'packs' | 'usage' | 'streams' | 'counts'>;
  number: number;
}

/**
 * Writes revisions, of which everything is stored and each was announced (compactions.ts); at most `REVISIONS_AT_ONCE`.
 *
 * @param leases all of them must be held: LEASE_LOST if one isn't, and nothing is written.
 * @returns names of the manifests that were revised; one that somebody else has revised meanwhile is left.
 */
export async function writeRevisions(
  repository: Repository,
  session: string,
  revisions: readonly Revision[],
  leases: readonly Lease[],
): Promise<string[]> {
  const at = (await repository.storage.now()).toISOString();
  for (const lease of leases) await lease.hold();
  const written = await Promise.all(revisions.map(each => write(repository, session, each, at)));
  return written.flatMap(name => name ?? []);
}

async function write(
  { storage, keys, policy }: Repository,
  session: string,
  { before, after, number }: Revision,
  at: string,
): Promise<string | undefined> {
  const name = manifestName(before);
  const object = revisionName(name, number);
  const { epochs: _, ...said } = before;
  const manifest: Manifest = {
    ...said,
    ...after,
    revised: { number, session, at, dropped: dropped(before, after) },
  };
  try {
    const sealed = keys.seal(object, manifest);
    await storage.put(object, [sealed], { ...putOptions(policy, 'any'), ifAbsent: true });
    return name;
  } catch (error) {
    if ((error as TidemarkError).code === 'OBJECT_EXISTS') return undefined;
    throw error;
  }
}

function dropped(before: Pick<Manifest, 'packs'>, after: Pick<Manifest, 'packs'>): [string, number][] {
  const names = new Set(after.packs.map(([session, number]) => packName(session, number)));
  return before.packs.flatMap(([session, number]) =>
    names.has(packName(session, number)) ? [] : [[session, number]],
  );
}
