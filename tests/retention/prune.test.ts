import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ForgetResult } from '../../src/operations/prune/forget.ts';
import type { PruneResult } from '../../src/operations/prune/prune.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main], keep: { last: 2 } }
  gone: { database: shop, schedule: manual, store: [main], keep: { last: 1 } }
`;

async function shop(t: TestContext): Promise<{ site: Site; database: Database }> {
  const database = await freshDatabase(await server(15));
  await query(database.url, `create table item as select i, md5(i::text) from generate_series(1, 2000) i`);
  const site = await makeSite({ shop: database.url }, PLANS);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { site, database };
}

async function backup(
  { site, database }: { site: Site; database: Database },
  ...args: string[]
): Promise<string> {
  await query(database.url, `update item set md5 = md5(md5) where i > 1900`);
  return (await site.json<{ snapshot: string }>('backup', 'shop', ...args)).snapshot;
}

async function files(site: Site, folder = ''): Promise<string[]> {
  const path = join(site.folder, 'repository', folder);
  if (!existsSync(path)) return []; // folders that become empty are removed
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}

/** As if what is condemned had been a day ago. */
async function aDayLater(site: Site): Promise<void> {
  const then = Date.now() / 1000 - 24 * 3600;
  for (const file of await files(site, 'condemned').catch(() => [])) await utimes(file, then, then);
}

test('prune forgets by the plan’s rules, and frees a day later', async t => {
  const made = await shop(t);
  const { site } = made;
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) ids.push(await backup(made, '--plan', 'daily'));
  const part = await backup(made, '--plan', 'daily', '--table', 'item', '--schema-only');
  const other = await backup(made, '--plan', 'gone');
  const strategy = join(site.folder, 'tidemark.yaml');
  await writeFile(strategy, (await readFile(strategy, 'utf8')).replace(/\n {2}gone:.*\n/, '\n'));

  const before = await files(site);
  const [planned] = (await site.json<PruneResult>('prune', '--dry-run')).repositories;
  assert.deepEqual(await files(site), before);
  assert.deepEqual(planned!.forgotten.sort(), [ids[0], ids[1]]);
  assert.ok(planned!.condemned.packs > 0 && planned!.condemned.bytes > 0);
  const why = new Map(planned!.snapshots.map(each => [each.snapshot, each.reasons]));
  assert.deepEqual(why.get(ids[0]!), ['last 2: 3 newer ones']);
  assert.deepEqual(why.get(ids[3]!), ['last 1 of 2']);
  assert.deepEqual(why.get(part), ['last 1 of 2']);
  assert.deepEqual(why.get(other), [
    'plan gone is not in the strategy: stays until it is forgotten by hand',
    'last good snapshot',
  ]);
  const [daily, gone] = planned!.groups;
  assert.deepEqual(
    [daily!.plan, daily!.keep, daily!.snapshots, daily!.forgotten],
    ['daily', 'last 2', [part, ids[3], ids[2], ids[1], ids[0]], [ids[1], ids[0]]],
  );
  assert.deepEqual([gone!.plan, gone!.snapshots, gone!.forgotten], ['gone', [other], []]);
  assert.deepEqual([daily!.frees, gone!.frees], [planned!.frees, { packs: 0, bytes: 0 }]);
  assert.deepEqual(planned!.frees, planned!.condemned);

  const refused = await site.run('prune');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /NOT_CONFIRMED/);
  assert.deepEqual(await files(site), before);

  const [done] = (await site.json<PruneResult>('prune', '--yes')).repositories;
  assert.deepEqual(
    [done!.forgotten.sort(), done!.condemned, done!.freed, done!.waiting.packs],
    [planned!.forgotten, planned!.condemned, { packs: 0, bytes: 0 }, done!.condemned.packs],
  );
  assert.ok(Date.parse(done!.waiting.until!) > Date.now() + 23 * 3600 * 1000);
  await site.json('verify', '--all');

  await aDayLater(site);
  const text = await site.run('prune', '--yes');
  assert.match(text.stdout, /0 snapshots forgotten, \d+ packs? \([^)]+\) freed/);
  await site.json('verify', '--all');
  assert.deepEqual(
    [(await files(site, 'condemned')).length, (await files(site, 'forgotten')).length],
    [0, 0],
  );
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list');
  assert.deepEqual(
    snapshots.map(each => each.snapshot),
    [ids[2], ids[3], part, other],
  );
});

test('forget takes ids in short, asks, and keeps the last good snapshot', async t => {
  const made = await shop(t);
  const { site } = made;
  const [first, second] = [await backup(made, '--plan', 'daily'), await backup(made, '--plan', 'daily')];
  assert.match((await site.run('forget', first)).stderr, /forget .* of shop[\s\S]*NOT_CONFIRMED/);
  const { forgotten } = await site.json<ForgetResult>('forget', first.slice(-8), '--yes');
  assert.deepEqual(
    forgotten.map(each => [each.snapshot, each.repository, each.database]),
    [[first, 'main', 'shop']],
  );
  assert.match((await site.run('forget', second, '--yes')).stderr, /LAST_SNAPSHOT/);
  assert.match((await site.run('forget', 'nonsense', '--yes')).stderr, /SNAPSHOT_UNKNOWN/);

  // A damaged snapshot is no good one: it can go, and the good one can't on its account.
  const third = await backup(made, '--plan', 'daily');
  await writeFile(join(site.folder, 'repository/snapshots', third), 'rubbish');
  assert.match((await site.run('forget', second, '--yes')).stderr, /LAST_SNAPSHOT/);
  const stopped = await site.run('prune', '--yes');
  assert.equal(stopped.code, 3);
  assert.match(stopped.stderr, new RegExp(`snapshots/${third}[\\s\\S]*MANIFEST_UNREADABLE`));
  await site.json('forget', third, '--yes');
  await site.json('prune', '--yes');
  await site.json('forget', second, '--yes', '--even-last');
  assert.deepEqual((await site.json<{ snapshots: unknown[] }>('list')).snapshots, []);
});

test('packs that are needed in part are emptied, and every snapshot stays whole', async t => {
  const { site, database } = await shop(t);
  await query(
    database.url,
    `create table wide as select i, (select string_agg(md5(random()::text || i || k), '')
       from generate_series(1, 40) k) as text from generate_series(1, 50000) i`,
  );
  await backup({ site, database }, '--plan', 'daily');
  // Two of three blocks of rows become others; what is left lies everywhere.
  await query(database.url, `update wide set text = reverse(text) || i where i / 300 % 3 <> 0`);
  const second = await backup({ site, database }, '--plan', 'daily');
  const third = await backup({ site, database }, '--plan', 'daily');
  await site.json('prune', '--yes'); // the first goes, and the next prune doesn't count it any more
  await aDayLater(site);

  const before = await files(site);
  const [none] = (await site.json<PruneResult>('prune', '--dry-run', '--max-dead', '90%')).repositories;
  assert.equal(none!.compacted.packs, 0);
  const [planned] = (await site.json<PruneResult>('prune', '--dry-run')).repositories;
  assert.deepEqual(await files(site), before);
  assert.ok(planned!.compacted.packs > 0 && planned!.compacted.snapshots === 2);
  assert.ok(planned!.compacted.rewrittenBytes < planned!.compacted.bytes / 2);
  assert.ok(planned!.requests.puts > 0 && planned!.requests.gets > 0);
  const told = await site.run('prune', '--dry-run');
  assert.match(told.stdout, /would be emptied, .* written anew: 2 snapshots used a part/);
  assert.match(told.stdout, /about \d+ writes and listings, \d+ reads, \d+ deletions/);

  const [done] = (await site.json<PruneResult>('prune', '--yes')).repositories;
  assert.deepEqual(
    [done!.compacted.packs, done!.compacted.snapshots],
    [planned!.compacted.packs, planned!.compacted.snapshots],
  );
  await site.json('verify', '--all');
  const shown = await site.json<{ counts: { rows: number } }>('show', third);
  assert.equal(shown.counts.rows, 52000);
  await aDayLater(site);
  const [freed] = (await site.json<PruneResult>('prune', '--yes')).repositories;
  assert.ok(freed!.freed.packs >= done!.compacted.packs && freed!.compacted.packs === 0);
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('verify', '--all');
  assert.deepEqual(snapshots.map(each => each.snapshot).sort(), [second, third].sort());
  // A restore reads what was moved, row by row.
  await site.json('restore', third, '--new', 'restored', '--yes');
  const sum = `select md5(string_agg(md5(text), '' order by i)) as sum from wide`;
  const url = new URL(database.url);
  url.pathname = '/restored';
  assert.deepEqual(await query(url.href, sum), await query(database.url, sum));
  await query(database.url, 'drop database restored with (force)');
  assert.match((await site.run('prune', '--max-dead', 'much')).stderr, /SHARE_INVALID/);
});
