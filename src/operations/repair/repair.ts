/** `tidemark repair`: makes whole what can be made whole in one repository, and names what is lost. docs/recovery.md, "Repair". */
import { asTidemarkError, faultError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { Forgetting, forgetUnlessHeld } from '../../repository/guards/forgetting.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { snapshotOf } from '../../repository/manifest.ts';
import { replaceHold } from '../../repository/repair/damagedHolds.ts';
import { findUnreadable, rebuildManifests } from '../../repository/repair/rebuildManifests.ts';
import { foreseeRebuild, type LostStreams, rebuildPacks } from '../../repository/repair/rebuildPacks.ts';
import { endDeadCompactions } from '../../repository/rewrite/compactions.ts';
import { storedPart } from '../../restore/parts.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { type HealedSnapshot, heal } from '../heal/heal.ts';
import { soundOnes, survey } from '../heal/plan.ts';
import type { OpenPlace } from '../open/open.ts';
import { openPlaces } from '../open/snapshots.ts';
import { isWholeStill, type Lost, lostOf, nameOfPart, type StreamName } from '../verify/lost.ts';
import { type Diagnosis, diagnose } from './diagnose.ts';
import { openForRepair, plannedKeys, repairKeys } from './open.ts';
import {
  judged,
  type Prospect,
  plannedObjects,
  plannedSnapshot,
  plannedTwin,
  type RepairedObject,
  type RepairedSnapshot,
  type RepairResult,
  type Twin,
} from './outcome.ts';

export interface RepairRequest {
  strategy: Strategy;
  /** Its name in the strategy. */
  repository: string;
  dryRun: boolean;
  /** Forgets snapshots that are not whole then, and that no other repository has whole; never one that is held. */
  forgetLost: boolean;
  /** The repository's id, as its recovery kit has it; null where that is not at hand. */
  id: string | null;
  jobs: number | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
  /** Shown before anything is written; false ends it with nothing done. */
  confirm(planned: RepairResult): Promise<boolean>;
}

/**
 * Rebuilds what can be rebuilt in a repository alone, heals from others what they have whole, and names what is lost. Nothing
 * that is there is changed. A kill leaves it no worse than before, and the next run goes on.
 */
export async function repair(request: RepairRequest): Promise<RepairResult> {
  const { strategy, repository, dryRun, signal } = request;
  const opened = await openForRepair(strategy, repository, request.id, signal);
  const keys = plannedKeys(opened.repairs);
  const prospect = await foresee(request, opened.place, keys.length > 0);
  const planned = plan(request, prospect);
  planned.objects.unshift(...keys);
  const idle = planned.objects.length === 0 && planned.snapshots.length === 0;
  const hopeless = [...planned.objects, ...planned.snapshots].every(each => each.state === 'lost');
  if (dryRun || idle || (hopeless && planned.forgets.length === 0)) return planned;
  if (!(await request.confirm(planned))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the repair was not confirmed',
      'nothing was done; confirm it, say --yes, or look at it with --dry-run',
    );
  }
  if (keys.length === 0) return carryOut(request, opened.place, prospect, planned);
  const { place, objects } = await repairKeys(strategy, opened);
  const again = await foresee(request, place, false);
  const result = await carryOut(request, place, again, plan(request, again));
  return { ...result, objects: [...objects, ...result.objects] };
}

/**
 * What is wrong, and what can be done about it. Writes nothing.
 *
 * @param alone other repositories can't be asked, since this one can't be opened as they are.
 */
async function foresee(request: RepairRequest, place: OpenPlace, alone: boolean): Promise<Prospect> {
  const { reporter, signal } = request;
  const diagnosis = await diagnose(place, { reporter, signal, record: false });
  reporter.begin('looking for what is left', null);
  const work = workOf(diagnosis, signal);
  const streams = work.names.length > 0 ? await foreseeRebuild(place.repository, work) : new Map();
  const foreseen = new Map<string, { lost: Lost | null; gains: boolean }>();
  for (const { copy, lost } of diagnosis.sick) {
    const left = streams.get(copy.name) as LostStreams | undefined;
    if (left) foreseen.set(copy.name, { lost: lostStreams(left, lost), gains: left.gains });
    else if (copy.manifest) foreseen.set(copy.name, { lost, gains: false });
  }
  reporter.end();
  const { sources, failures } = alone
    ? { sources: new Map<string, string[]>(), failures: [] }
    : await sourcesOf(request, diagnosis);
  const twins = await findTwins(place, diagnosis);
  return { diagnosis, foreseen, sources, failures, twins };
}

function workOf({ packs, sick }: Diagnosis, signal: AbortSignal) {
  const names = sick.filter(({ copy }) => copy.manifest !== null).map(({ copy }) => copy.name);
  return { damaged: new Set(packs.keys()), names: packs.size > 0 ? names : [], signal };
}

/** Of how many rows, is known from what is lost now. */
function lostStreams({ streams: own, parts }: LostStreams, now: Lost | null): Lost | null {
  const streams = [...own, ...(parts === null ? ['parts'] : [])] as StreamName[];
  const found = (parts ?? []).map(storedPart).map(part => ({ ...part, name: nameOfPart(part), lost: true }));
  const lost = lostOf({ streams, parts: found, listed: (now?.tables ?? []).map(each => each.table) });
  const all = new Map(now?.tables.map(each => [each.table, each.ofRows]));
  for (const table of lost.tables) table.ofRows = all.get(table.table) ?? table.ofRows;
  return isWholeStill(lost) ? null : lost;
}

/** Which other repositories have which of the damaged snapshots whole; none, where one beside it is. */
async function sourcesOf(
  { strategy, repository }: RepairRequest,
  { sick, sound }: Diagnosis,
): Promise<Pick<Prospect, 'sources' | 'failures'>> {
  const sources = new Map<string, string[]>();
  if (sick.length === 0) return { sources, failures: [] };
  const { places, failures } = await openPlaces(strategy);
  const others = await survey(places.filter(place => place.name !== repository));
  const damaged = new Set(sick.map(({ copy }) => copy.snapshot));
  const found = soundOnes(others, damaged);
  for (const [snapshot, places] of found)
    sources.set(
      snapshot,
      places.map(({ place }) => place.name),
    );
  for (const name of sound) if (damaged.has(snapshotOf(name))) sources.set(snapshotOf(name), []);
  return { sources, failures };
}

/** Heals what is damaged in this repository, without asking again. */
async function healHere(request: RepairRequest): Promise<HealedSnapshot[]> {
  const { strategy, repository: target, jobs, version, reporter, signal } = request;
  const how = { strategy, given: [], from: null, target, dryRun: false, jobs, version, reporter, signal };
  const { snapshots } = await heal({ ...how, confirm: async () => true });
  return snapshots.filter(each => each.state !== 'lost');
}

function plan({ repository, dryRun, forgetLost }: RepairRequest, prospect: Prospect): RepairResult {
  const { diagnosis, failures } = prospect;
  const snapshots = diagnosis.sick.map(each => plannedSnapshot(each, prospect));
  const forgets = forgetLost ? snapshots.filter(isLost).map(each => each.snapshot) : [];
  return { repository, dryRun, objects: plannedObjects(prospect), snapshots, forgets, failures };
}

async function carryOut(
  request: RepairRequest,
  place: OpenPlace,
  prospect: Prospect,
  planned: RepairResult,
): Promise<RepairResult> {
  const look = () => diagnose(place, { ...request, record: true });
  const gains = [...prospect.foreseen.values()].some(each => each.gains);
  if (gains || prospect.diagnosis.unreadable.some(each => each.instead)) await rebuild(request, place);
  const objects = await replaceHolds(place, planned.objects, prospect.diagnosis);
  let after = await look();
  let healed: HealedSnapshot[] = [];
  if (after.sick.some(({ copy }) => prospect.sources.has(copy.snapshot))) {
    healed = await healHere(request);
    after = await look();
    // What was brought may have what others lack.
    if (after.packs.size > 0) {
      await rebuild(request, place);
      after = await look();
    }
  }
  const snapshots = planned.snapshots.map(each => judged(each, after.sick, healed));
  const known = objects.filter(each => each.code !== 'SNAPSHOT_TWICE');
  const had = new Set(planned.snapshots.map(each => each.snapshot));
  const ended = await endTwins(place, await findTwins(place, after));
  const result = {
    ...planned,
    objects: [...known.map(each => judgedObject(each, after, had)), ...ended],
    snapshots,
  };
  if (request.forgetLost) await forgetLost(place, result);
  return result;
}

/**
 * A heal that was killed leaves a snapshot twice, and what it had brought may have made the damaged one whole: then the one
 * whose name is greater goes.
 */
async function findTwins({ repository }: OpenPlace, { sick }: Diagnosis): Promise<Twin[]> {
  const damaged = new Set(sick.map(({ copy }) => copy.name));
  const stays = new Map<string, string>();
  const twins: Twin[] = [];
  for (const name of (await repository.snapshotNames()).filter(name => !damaged.has(name))) {
    const by = stays.get(snapshotOf(name));
    if (by === undefined) stays.set(snapshotOf(name), name);
    else twins.push({ name, by });
  }
  return twins;
}

async function endTwins({ repository }: OpenPlace, twins: readonly Twin[]): Promise<RepairedObject[]> {
  const ended: RepairedObject[] = [];
  for (const twin of twins) {
    const object = plannedTwin(twin);
    try {
      const forgetting = await Forgetting.begin(repository);
      await forgetting.replace(twin.name, twin.by).finally(() => forgetting.end());
      ended.push({ ...object, state: 'repaired' });
    } catch (error) {
      ended.push({ ...object, state: 'failed', error: asTidemarkError(error) });
    }
  }
  return ended;
}

/** What is left in the repository itself: manifests first, since they say which packs are needed. */
async function rebuild({ reporter, signal }: RepairRequest, place: OpenPlace): Promise<void> {
  const { repository } = place;
  const lease = await Lease.takePrune(repository.storage);
  try {
    await endDeadCompactions(repository);
    const unreadable = await findUnreadable(repository, await repository.snapshotNames());
    await rebuildManifests(repository, unreadable, lease);
    const work = workOf(await diagnose(place, { reporter, signal, record: true }), signal);
    reporter.begin('rebuilding', null);
    if (work.names.length > 0) await rebuildPacks(repository, work, lease);
  } finally {
    reporter.end();
    await lease.release();
  }
}

async function replaceHolds(
  { repository }: OpenPlace,
  objects: RepairedObject[],
  { holds }: Diagnosis,
): Promise<RepairedObject[]> {
  const failed = new Map<string, RepairedObject['error']>();
  for (const hold of holds) {
    try {
      await replaceHold(repository, hold);
    } catch (error) {
      failed.set(`holds/${hold.snapshot}/${hold.id}`, asTidemarkError(error));
    }
  }
  return objects.map(each => {
    const error = failed.get(each.object);
    return error ? { ...each, state: 'failed', error } : each;
  });
}

/**
 * An object that nothing needs any more is repaired; what it is worth, its snapshots say. What a snapshot needs that nobody
 * knew of when this began can't be called lost: nothing was tried for it.
 */
function judgedObject(planned: RepairedObject, after: Diagnosis, known: ReadonlySet<string>): RepairedObject {
  if (planned.state === 'failed') return planned;
  const { packs, unreadable, sick } = after;
  if (!planned.object.startsWith('packs/')) {
    const still = unreadable.some(each => each.object === planned.object);
    return { ...planned, state: still ? 'lost' : 'repaired' };
  }
  const name = planned.object.slice('packs/'.length);
  if (!packs.has(name)) return { ...planned, state: 'repaired' };
  const users = sick.filter(({ copy }) => copy.packs.includes(name)).map(({ copy }) => copy.snapshot);
  const other = users.find(each => !known.has(each));
  if (other === undefined) return { ...planned, state: 'lost' };
  const message = `${planned.object} is needed by snapshot ${other}, which nobody knew of before`;
  return { ...planned, state: 'failed', error: faultError('NOT_REPAIRED', message, 'run the command again') };
}

const isLost = ({ state, lost }: RepairedSnapshot): boolean => state === 'lost' && lost !== null;

/** Where a repository can't be looked into, it may have it whole. */
async function forgetLost({ repository }: OpenPlace, result: RepairResult): Promise<void> {
  result.forgets = [];
  const [failure] = result.failures;
  for (const each of result.snapshots.filter(isLost)) {
    if (failure) {
      each.error = usageError(
        'MAYBE_ELSEWHERE',
        `snapshot ${each.snapshot} is not forgotten: ${failure.repository} can't be looked into, and may have it whole`,
        'run the command again when it can be reached',
      );
      continue;
    }
    const names = await repository.namesOf(each.snapshot);
    try {
      const held = await forgetUnlessHeld(repository, names);
      if (held.length > 0) {
        each.error = usageError(
          'SNAPSHOT_HELD',
          `snapshot ${each.snapshot} is held, and stays`,
          `to give it up: tidemark release ${each.snapshot}`,
        );
        continue;
      }
      each.state = 'forgotten';
      result.forgets.push(each.snapshot);
    } catch (error) {
      each.error = asTidemarkError(error);
    }
  }
}
