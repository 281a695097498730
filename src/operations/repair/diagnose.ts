import type { Reporter } from '../../base/progress.ts';
import { packName } from '../../repository/format/packName.ts';
import { type DamagedHold, findDamagedHolds } from '../../repository/repair/damagedHolds.ts';
import { findUnreadable, type UnreadableManifest } from '../../repository/repair/rebuildManifests.ts';
import { type Health, lookForDamage, type SickCopy } from '../heal/damage.ts';
import type { OpenPlace } from '../open/open.ts';
import { ALL_LOST, type Lost } from '../verify/lost.ts';
import { VerifyRun } from '../verify/run.ts';

/** Damage may show, when what is known to be hurt is looked at, in packs of which nobody knew; hardly more often than this. */
const LOOKS = 4;

/** A snapshot that is not as it was written. */
export interface SickSnapshot {
  copy: SickCopy;
  /** What can't be restored as things are; null where everything can. */
  lost: Lost | null;
}

/** Everything that is wrong in a repository that was opened, as far as it is known and can be seen without reading it all. */
export interface Diagnosis {
  /** Oldest first. */
  sick: SickSnapshot[];
  /** Names of manifests of which nothing bad is known. */
  sound: string[];
  /** Damaged packs, by `packName`, and what is wrong with each. */
  packs: Map<string, { code: string; message: string }>;
  /** Packs that are recorded as damaged, and are right. */
  cleared: string[];
  unreadable: UnreadableManifest[];
  holds: DamagedHold[];
}

export interface DiagnoseOptions {
  reporter: Reporter;
  signal: AbortSignal;
  /** Whether what is found of packs is recorded in the repository; nothing is written otherwise. */
  record: boolean;
}

/** Looks at every manifest, and again at every pack that is known to be damaged, missing or cut. */
export async function diagnose(place: OpenPlace, options: DiagnoseOptions): Promise<Diagnosis> {
  const { suspects, losses, packs, health } = await lookAtPacks(place, options);
  const sick = health.sick.flatMap((copy): SickSnapshot[] => {
    if (copy.manifest === null) return [{ copy, lost: ALL_LOST }];
    const needs = namesOf(copy).some(name => packs.has(name));
    return needs || losses.get(copy.name) ? [{ copy, lost: losses.get(copy.name) ?? null }] : [];
  });
  const lost = sick.filter(({ copy }) => copy.manifest === null).map(({ copy }) => copy.name);
  return {
    sick,
    sound: health.sound,
    packs,
    cleared: [...suspects].filter(name => !packs.has(name)).sort(),
    unreadable: await findUnreadable(place.repository, lost),
    holds: await findDamagedHolds(place.repository),
  };
}

interface PackLooks {
  health: Health;
  suspects: Set<string>;
  losses: Map<string, Lost | null>;
  packs: Diagnosis['packs'];
}

/** The packs that are suspected, and those that turn out to be damaged while their snapshots are looked at. */
async function lookAtPacks(
  { name, repository, storage }: OpenPlace,
  { reporter, signal, record }: DiagnoseOptions,
): Promise<PackLooks> {
  let health = await lookForDamage({ repository });
  const suspects = new Set(health.sick.flatMap(copy => copy.packs));
  for (let look = 1; ; look++) {
    const names = health.sick.filter(copy => copy.manifest !== null).map(copy => copy.name);
    const run = new VerifyRun({ reporter, signal, coverageMs: 0 });
    const chosen = { name, repository, storage, names };
    if (names.length > 0)
      await run.suspects(chosen, (session, number) => suspects.has(packName(session, number)), record);
    const packs: Diagnosis['packs'] = new Map();
    for (const { object, code, message } of run.faults.list())
      if (object.startsWith('packs/')) packs.set(object.slice('packs/'.length), { code, message });
    const known = suspects.size;
    for (const each of packs.keys()) suspects.add(each);
    if (suspects.size > known && look < LOOKS) {
      health = await lookForDamage({ repository }, suspects);
      continue;
    }
    const losses = new Map(names.map((each, i) => [each, run.snapshots[i]!.lost]));
    return { health, suspects, packs, losses };
  }
}

const namesOf = ({ manifest }: SickCopy): string[] =>
  (manifest?.packs ?? []).map(([session, number]) => packName(session, number));
