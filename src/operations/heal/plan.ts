import { usageError } from '../../base/errors.ts';
import type { Manifest } from '../../repository/manifest.ts';
import type { OpenPlace } from '../open.ts';
import { snapshotMeant } from '../snapshots.ts';
import { type HeldCopy, lookForDamage } from './damage.ts';

/** A repository and what it holds. */
export interface Surveyed {
  place: OpenPlace;
  copies: HeldCopy[];
}

/** A damaged snapshot of one repository, and where it may come from. */
export interface Patient {
  place: OpenPlace;
  copy: HeldCopy;
  /** A whole one with the same id in the same repository, as a heal that was cut off leaves it; the rest is to end the damaged one. */
  twin: string | null;
  /** Other repositories that have it, with no damage known. */
  sources: { place: OpenPlace; manifest: Manifest }[];
}

export async function survey(places: readonly OpenPlace[]): Promise<Surveyed[]> {
  const surveyed: Surveyed[] = [];
  for (const place of places) surveyed.push({ place, copies: await lookForDamage(place) });
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
  const names = surveyed.flatMap(({ copies }) => copies.map(each => each.name));
  const ids = new Set(given.map(each => snapshotMeant(names, each)));
  const patients = surveyed.flatMap(({ place, copies }) =>
    copies
      .filter(copy => copy.faults.length > 0 && place.name !== from)
      .filter(() => target === undefined || place.name === target)
      .filter(copy => ids.size === 0 || ids.has(copy.snapshot))
      .map(copy => ({
        place,
        copy,
        twin: copies.find(each => each.snapshot === copy.snapshot && isSound(each))?.name ?? null,
        sources: sourcesOf(surveyed, place, copy.snapshot, from),
      })),
  );
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

function sourcesOf(
  surveyed: readonly Surveyed[],
  target: OpenPlace,
  snapshot: string,
  from: string | null,
): Patient['sources'] {
  return surveyed
    .filter(({ place }) => place !== target && (from === null || place.name === from))
    .flatMap(({ place, copies }) => {
      const manifest = copies.find(each => each.snapshot === snapshot && isSound(each))?.manifest;
      return manifest ? [{ place, manifest }] : [];
    });
}

const isSound = ({ manifest, faults }: HeldCopy): boolean => manifest !== null && faults.length === 0;
