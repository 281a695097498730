import type { TidemarkError } from '../../base/errors.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import { PackCatalog } from '../../repository/packCatalog.ts';
import { PackChecks } from '../../repository/packChecks.ts';
import type { OpenPlace } from '../open.ts';

/** A snapshot in one repository, as far as it is known without reading it back. */
export interface HeldCopy {
  /** Of its manifest. */
  name: string;
  snapshot: string;
  /** Null where it can't be read. */
  manifest: Manifest | null;
  /** What is wrong with it, in words; empty where nothing is known. */
  faults: string[];
}

/**
 * Looks at every snapshot of a repository: whether its manifest can be read, its packs are there with the sizes they had,
 * and none was found damaged by a verify. Oldest first.
 */
export async function lookForDamage({ repository }: OpenPlace): Promise<HeldCopy[]> {
  const checks = await PackChecks.read(repository);
  const packs = await PackCatalog.list(repository.storage);
  const copies: HeldCopy[] = [];
  const damaged = (name: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
    const faults = [`its manifest can't be read [${error.code}]`];
    copies.push({ name, snapshot: snapshotOf(name), manifest: null, faults });
  };
  for await (const manifest of repository.read(await repository.snapshotNames(), { damaged })) {
    const known = new Set(checks.hurting(manifest).map(each => `${each.session} ${each.number}`));
    const gone = manifest.packs.filter(
      pack => !packs.holds(pack) && !known.has(`${pack[0]} ${pack[1]}`),
    ).length;
    const faults: string[] = [];
    if (known.size > 0) faults.push(`${known.size} of its packs are damaged`);
    if (gone > 0) faults.push(`${gone} of its packs are missing or cut`);
    copies.push({ name: manifestName(manifest), snapshot: manifest.snapshot, manifest, faults });
  }
  return copies.sort((a, b) => (a.name < b.name ? -1 : 1));
}
