/**
 * Damages every kind of object that is no pack, slot or header (tests/damage/bytes.test.ts has those), in a repository whose
 * snapshots were compacted: what a restore reads is right or refused, and where that is all that is said of an object, prune
 * loses nothing and the next backup is whole. What each kind does for a damaged byte is in `KINDS`.
 */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TidemarkError } from '../../src/base/errors.ts';
import { SILENT } from '../../src/base/progress.ts';
import { backupDatabase } from '../../src/operations/backup/backup.ts';
import { rotateEpoch } from '../../src/operations/key/epoch.ts';
import { planOf } from '../../src/operations/open/open.ts';
import { prune } from '../../src/operations/prune/prune.ts';
import { verify } from '../../src/operations/verify/verify.ts';
import { collect } from '../../src/repository/collect/collect.ts';
import { planCollection } from '../../src/repository/collect/collectionPlan.ts';
import { compact } from '../../src/repository/collect/compact.ts';
import { planCompaction } from '../../src/repository/collect/compactionPlan.ts';
import { readHoldings } from '../../src/repository/collect/contents.ts';
import { Forgetting } from '../../src/repository/guards/forgetting.ts';
import { placeHold } from '../../src/repository/guards/holds.ts';
import { Lease } from '../../src/repository/guards/lease.ts';
import { newSessionId } from '../../src/repository/manifest.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { announce } from '../../src/repository/rewrite/compactions.ts';
import { random } from '../../src/repository/testing/sample.ts';
import { digestOf, SweepSite } from '../faults/sweep/site.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';
import { smallBackup } from '../support/smallBackup.ts';

const seed = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed: run again with TIDEMARK_SEED=${seed}`);
const next = random(seed);
const somewhere = (from: number, to: number) => from + Math.floor(next() * (to - from));

const DATABASE = 'records';
const RULES = { maxDead: 0.1, freedBytesMin: 0 };
const signal = new AbortController().signal;

/** What comes of damage to an object of a kind. */
interface Kind {
  folder: string;
  /** Some snapshot can't be read any more, and nothing is collected until that is mended; else all are read as they were. */
  fatal: boolean;
  /** Verify says so; else it says that all is well, and why that is right. */
  found: boolean;
  why?: string;
  /** What is there of it can't be told from what never was: then it is harmless, or nobody can know. */
  removed?: 'harmless';
}

const KINDS: Kind[] = [
  // Also cut to nothing, which makes it void: the packs that the manifest before it names were collected.
  { folder: 'revisions', fatal: true, found: true },
  { folder: 'holds', fatal: false, found: true, removed: 'harmless' },
  { folder: 'epochs', fatal: false, found: true },
  { folder: 'snapshots', fatal: false, found: false, why: 'the revision says the same and more' },
  { folder: 'forgotten', fatal: false, found: false, why: 'what it may have named is condemned anew' },
  { folder: 'condemned', fatal: false, found: false, why: 'it condemns nothing then' },
  { folder: 'compactions', fatal: false, found: false, why: 'every snapshot is kept from it then' },
  { folder: 'unfinished', fatal: false, found: false, why: 'nobody goes on from it then' },
  { folder: 'checks', fatal: false, found: false, why: 'what was checked is checked again' },
  { folder: 'leases', fatal: false, found: false, why: 'its name and time are what counts' },
];

let database: Database;
let site: SweepSite;
/** A snapshot that is held and was compacted; and its name as it was forgotten. */
let held = '';

before(async () => {
  database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table turning as select i, md5(i::text) || md5((i * 3)::text) as text from generate_series(1, 4000) i;
     create table fixed as select i, md5((i * 7)::text) as text from generate_series(1, 1500) i;`,
  );
  site = await SweepSite.make(DATABASE, database.url);
  const ids = [await backUp()];
  for (let i = 0; i < 2; i++) {
    await query(database.url, `update turning set text = md5(text || ${i}) where i > ${i * 3900}`);
    ids.push(await backUp());
  }
  const repository = await site.open();
  await repository.forget(ids[0]!);
  await compacted(repository);
  await site.age('main', 'condemned', 25);
  assert.equal((await compacted(repository)).length, 0, 'once is enough');
  await leaveRecords(repository, ids[1]!);
  held = ids[1]!;
  await site.learn();
});

after(async () => {
  await site.remove();
  await database.drop();
});

async function backUp(): Promise<string> {
  const strategy = await site.strategy();
  const { snapshot } = await backupDatabase(strategy, DATABASE, planOf(strategy, DATABASE, undefined), {
    ...{ schemaOnly: false, dataOnly: false, rolePasswords: null, jobs: 1, version: 'test' },
    ...{ reporter: SILENT, signal },
  });
  return snapshot;
}

/** Collects, and empties what can be; the plans that were carried out. */
async function compacted(repository: Repository) {
  const lease = await Lease.takePrune(repository.storage);
  try {
    const holdings = await readHoldings(repository);
    await collect(repository, await planCollection(repository, holdings), lease);
    const plans = await planCompaction(repository, holdings, RULES);
    for (const plan of plans) await compact(repository, plan, { rules: RULES, lease });
    const again = await readHoldings(repository);
    await collect(repository, await planCollection(repository, again), lease);
    return plans;
  } finally {
    await lease.release();
  }
}

/** One of each kind. */
async function leaveRecords(repository: Repository, snapshot: string): Promise<void> {
  const hold = { reason: 'a test', until: null, by: 'nobody' };
  await placeHold(repository, snapshot, hold, { tries: 1, pause: async () => {} });
  // Forgotten, and its packs condemned.
  const going = await smallBackup(repository, { a: 'some' });
  await repository.forget(going.snapshot);
  const lease = await Lease.takePrune(repository.storage);
  await collect(repository, await planCollection(repository, await readHoldings(repository)), lease);
  await lease.release();
  const cutOff = smallBackup(
    repository,
    { a: 'other' },
    { checkpoint: true, stored: () => Promise.reject(signal) },
  );
  await assert.rejects(cutOff);
  const request = { strategy: await site.strategy(), repository: 'main' };
  await rotateEpoch({ ...request, with: [], retire: [], confirm: async () => true });
  const newest = await site.open();
  await verified(site);
  const session = newSessionId(new Date());
  await Lease.take(newest.storage, session, 'compaction'); // it seems to be running still
  await announce(newest, session, [[snapshot, 2]]);
}

async function verified(of: SweepSite) {
  return verify({ strategy: await of.strategy(), given: [], all: true, reporter: SILENT, signal });
}

interface Damage {
  what: string;
  /** Null removes. */
  bytes: Buffer | null;
}

function* damagesOf(bytes: Buffer, other: Buffer | undefined): Iterable<Damage> {
  for (const at of [0, 7, somewhere(8, bytes.length), somewhere(8, bytes.length), bytes.length - 1]) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1 << somewhere(0, 8);
    yield { what: `a bit at ${at}`, bytes: flipped };
  }
  for (const length of [0, somewhere(1, bytes.length - 1), bytes.length - 1])
    yield { what: `cut to ${length}`, bytes: bytes.subarray(0, length) };
  yield { what: 'lengthened', bytes: Buffer.concat([bytes, bytes.subarray(0, 9)]) };
  if (other && !other.equals(bytes)) yield { what: 'another in its place', bytes: other };
  yield { what: 'removed', bytes: null };
}

for (const kind of KINDS) {
  const { folder, fatal, found, why = fatal ? 'refused' : 'found' } = kind;
  test(`${folder}: ${why}`, async () => {
    const [path, sibling] = (await site.objects('main', folder)).sort();
    assert.ok(path, `there is an object in ${folder}`);
    const bytes = await readFile(path);
    const other = sibling === undefined ? undefined : await readFile(sibling);
    for (const damage of damagesOf(bytes, other)) {
      if (damage.bytes === null && (folder === 'snapshots' || kind.removed === 'harmless' || !found))
        continue;
      const copy = await site.copy();
      const object = path.slice(site.folder.length + 1);
      const place = join(copy.folder, object);
      await rm(place);
      if (damage.bytes) await writeFile(place, damage.bytes);
      const what = `${object}: ${damage.what}`;
      try {
        await judge(copy, what, { fatal, found });
      } finally {
        await copy.remove();
      }
    }
  });
}

async function judge(copy: SweepSite, what: string, { fatal, found }: Pick<Kind, 'fatal' | 'found'>) {
  const refused = await readAll(copy, what);
  if (fatal) assert.ok(refused > 0, `${what}: every snapshot could be read`);
  const verdict = await verified(copy).catch(error => {
    assert.ok(error instanceof TidemarkError && error.code !== 'INTERNAL', `${what}: ${String(error.stack)}`);
    return { ok: false };
  });
  assert.equal(verdict.ok, !found, `${what}: verify says ${JSON.stringify(verdict)}`);
  if (refused === 0) assert.ok(!fatal);
  await goesOn(copy, what, refused > 0);
}

/** How many snapshots are refused; all others are read as they were stored. */
async function readAll(copy: SweepSite, what: string): Promise<number> {
  let refused = 0;
  for (const [id, known] of copy.known) {
    try {
      assert.deepEqual(await digestOf(await copy.open(), id), known, `${what}: ${id} has other bytes`);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      refused++;
    }
  }
  return refused;
}

async function pruned(copy: SweepSite) {
  const strategy = await copy.strategy();
  const confirm = async () => true;
  return prune({ strategy, dryRun: false, maxDead: 0.5, reporter: SILENT, signal, confirm });
}

/** Days later: who prunes loses nothing, and frees nothing where it can't know what is needed; the hold holds. */
async function goesOn(copy: SweepSite, what: string, refused: boolean): Promise<void> {
  const packs = await copy.objects('main', 'packs');
  for (let day = 0; day < (refused ? 2 : 1); day++) {
    await copy.age('main', 'condemned', 25);
    const ran = await pruned(copy).catch((error: Error) => error);
    if (ran instanceof Error) assert.ok(refused && ran instanceof TidemarkError, `${what}: ${ran.stack}`);
  }
  if (refused && what.endsWith('removed')) return; // nobody can know that it was there
  if (refused) {
    assert.deepEqual(await copy.objects('main', 'packs'), packs, `${what}: packs were collected`);
    return;
  }
  await copy.nothingLost();
  if (what.startsWith('main/epochs/')) return; // everything can be read, and nothing written
  const repository = await copy.open();
  const forgetting = await Forgetting.begin(repository);
  await assert.rejects(forgetting.forget(held), { code: 'SNAPSHOT_HELD' }, what);
  await forgetting.end();
  const blocks = { a: 'after the damage' };
  copy.captured.add(JSON.stringify(blocks));
  await smallBackup(repository, blocks);
  await copy.nothingLost();
}
