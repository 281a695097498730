import { asTidemarkError, faultError, type TidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { Forgetting, forgetUnlessHeld } from '../../repository/guards/forgetting.ts';
import { type Manifest, manifestName } from '../../repository/manifest.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { storedAs } from '../copy/copy.ts';
import { copySnapshot } from '../copy/copySnapshot.ts';
import { type OpenPlace, repositoryOf } from '../open/open.ts';
import { openPlaces, type RepositoryFailure } from '../open/snapshots.ts';
import type { Lost } from '../verify/lost.ts';
import { VerifyRun } from '../verify/run.ts';
import { lossesOf } from './damage.ts';
import { choosePatients, type Patient, survey, type Wish } from './plan.ts';

/** A copy may rely on packs of which nobody knew that they are damaged; verifying it finds them, and the next is without. */
const ATTEMPTS = 3;

export interface HealRequest extends Wish {
  strategy: Strategy;
  dryRun: boolean;
  jobs: number | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
  /** Shown before anything is written; false ends it with nothing done. */
  confirm(planned: HealedSnapshot[]): Promise<boolean>;
}

/**
 * `pending`: not done, since this is a dry run. `lost`: no repository that can be read has it whole. `both`: it is there,
 * whole, and the damaged one could not be ended; `error` says why.
 */
export interface HealedSnapshot {
  snapshot: string;
  repository: string;
  database: string | null;
  faults: string[];
  /** Repositories it may come from, or (empty) that it is there again already. */
  from: string[];
  state: 'pending' | 'healed' | 'both' | 'lost' | 'failed';
  error: TidemarkError | null;
  /** Of one that stays damaged: what can't be restored from it in this repository; null where all can. */
  lost: Lost | null;
}

/** What `tidemark heal --json` prints. */
export interface HealResult {
  dryRun: boolean;
  /** Damaged ones, oldest first in each repository. */
  snapshots: HealedSnapshot[];
  /** Repositories that could not be looked at. */
  failures: RepositoryFailure[];
}

/**
 * Brings damaged snapshots from repositories that have them whole. Each is copied anew, without a chunk from a damaged
 * pack, and read back to its last byte; only then is the damaged one forgotten. A kill leaves the damaged one, or both.
 */
export async function heal(request: HealRequest): Promise<HealResult> {
  const { strategy, dryRun, from, signal } = request;
  if (from !== null) repositoryOf(strategy, from);
  const { places, failures } = await openPlaces(strategy);
  const patients = choosePatients(await survey(places), request);
  const snapshots: HealedSnapshot[] = [];
  for (const each of patients) snapshots.push(await describe(each));
  await nameLost(request, patients, snapshots);
  const result = { dryRun, snapshots, failures };
  const curable = snapshots.filter(each => each.state === 'pending');
  if (dryRun || curable.length === 0) return result;
  if (!(await request.confirm(snapshots))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the healing was not confirmed',
      'nothing was done; confirm it, say --yes, or look at it with --dry-run',
    );
  }
  for (const [i, patient] of patients.entries()) {
    if (snapshots[i]!.state !== 'pending') continue;
    signal.throwIfAborted();
    try {
      const error = await healOne(request, patient);
      Object.assign(snapshots[i]!, error ? { state: 'both', error } : { state: 'healed' });
    } catch (error) {
      signal.throwIfAborted();
      Object.assign(snapshots[i]!, { state: 'failed', error: asTidemarkError(error) });
    } finally {
      request.reporter.end();
    }
  }
  return result;
}

async function describe({ place, copy, twin, sources }: Patient): Promise<HealedSnapshot> {
  const from = twin === null ? sources.map(each => each.place.name) : [];
  const { snapshot, manifest, faults } = copy;
  const database = (manifest ?? (await readable(sources[0])))?.database ?? null;
  const state = twin === null && from.length === 0 ? 'lost' : 'pending';
  return { snapshot, repository: place.name, database, faults, from, state, error: null, lost: null };
}

async function readable(source: Patient['sources'][number] | undefined): Promise<Manifest | undefined> {
  return source?.place.repository.manifest(source.name).catch(() => undefined); // bringing it says why
}

/** What is lost of those that no repository has whole. */
async function nameLost(
  request: HealRequest,
  patients: Patient[],
  snapshots: HealedSnapshot[],
): Promise<void> {
  const lost = patients.filter((_, i) => snapshots[i]!.state === 'lost');
  for (const place of new Set(lost.map(each => each.place))) {
    const copies = lost.filter(each => each.place === place).map(each => each.copy);
    const losses = await lossesOf(place, copies, request);
    for (const [i, { place: of, copy }] of patients.entries())
      if (of === place && snapshots[i]!.state === 'lost') snapshots[i]!.lost = losses.get(copy.name) ?? null;
  }
}

/** Why the damaged one could not be ended, where that is so. */
async function healOne(request: HealRequest, patient: Patient): Promise<TidemarkError | undefined> {
  const { place, copy, twin } = patient;
  const { repository } = place;
  if (twin !== null) await requireWhole(request, place, twin);
  const whole = twin ?? (await bring(request, patient));
  const forgetting = await Forgetting.begin(repository);
  try {
    await forgetting.replace(copy.name, whole);
    return undefined;
  } catch (error) {
    return asTidemarkError(error);
  } finally {
    await forgetting.end();
  }
}

/** The name of the manifest that it got, after every byte was read back. */
async function bring(request: HealRequest, { place, copy, sources }: Patient): Promise<string> {
  let last: unknown;
  for (const { place: from, name: source } of sources) {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      request.signal.throwIfAborted();
      try {
        const { jobs, version, reporter, signal } = request;
        const manifest = await from.repository.manifest(source);
        const how = { ...storedAs(request.strategy, manifest, place.name), jobs, version, reporter, signal };
        const copied = await copySnapshot({ from, to: place, manifest, replaces: copy.name, ...how });
        if (!copied) throw gone(copy.name, place);
        const name = manifestName(copied);
        try {
          await requireWhole(request, place, name);
          return name;
        } catch (error) {
          await forgetUnlessHeld(place.repository, [name]);
          last = error;
        }
      } catch (error) {
        last = error;
        break; // the next repository may have it
      }
    }
  }
  throw last;
}

function gone(name: string, { repository }: OpenPlace): TidemarkError {
  return usageError(
    'SNAPSHOT_GONE',
    `snapshots/${name} in ${repository.storage.place} was forgotten meanwhile`,
    'run the command again',
  );
}

async function requireWhole(
  { reporter, signal }: HealRequest,
  place: OpenPlace,
  name: string,
): Promise<void> {
  const run = new VerifyRun({ reporter, signal, coverageMs: 0 });
  await run.repository({ ...place, names: [name] });
  const [fault] = run.faults.list();
  if (fault) throw faultError(fault.code, fault.message, fault.hint);
}
