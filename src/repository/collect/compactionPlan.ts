/**
 * Which packs are worth being emptied: those of which snapshots use only a part. Planned from manifests alone, database by
 * database, since snapshots share packs with others of their database only; what is really in use is surveyed before
 * anything is written.
 */

import { packName } from '../format/packName.ts';
import { manifestName } from '../manifest.ts';
import { PackSet } from '../packs/packCatalog.ts';
import type { Repository } from '../repository.ts';
import { PACK_BYTES } from '../write/packWriter.ts';
import type { Holdings } from './contents.ts';

/** Less than this coming free in a database is not worth the requests. */
const FREED_BYTES_MIN = PACK_BYTES;
/** A place in a chunk list: an id, a length, and some of a run. */
const LIST_BYTES_A_CHUNK = 20;
/** Packs asked about in a row that are all frozen or locked: the others will be too. */
const ASKED_MIN = 16;
/** A lock that ends sooner is no reason to leave a pack: it waits for about as long anyway. */
const LOCKED_MS_MAX = 48 * 3600 * 1000;

export interface CompactionRules {
  /** Packs of which more than this share is dead are emptied; from 0 to 1. */
  maxDead: number;
  freedBytesMin?: number;
}

/** What would be done for one database; bytes as they are stored. */
export interface CompactionPlan {
  database: string;
  /** Packs to be emptied. */
  packs: PackSet;
  /** Snapshots that name them, by the names of their manifests. */
  snapshots: string[];
  /** Of the packs: what comes free, and what is written again. */
  deadBytes: number;
  liveBytes: number;
  /** Chunk lists that have to be written anew, at the most. */
  listBytes: number;
  /** Whether more comes free than is written. */
  pays: boolean;
  /** Packs that would be emptied, could they be read at once, or removed. */
  frozen: number;
  locked: number;
}

export async function planCompaction(
  repository: Repository,
  holdings: Holdings,
  rules: CompactionRules,
): Promise<CompactionPlan[]> {
  const { maxDead, freedBytesMin = FREED_BYTES_MIN } = rules;
  const plans: CompactionPlan[] = [];
  for (const [database, places] of halfDead(holdings, maxDead)) {
    const { packs: catalog } = holdings;
    const plan = planOf(database, new PackSet(catalog, Uint32Array.from(places)));
    if (plan.deadBytes < freedBytesMin) continue;
    await addSnapshots(repository, holdings, plan);
    plan.pays = plan.deadBytes >= plan.liveBytes + plan.listBytes;
    if (plan.pays) await leaveUnusable(repository, plan);
    plans.push(plan);
  }
  return plans;
}

/**
 * Places of the packs by database. Left out are packs in a record, which are needed again for a moment perhaps, and those of
 * sessions that run or were cut off.
 */
function halfDead(holdings: Holdings, maxDead: number): Map<string, number[]> {
  const { packs, condemned, live, compacting, unfinished, databases } = holdings;
  const aside = new Uint8Array(packs.size);
  for (const session of [...live.map(lease => lease.session), ...compacting])
    for (const place of packs.placesOf(session)) aside[place] = 1;
  for (const { places } of [...condemned, ...unfinished]) for (const place of places) aside[place] = 1;
  const found = new Map<string, number[]>();
  for (let place = 0; place < packs.size; place++) {
    if (aside[place] || packs.references(place) === 0 || 1 - packs.inUse(place) <= maxDead) continue;
    const database = databases.get(packs.sessionAt(place));
    if (database === undefined) continue;
    const known = found.get(database);
    if (known) known.push(place);
    else found.set(database, [place]);
  }
  return found;
}

function planOf(database: string, packs: PackSet): CompactionPlan {
  const { catalog } = packs;
  let liveBytes = 0;
  for (const place of packs.places) liveBytes += Math.ceil(catalog.sizeBytes(place) * catalog.inUse(place));
  return {
    ...{ database, packs, snapshots: [], liveBytes, deadBytes: packs.bytes - liveBytes, listBytes: 0 },
    ...{ pays: false, frozen: 0, locked: 0 },
  };
}

/**
 * The snapshots that name the packs, and what their chunk lists take: all of the longest one's, which the others share but
 * for what was stored with them.
 */
async function addSnapshots(
  repository: Repository,
  { snapshots, revisions, packs }: Holdings,
  plan: CompactionPlan,
): Promise<void> {
  const chosen = new Set(plan.packs.places);
  const names = [...snapshots].filter(([, each]) => each.database === plan.database).map(([name]) => name);
  let longest = 0;
  for await (const manifest of repository.read(names, { revisions })) {
    if (!manifest.packs.some(([session, number]) => chosen.has(packs.find(session, number)))) continue;
    plan.snapshots.push(manifestName(manifest));
    longest = Math.max(longest, manifest.counts.chunks * LIST_BYTES_A_CHUNK);
    plan.listBytes += manifest.usage?.listBytes ?? 0;
  }
  plan.listBytes += longest;
}

/** Takes out packs that can't be read without being thawed, and those that can't be removed for a while. */
async function leaveUnusable({ storage }: Repository, plan: CompactionPlan): Promise<void> {
  const { freezer, locks } = storage;
  if (!freezer && !locks) return;
  const { catalog, places } = plan.packs;
  const usable: number[] = [];
  const soon = (await storage.now()).getTime() + LOCKED_MS_MAX;
  for (const [i, place] of places.entries()) {
    if (i === ASKED_MIN && usable.length === 0) {
      if (plan.frozen > 0) plan.frozen += places.length - i;
      else plan.locked += places.length - i;
      break;
    }
    const [session, number] = catalog.ref(place);
    const name = `packs/${packName(session, number)}`;
    if (freezer && (await freezer.state(name)) !== 'readable') plan.frozen++;
    else if (((await locks?.until(name))?.getTime() ?? 0) > soon) plan.locked++;
    else usable.push(place);
  }
  const { snapshots, listBytes } = plan;
  const packs = new PackSet(catalog, Uint32Array.from(usable));
  const { liveBytes, deadBytes } = planOf(plan.database, packs);
  Object.assign(plan, { packs, liveBytes, deadBytes, pays: deadBytes >= liveBytes + listBytes, snapshots });
}
