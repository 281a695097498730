import { ahead } from '../base/ahead.ts';
import type { TidemarkError } from '../base/errors.ts';
import { packName } from './keys.ts';
import type { Manifest } from './manifest.ts';
import type { Repository } from './repository.ts';
import { listRevisions } from './revisions.ts';

/** Looking for a snapshot without reading every manifest. */

/** Manifests read at once: one at first, since the newest is often the one, then twice as many each time up to this. */
const READ_AT_ONCE_MAX = 32;
/** Sessions whose packs are listed at once. */
const LISTS_AHEAD = 8;

/**
 * Manifests of snapshots, the newest first; stop when you have found what you look for. One that can't be read is passed
 * over, and given to `damaged`.
 *
 * @param names of manifests, oldest first; absent: all there are.
 */
export async function* newestFirst(
  repository: Repository,
  options: { names?: readonly string[]; damaged?(name: string, error: TidemarkError): void } = {},
): AsyncGenerator<Manifest> {
  const { names = await repository.snapshotNames(), damaged = () => {} } = options;
  const revisions = await listRevisions(repository.storage);
  for (
    let end = names.length, count = 1;
    end > 0;
    end -= count, count = Math.min(count * 2, READ_AT_ONCE_MAX)
  )
    yield* repository.read(names.slice(Math.max(0, end - count), end).reverse(), { revisions, damaged });
}

/** Whether all packs of a snapshot are there with the sizes it knows: one listing for each session it refers to. */
export async function hasAllPacks(
  { storage }: Repository,
  manifest: Pick<Manifest, 'sessions' | 'packs'>,
): Promise<boolean> {
  const sizesOf = async (session: string) => {
    const sizes = new Map<string, number>();
    for await (const { name, sizeBytes } of storage.list(`packs/${session}/`)) sizes.set(name, sizeBytes);
    return { session, sizes };
  };
  for await (const { session, sizes } of ahead(Object.keys(manifest.sessions), LISTS_AHEAD, sizesOf)) {
    const whole = manifest.packs.every(
      ([of, number, sizeBytes]) => of !== session || sizes.get(`packs/${packName(of, number)}`) === sizeBytes,
    );
    if (!whole) return false;
  }
  return manifest.packs.every(([session]) => Object.hasOwn(manifest.sessions, session));
}
