import type { TidemarkError } from '../../base/errors.ts';
import { packName } from '../../repository/format/packName.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import { PackCatalog } from '../../repository/packs/packCatalog.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import type { OpenPlace } from '../open/open.ts';
import { ALL_LOST, type Lost } from '../verify/lost.ts';
import { type RunOptions, VerifyRun } from '../verify/run.ts';

/** A snapshot in one repository that is known not to be whole. */
export interface SickCopy {
  /** Of its manifest. */
  name: string;
  snapshot: string;
  /** Null where it can't be read. */
  manifest: Manifest | null;
  /** What is wrong with it, in words. */
  faults: string[];
  /** Packs that it needs and that are damaged, missing or cut, as `packName` has them. */
  packs: string[];
}

/** Memory: a name of each snapshot, and the manifests of the sick. */
export interface Health {
  /** Oldest first. */
  sick: SickCopy[];
  /** Names of manifests of which nothing bad is known. */
  sound: string[];
}

/**
 * Looks at every snapshot of a repository: whether its manifest can be read, its packs are there with the sizes they had,
 * and none was found damaged by a verify, or is among `damagedToo` (as `packName` has them).
 */
export async function lookForDamage(
  { repository }: Pick<OpenPlace, 'repository'>,
  damagedToo: ReadonlySet<string> = new Set(),
): Promise<Health> {
  const checks = await PackChecks.read(repository);
  const catalog = await PackCatalog.list(repository.storage);
  const health: Health = { sick: [], sound: [] };
  const damaged = (name: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
    const faults = [`its manifest can't be read [${error.code}]`];
    health.sick.push({ name, snapshot: snapshotOf(name), manifest: null, faults, packs: [] });
  };
  for await (const manifest of repository.read(await repository.snapshotNames(), { damaged })) {
    const name = manifestName(manifest);
    const known = new Set(checks.hurting(manifest).map(each => packName(each.session, each.number)));
    if (damagedToo.size > 0)
      for (const [session, number] of manifest.packs)
        if (damagedToo.has(packName(session, number))) known.add(packName(session, number));
    const gone = manifest.packs
      .filter(pack => !catalog.holds(pack))
      .map(([session, number]) => packName(session, number))
      .filter(name => !known.has(name));
    const faults: string[] = [];
    if (known.size > 0) faults.push(`${known.size} of its packs are damaged`);
    if (gone.length > 0) faults.push(`${gone.length} of its packs are missing or cut`);
    const { snapshot } = manifest;
    if (faults.length === 0) health.sound.push(name);
    else health.sick.push({ name, snapshot, manifest, faults, packs: [...known, ...gone] });
  }
  health.sick.sort((a, b) => (a.name < b.name ? -1 : 1));
  return health;
}

/**
 * What exactly can't be restored of damaged snapshots of one repository, by the names of their manifests: everything that
 * they say is held against their damaged packs, which are read again. Nothing is written.
 */
export async function lossesOf(
  { name, repository, storage }: OpenPlace,
  copies: readonly SickCopy[],
  { reporter, signal }: Pick<RunOptions, 'reporter' | 'signal'>,
): Promise<Map<string, Lost | null>> {
  const suspects = new Set(copies.flatMap(copy => copy.packs));
  const names = copies.filter(copy => copy.manifest !== null).map(copy => copy.name);
  const run = new VerifyRun({ reporter, signal, coverageMs: 0 });
  await run.suspects(
    { name, repository, storage, names },
    (session, number) => suspects.has(packName(session, number)),
    false,
  );
  const losses = new Map<string, Lost | null>(copies.map(copy => [copy.name, ALL_LOST]));
  for (const [i, each] of names.entries()) losses.set(each, run.snapshots[i]!.lost);
  return losses;
}
