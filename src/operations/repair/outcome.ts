import { faultError, type TidemarkError } from '../../base/errors.ts';
import { packName } from '../../repository/format/packName.ts';
import type { UnreadableManifest } from '../../repository/repair/rebuildManifests.ts';
import type { HealedSnapshot } from '../heal/heal.ts';
import type { RepositoryFailure } from '../open/snapshots.ts';
import type { Lost } from '../verify/lost.ts';
import type { Diagnosis, SickSnapshot } from './diagnose.ts';

/** One object that is not as it was written. */
export interface RepairedObject {
  object: string;
  /** What is wrong with it. */
  fault: string;
  code: string;
  /** What is done about it; null where nothing can be. */
  remedy: string | null;
  /** `pending`: a dry run would repair it. `lost`: some of what it held is, or all of it. */
  state: 'pending' | 'repaired' | 'lost' | 'failed';
  error: TidemarkError | null;
}

/**
 * One snapshot that was damaged. `pending`: it would be made whole, were this no dry run. `rebuilt`: whole again, from what is
 * in the repository. `healed`: from another repository. `lost`: not whole, and nothing has it whole. `forgotten`: since it was
 * lost, and that was asked for.
 */
export interface RepairedSnapshot {
  snapshot: string;
  database: string | null;
  faults: string[];
  /** Repositories that have it whole. */
  from: string[];
  state: 'pending' | 'rebuilt' | 'healed' | 'lost' | 'forgotten' | 'failed';
  /** What can't be restored of it: now, or, of a dry run, once all was done. Null where everything can. */
  lost: Lost | null;
  error: TidemarkError | null;
}

/** What `tidemark repair --json` prints. */
export interface RepairResult {
  repository: string;
  dryRun: boolean;
  objects: RepairedObject[];
  /** Oldest first. */
  snapshots: RepairedSnapshot[];
  /** Snapshots that are lost and would be forgotten, or were, as was asked. */
  forgets: string[];
  /** Other repositories that could not be looked into. */
  failures: RepositoryFailure[];
}

/** What is known before anything is done. */
export interface Prospect {
  diagnosis: Diagnosis;
  /** By the names of manifests: what would be lost after rebuilding, and whether there is anything to rebuild. */
  foreseen: ReadonlyMap<string, { lost: Lost | null; gains: boolean }>;
  /** Other repositories that have a snapshot whole, by its id; none where it is there whole, beside the damaged one. */
  sources: ReadonlyMap<string, string[]>;
  failures: RepositoryFailure[];
  twins: Twin[];
}

/** One of two manifests of a snapshot, both whole as far as is known: `name` is to end, `by` stays. */
export interface Twin {
  name: string;
  by: string;
}

export function plannedTwin({ name, by }: Twin): RepairedObject {
  const fault = `the snapshot is there twice, and counts twice: snapshots/${by} is the same`;
  const remedy = 'this one ends, the other stays';
  return {
    ...{ object: `snapshots/${name}`, fault, code: 'SNAPSHOT_TWICE', remedy },
    ...{ state: 'pending', error: null },
  };
}

/** Each damaged object, and what can be done about it. */
export function plannedObjects({ diagnosis, foreseen, twins }: Prospect): RepairedObject[] {
  const { packs, cleared, unreadable, holds, sick } = diagnosis;
  const objects: RepairedObject[] = [];
  for (const [name, { code, message }] of packs) {
    const users = sick.filter(({ copy }) => copy.manifest?.packs.some(each => isPack(each, name)));
    const whole = users.every(({ copy }) => foreseen.get(copy.name)?.lost === null);
    const gains = users.some(({ copy }) => foreseen.get(copy.name)?.gains);
    const remedy = whole
      ? 'what it holds is written anew'
      : gains
        ? 'what can be had of it is written anew'
        : null;
    const state = gains ? 'pending' : 'lost';
    objects.push({ object: `packs/${name}`, fault: message, code, remedy, state, error: null });
  }
  for (const name of cleared) {
    const remedy = 'the record is put right';
    const fault = 'it is recorded as damaged, and is not';
    objects.push({
      object: `packs/${name}`,
      fault,
      code: 'RECORD_STALE',
      remedy,
      state: 'pending',
      error: null,
    });
  }
  for (const each of unreadable) objects.push(plannedManifest(each));
  for (const { snapshot, id } of holds) {
    const fault = 'it goes on holding, and nobody knows why and until when';
    const remedy = 'another hold, without end, takes its place';
    const object = `holds/${snapshot}/${id}`;
    objects.push({ object, fault, code: 'HOLD_UNREADABLE', remedy, state: 'pending', error: null });
  }
  return [...objects, ...twins.map(plannedTwin)];
}

function plannedManifest({ object, error, instead }: UnreadableManifest): RepairedObject {
  const { message: fault, code } = error;
  const remedy = instead && `it is written again as a revision, from ${instead.object}`;
  return { object, fault, code, remedy, state: instead ? 'pending' : 'lost', error: null };
}

const isPack = ([session, number]: readonly [string, number, ...unknown[]], name: string): boolean =>
  name === packName(session, number);

/** What is expected of a snapshot, before anything is done. */
export function plannedSnapshot(
  { copy, lost }: SickSnapshot,
  { diagnosis, foreseen, sources }: Prospect,
): RepairedSnapshot {
  const { name, snapshot, manifest, faults } = copy;
  const instead = diagnosis.unreadable.find(each => each.name === name)?.instead;
  const from = sources.get(snapshot) ?? [];
  const left = manifest === null ? (instead?.allPacks ? null : lost) : (foreseen.get(name)?.lost ?? null);
  const database = (manifest ?? instead?.manifest)?.database ?? null;
  const curable = left === null || sources.has(snapshot);
  const state = curable ? 'pending' : 'lost';
  return { snapshot, database, faults, from, state, lost: curable ? null : left, error: null };
}

/** What became of a snapshot that was damaged. */
export function judged(
  planned: RepairedSnapshot,
  after: readonly SickSnapshot[],
  healed: readonly HealedSnapshot[],
): RepairedSnapshot {
  const still = after.find(({ copy }) => copy.snapshot === planned.snapshot);
  const heal = healed.find(each => each.snapshot === planned.snapshot);
  const database = planned.database ?? heal?.database ?? null;
  const error = heal?.error ?? null;
  if (!still) return { ...planned, database, state: heal ? 'healed' : 'rebuilt', lost: null, error };
  const why = error ?? (planned.state === 'pending' ? notMended(planned) : null);
  return { ...planned, database, state: why ? 'failed' : 'lost', lost: still.lost, error: why };
}

/** It could be made whole a moment ago, so nobody may call it lost. */
function notMended({ snapshot }: RepairedSnapshot): TidemarkError {
  return faultError('NOT_REPAIRED', `snapshot ${snapshot} is still damaged`, 'run the command again');
}
