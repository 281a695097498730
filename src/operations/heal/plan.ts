import { usageError } from '../../base/errors.ts';
import { snapshotOf } from '../../repository/manifest.ts';
import type { OpenPlace } from '../open/open.ts';
import { snapshotMeant } from '../open/snapshots.ts';
import { type Health, lookForDamage, type SickCopy } from './damage.ts';

/** A repository and what it holds. */
export interface Surveyed extends Health {
  place: OpenPlace;
}

/** A damaged snapshot of one repository, and where it may come from. */
export interface Patient {
  place: OpenPlace;
  copy: SickCopy;
  /** A whole one with the same id in the same repository, as a heal that was cut off leaves it; the rest is to end the damaged one. */
  twin: string | null;
  /** Other repositories that have it, with no damage known, and the name of its manifest there. */
  sources: { place: OpenPlace; name: string }[];
}

export async function survey(places: readonly OpenPlace[]): Promise<Surveyed[]> {
  const surveyed: Surveyed[] = [];
  for (const place of places) surveyed.push({ place, ...(await lookForDamage(place)) });
  return surveyed;
}

export interface Wish {
  /** Starts or ends of snapshots' ids; empty: all that are damaged. */
  given: string[];
  /** Only from this repository, which is then not healed itself; null: from any. */
  from: string | null;
  /** Only what is damaged in this repository; absent: in any. */
  target?: string;
}

/** What is damaged and wanted whole; oldest first, so that the younger ones share what the older ones bring. */
export function choosePatients(surveyed: readonly Surveyed[], { given, from, target }: Wish): Patient[] {
  const names = surveyed.flatMap(({ sick, sound }) => [...sick.map(each => each.name), ...sound]);
  const ids = new Set(given.map(each => snapshotMeant(names, each)));
  const wanted = surveyed.flatMap(({ place, sick }) =>
    sick
      .filter(() => place.name !== from && (target === undefined || place.name === target))
      .filter(copy => ids.size === 0 || ids.has(copy.snapshot))
      .map(copy => ({ place, copy })),
  );
  const sound = soundOnes(surveyed, new Set(wanted.map(({ copy }) => copy.snapshot)));
  const patients = wanted.map(({ place, copy }): Patient => {
    const known = sound.get(copy.snapshot) ?? [];
    const sources = known.filter(each => each.place !== place && (from === null || each.place.name === from));
    return { place, copy, twin: known.find(each => each.place === place)?.name ?? null, sources };
  });
  const sick = new Set(patients.map(({ copy }) => copy.snapshot));
  for (const id of ids) {
    if (sick.has(id)) continue;
    throw usageError(
      'NOT_DAMAGED',
      `no damage is known of snapshot ${id}`,
      `look for some: tidemark verify ${id}`,
    );
  }
  return patients;
}

/** Of these snapshots, where they are with no damage known. */
export function soundOnes(
  surveyed: readonly Pick<Surveyed, 'place' | 'sound'>[],
  snapshots: ReadonlySet<string>,
): Map<string, Patient['sources']> {
  const found = new Map<string, Patient['sources']>();
  for (const { place, sound } of surveyed) {
    for (const name of sound) {
      const snapshot = snapshotOf(name);
      if (!snapshots.has(snapshot)) continue;
      const known = found.get(snapshot) ?? [];
      // Of two in one repository the first counts.
      if (!known.some(each => each.place === place)) known.push({ place, name });
      found.set(snapshot, known);
    }
  }
  return found;
}
