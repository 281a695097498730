/**
 * Manifests that can't be read, and are written again from another object that says the same, or what was said before: an
 * earlier revision, the manifest as it was committed, or the same in `forgotten/`. docs/recovery.md, "Repair".
 */
import type { TidemarkError } from '../../base/errors.ts';
import type { Lease } from '../guards/lease.ts';
import type { Manifest } from '../manifest.ts';
import { hasAllPacks } from '../newest.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, listRevisions, nextRevision, revisionName } from '../revisions.ts';
import { RevisionRound } from '../rewrite/revisionRound.ts';
import { isLoss } from '../rewrite/rewrite.ts';

export interface UnreadableManifest {
  name: string;
  /** The object that counts and can't be read. */
  object: string;
  error: TidemarkError;
  /** The best that can be read instead; null where nothing can. */
  instead: { object: string; manifest: Manifest; allPacks: boolean } | null;
  /** Of the revision that would be written. */
  next: number;
}

/** Those of these snapshots whose manifest can't be read. Writes nothing. */
export async function findUnreadable(
  repository: Repository,
  names: readonly string[],
): Promise<UnreadableManifest[]> {
  const errors = new Map<string, TidemarkError>();
  const revisions = await listRevisions(repository.storage);
  const damaged = (name: string, error: TidemarkError) => {
    if (!isLoss(error)) throw error;
    errors.set(name, error);
  };
  for await (const _ of repository.read(names, { revisions, damaged }));
  const found: UnreadableManifest[] = [];
  for (const [name, error] of errors) {
    const numbers = revisions.get(name) ?? [];
    const current = currentRevision(numbers);
    const object = current === 0 ? `snapshots/${name}` : revisionName(name, current);
    const instead = await bestOf(repository, name, current, numbers);
    found.push({ name, object, error, instead, next: nextRevision(numbers) });
  }
  return found;
}

/** The newest that can be read and whose packs are all there; else the newest that can be read. */
async function bestOf(
  repository: Repository,
  name: string,
  current: number,
  numbers: readonly number[],
): Promise<UnreadableManifest['instead']> {
  const before = numbers.filter(number => number > 0 && number < current).reverse();
  const sources = [
    ...before.map(number => ({ number, folder: 'snapshots' as const, object: revisionName(name, number) })),
    ...(current > 0 ? [{ number: 0, folder: 'snapshots' as const, object: `snapshots/${name}` }] : []),
    { number: 0, folder: 'forgotten' as const, object: `forgotten/${name}` },
  ];
  let best: UnreadableManifest['instead'] = null;
  for (const { number, folder, object } of sources) {
    try {
      const manifest = await repository.revision(name, number, folder);
      const allPacks = await hasAllPacks(repository, manifest);
      if (allPacks) return { object, manifest, allPacks };
      best ??= { object, manifest, allPacks };
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }
  return best;
}

/**
 * Writes those again, as revisions, that can be read elsewhere.
 *
 * @param lease the right to prune: no collection may free meanwhile what they name. LEASE_LOST where somebody else took over.
 * @returns the names of those that were written.
 */
export async function rebuildManifests(
  repository: Repository,
  unreadable: readonly UnreadableManifest[],
  lease: Lease,
): Promise<string[]> {
  const wanted = unreadable.filter(each => each.instead !== null);
  if (wanted.length === 0) return [];
  return RevisionRound.run(repository, 'repair', lease, async round => {
    await round.announce(wanted.map(({ name, next }) => [name, next]));
    return round.write(
      wanted.map(({ instead, next }) => {
        const { manifest } = instead!;
        return { before: manifest, after: manifest, number: next };
      }),
    );
  });
}
