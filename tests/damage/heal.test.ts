/** Damage in a real repository: it is recorded and shown, nothing is built upon it, and a check of the object clears it. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HealResult } from '../../src/operations/heal/heal.ts';
import type { VerifyResult } from '../../src/operations/verify/verify.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main] }
`;
const ITEMS = `
  create table item (id int primary key, note text);
  insert into item select i, md5(i::text) || md5((i * 3)::text) from generate_series(1, 60000) i;
  create table fixed as select i, md5((i * 7)::text) as t from generate_series(1, 20000) i;`;

interface Listed {
  snapshots: { snapshot: string; repositories: string[]; damagedIn: string[] }[];
}

async function shop(t: TestContext): Promise<{ site: Site; database: Database }> {
  const database = await freshDatabase(await server(15));
  await query(database.url, ITEMS);
  const site = await makeSite({ shop: database.url }, PLANS, ['archive']);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { site, database };
}

const backup = async (site: Site) => (await site.json<{ snapshot: string }>('backup', 'shop')).snapshot;

async function verified(site: Site, code: number, ...args: string[]): Promise<VerifyResult> {
  const ran = await site.run('verify', '--repository', 'main', ...args, '--json');
  assert.equal(ran.code, code, ran.stdout + ran.stderr);
  return JSON.parse(ran.stdout) as VerifyResult;
}

const damagedIn = async (site: Site) => {
  const ran = await site.run('list', '--json');
  const { snapshots } = JSON.parse(ran.stdout) as Listed;
  assert.equal(ran.code, snapshots.some(each => each.damagedIn.length > 0) ? 3 : 0, ran.stderr);
  return snapshots.map(each => each.damagedIn);
};

/** Files of packs, the largest first. */
async function packs(site: Site, snapshot: string): Promise<string[]> {
  const folder = join(site.folder, 'repository/packs', snapshot);
  const found: [string, number][] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    found.push([path, (await stat(path)).size]);
  }
  return found.sort((a, b) => b[1] - a[1]).map(([path]) => path);
}

async function flip(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  const changed = Buffer.from(bytes);
  changed[changed.length >> 1]! ^= 0x40;
  await writeFile(path, changed);
  return bytes;
}

test('a damaged pack is recorded and shown, the next backup is whole without it, a later check clears it', async t => {
  const { site, database } = await shop(t);
  const first = await backup(site);
  const [path] = await packs(site, first);
  const original = await flip(path!);
  assert.deepEqual(await damagedIn(site), [[]]);
  await verified(site, 3);
  assert.deepEqual(await damagedIn(site), [['main']]);
  assert.match((await site.run('list')).stdout, /DAMAGED/);
  assert.match((await site.run('show', first)).stdout, /DAMAGED +1 packs/);
  const dry = await site.json<{ repositories: { snapshots: { reasons: string[] }[] }[] }>(
    'prune',
    '--dry-run',
  );
  assert.deepEqual(dry.repositories[0]!.snapshots[0]!.reasons[0], 'packs are missing or damaged');

  const second = await backup(site);
  const { snapshots } = await verified(site, 0, second);
  assert.deepEqual(
    snapshots.map(each => [each.snapshot, each.ok]),
    [[second, true]],
  );
  assert.deepEqual(await damagedIn(site), [['main'], []]);
  await site.json('restore', second, '--new', 'shop after damage');
  const restored = (await server(15)).url('shop after damage');
  assert.equal(difference(await fingerprint(database.url), await fingerprint(restored)), '');
  await query(database.url, 'drop database "shop after damage"');

  await writeFile(path!, original);
  await verified(site, 0, '--all');
  assert.deepEqual(await damagedIn(site), [[], []]);
  // The next backup has all of both to go by: nothing is stored again.
  const third = await site.json<{ bytesAdded: number }>('backup', 'shop');
  assert.ok(third.bytesAdded < 100_000, `${third.bytesAdded} bytes`);
});

test('a budget is spent on what was not checked for longest, and any run goes on where the last one stopped', async t => {
  const { site, database } = await shop(t);
  const first = await backup(site);
  await query(database.url, "update item set note = note || 'x' where id between 100 and 300");
  const second = await backup(site);
  const total = (await packs(site, first)).length + (await packs(site, second)).length;
  assert.ok(total >= 4);
  const percents: number[] = [];
  for (let run = 0; run < total; run++) {
    const result = await verified(site, 0, '--budget', '1B');
    assert.deepEqual([result.ok, result.whole, result.packs], [true, false, { checked: 1, all: total }]);
    percents.push(result.coverage.at(-1)!.percent);
  }
  assert.deepEqual(
    percents,
    percents.toSorted((a, b) => a - b),
  );
  assert.ok(percents[0]! < 100);
  assert.equal(percents.at(-1), 100);
  assert.equal((await readdir(join(site.folder, 'repository/checks'))).length, 1);
  const all = await verified(site, 0, '--budget', '5m');
  assert.equal(all.packs.checked, total);
  assert.match((await site.run('verify', '--budget', '1B')).stdout, /not a whole verification/);
  assert.match((await site.run('verify', '--budget', 'soon')).stderr, /BUDGET_INVALID/);
  await verified(site, 0, '--all');

  const [path] = await packs(site, first);
  await flip(path!);
  const found = await verified(site, 3, '--budget', '1GB');
  assert.deepEqual(
    found.faults.map(({ code, snapshots }) => [code, snapshots]),
    [['SEAL_BROKEN', [first, second].sort()]],
  );
  assert.ok(found.coverage.every(each => each.damaged === 1 && each.percent < 100));
  assert.deepEqual(await damagedIn(site), [['main'], ['main']]);
  // What is no more is not known any more.
  await rm(join(site.folder, 'repository/snapshots'), { recursive: true });
  const third = await backup(site);
  await verified(site, 0, '--all');
  assert.deepEqual(await damagedIn(site), [[]]);
  const only = await verified(site, 0, '--budget', '1B', third);
  assert.deepEqual(
    only.coverage.map(each => [each.percent, each.damaged]),
    [[100, 0]],
  );
});

test('what is damaged in one repository comes back from another, and is there once, whole', async t => {
  const { site, database } = await shop(t);
  const first = await backup(site);
  await query(database.url, "update item set note = note || 'x' where id between 100 and 300");
  const second = await backup(site);
  await query(database.url, "update item set note = note || 'y' where id between 500 and 700");
  const third = await backup(site);
  await site.json('copy', '--from', 'main', '--to', 'archive', first);
  await site.json('copy', '--from', 'main', '--to', 'archive', second);
  await site.json('hold', second, '--reason', 'the test');
  assert.match((await site.run('heal', '--all')).stdout, /no damage is known/);
  assert.match((await site.run('heal', first, '--yes')).stderr, /NOT_DAMAGED/);

  const [path] = await packs(site, first);
  await flip(path!);
  const unread = join(site.folder, 'repository/snapshots', first);
  await writeFile(unread, (await readFile(unread)).subarray(0, 100));
  await verified(site, 3, '--all');
  const heal = async (code: number, ...args: string[]) => {
    const ran = await site.run('heal', '--all', ...args, '--json');
    assert.equal(ran.code, code, ran.stdout + ran.stderr);
    return (JSON.parse(ran.stdout) as HealResult).snapshots.map(each => [each.snapshot, each.state]);
  };
  const before = (await readdir(join(site.folder, 'repository/snapshots'))).sort();
  const planned = [
    [first, 'pending'],
    [second, 'pending'],
    [third, 'lost'],
  ];
  assert.deepEqual(await heal(3, '--dry-run'), planned);
  const asked = await site.run('heal', '--all');
  assert.match(asked.stderr, /NOT_CONFIRMED/);
  assert.deepEqual((await readdir(join(site.folder, 'repository/snapshots'))).sort(), before);

  assert.deepEqual(await heal(3, '--yes'), [
    [first, 'healed'],
    [second, 'healed'],
    [third, 'lost'],
  ]);
  const healed = (await readdir(join(site.folder, 'repository/snapshots'))).sort();
  assert.deepEqual(
    healed.map(name => name.split('.')[0]),
    [first, second, third],
  );
  assert.ok(healed[0]!.includes('.') && healed[1]!.includes('.'));
  assert.deepEqual(await damagedIn(site), [[], [], ['main']]);
  await verified(site, 0, first, second);
  await site.json('forget', third, '--yes', '--even-last');
  assert.deepEqual(await heal(0, '--yes'), []);
  await verified(site, 0, '--all');
  await site.json('restore', second, '--new', 'shop healed', '--repository', 'main');
  await query(database.url, 'drop database "shop healed"');
});
