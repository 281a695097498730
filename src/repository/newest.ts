import { eachOf } from '../base/ahead.ts';
import type { TidemarkError } from '../base/errors.ts';
import { isAhead } from './clock.ts';
import { packName } from './format/packName.ts';
import type { Manifest } from './manifest.ts';
import type { Repository } from './repository.ts';
import { listRevisions } from './revisions.ts';

/** Looking for a snapshot without reading every manifest. */

/** Manifests read at once: one at first, since the newest is often the one, then twice as many each time up to this. */
const READ_AT_ONCE_MAX = 32;
/** Sessions whose packs are listed at once. */
const LISTS_AHEAD = 8;

/**
 * Manifests of snapshots, the newest first; those dated in the future come last of all. Stop when you have found what you
 * look for. One that can't be read is passed over, and given to `damaged`.
 *
 * @param names of manifests, oldest first; absent: all there are.
 */
export async function* newestFirst(
  repository: Repository,
  options: { names?: readonly string[]; damaged?(name: string, error: TidemarkError): void } = {},
): AsyncGenerator<Manifest> {
  const { damaged = () => {} } = options;
  const all = options.names ?? (await repository.snapshotNames());
  const ahead = new Set(await datedAhead(repository, all));
  const names = ahead.size === 0 ? all : [...ahead, ...all.filter(name => !ahead.has(name))];
  const revisions = await listRevisions(repository.storage);
  for (
    let end = names.length, count = 1;
    end > 0;
    end -= count, count = Math.min(count * 2, READ_AT_ONCE_MAX)
  )
    yield* repository.read(names.slice(Math.max(0, end - count), end).reverse(), { revisions, damaged });
}

/** Those of the names that are dated in the future. The storage is asked for the time only where this machine finds one. */
export async function datedAhead({ storage }: Repository, names: readonly string[]): Promise<string[]> {
  const machine = new Date();
  if (!names.some(name => isAhead(name, machine))) return [];
  const now = await storage.now().catch(() => machine);
  return names.filter(name => isAhead(name, now));
}

/** Sizes of a session's packs, by the names of their objects. */
export type PackSizes = ReadonlyMap<string, number>;

/**
 * Packs that a snapshot needs and that are not there, or have another size than it knows: one listing for each session it
 * refers to.
 *
 * @param known listings to go by and to add to, for who looks at several snapshots.
 */
export async function missingPacks(
  { storage }: Repository,
  manifest: Pick<Manifest, 'sessions' | 'packs'>,
  known = new Map<string, PackSizes>(),
): Promise<string[]> {
  const sizesOf = async (session: string): Promise<void> => {
    if (known.has(session)) return;
    const sizes = new Map<string, number>();
    for await (const { name, sizeBytes } of storage.list(`packs/${session}/`)) sizes.set(name, sizeBytes);
    known.set(session, sizes);
  };
  await eachOf(Object.keys(manifest.sessions), LISTS_AHEAD, sizesOf);
  const missing: string[] = [];
  for (const [session, number, sizeBytes] of manifest.packs) {
    const name = `packs/${packName(session, number)}`;
    if (known.get(session)?.get(name) !== sizeBytes) missing.push(name);
  }
  return missing;
}

/** Whether all packs of a snapshot are there with the sizes it knows. */
export async function hasAllPacks(
  repository: Repository,
  manifest: Pick<Manifest, 'sessions' | 'packs'>,
): Promise<boolean> {
  return (await missingPacks(repository, manifest)).length === 0;
}
