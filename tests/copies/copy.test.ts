/** Copies between repositories with different keys: whole, cheap, never half there, and as good as the original. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CopyResult } from '../../src/operations/copy/copy.ts';
import type { ShownHold } from '../../src/operations/hold.ts';
import type { PruneResult } from '../../src/operations/prune/prune.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, pgDumpText, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';
import { loadZoo } from '../support/zoo.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/tidemark');
const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main] }
`;
const ITEMS = `
  create table item (id int primary key, note text);
  insert into item select i, md5(i::text) || E'\\ttab, \\\\ and\\nline ' || i from generate_series(1, 30000) i;
  create table fixed as select i, md5((i * 7)::text) as t from generate_series(1, 20000) i;
  create table none (x int);
  select lo_from_bytea(0, decode(repeat('0a5c', 200000), 'hex')), lo_creat(-1);`;

interface Listed {
  snapshots: { snapshot: string; repository: string; database: string; rows: number; bytesAdded: number }[];
}

async function shop(t: TestContext, plans = PLANS): Promise<{ site: Site; database: Database }> {
  const database = await freshDatabase(await server(15));
  await query(database.url, ITEMS);
  const site = await makeSite({ shop: database.url }, plans, ['archive']);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { site, database };
}

const backup = async (site: Site) => (await site.json<{ snapshot: string }>('backup', 'shop')).snapshot;
const copy = (site: Site, ...args: string[]) =>
  site.json<CopyResult>('copy', '--from', 'main', '--to', 'archive', ...args);

async function files(site: Site, folder: string): Promise<string[]> {
  const found = await readdir(join(site.folder, folder), { recursive: true, withFileTypes: true });
  return found
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}

/** The names of the manifests that a repository has. */
const manifests = (site: Site, folder: string) =>
  readdir(join(site.folder, folder, 'snapshots')).then(
    found => found.sort(),
    () => [],
  );

/** The strategy without one of its repositories, as on a machine that knows only the others. */
async function without(site: Site, name: string): Promise<void> {
  const file = join(site.folder, 'tidemark.yaml');
  const text = await readFile(file, 'utf8');
  const other = name === 'main' ? 'archive' : 'main';
  const rest = text.replace(new RegExp(`^  ${name}:.*\n`, 'm'), '');
  await writeFile(file, rest.replace(`store: [${name}]`, `store: [${other}]`));
}

test('a copy of everything a database can hold restores to the same, without the repository it came from', async t => {
  const source = await freshDatabase(await server(15), 'zoo to copy');
  await loadZoo(source.url);
  const site = await makeSite({ zoo: source.url }, '', ['archive']);
  t.after(() => site.remove());
  const plan = 'plans:\n  daily: { database: zoo, schedule: manual, store: [main] }\n';
  await writeFile(
    join(site.folder, 'tidemark.yaml'),
    (await readFile(join(site.folder, 'tidemark.yaml'), 'utf8')) + plan,
  );
  const made = await site.json<{ snapshot: string; rows: number }>('backup', 'zoo');
  const { snapshots, there } = await copy(site);
  assert.deepEqual(
    snapshots.map(each => [each.snapshot, each.state]),
    [[made.snapshot, 'copied']],
  );
  assert.equal(there, 0);
  await site.json('verify', '--all');

  await without(site, 'main');
  await rm(join(site.folder, 'repository'), { recursive: true });
  await site.json('verify', '--all');
  await site.json('restore', made.snapshot, '--new', 'zoo from the copy');
  const restored = (await server(15)).url('zoo from the copy');
  assert.equal(difference(await fingerprint(source.url), await fingerprint(restored)), '');
});

test('copies in order deduplicate as the source does; what is there is passed over', async t => {
  const { site, database } = await shop(t);
  const ids = [await backup(site)];
  for (let i = 0; i < 3; i++) {
    await query(database.url, `update item set note = note || '!' where id between 100 and 120`);
    ids.push(await backup(site));
  }
  const dry = await copy(site, '--dry-run');
  assert.deepEqual(
    dry.snapshots.map(each => [each.snapshot, each.state]),
    ids.map(id => [id, 'pending']),
  );
  assert.deepEqual(await manifests(site, 'archive'), []);

  const one = await copy(site, ids[0]!.slice(-8));
  const rest = await copy(site);
  assert.deepEqual([one.snapshots.length, rest.snapshots.length, rest.there], [1, 3, 1]);
  const [first, ...later] = [...one.snapshots, ...rest.snapshots];
  for (const each of later) {
    assert.ok(
      each.bytesAdded! < first!.bytesAdded! / 10,
      `${each.bytesAdded} of ${first!.bytesAdded} bytes again`,
    );
  }
  const again = await copy(site);
  assert.deepEqual([again.snapshots, again.there], [[], 4]);
  assert.deepEqual(
    (await manifests(site, 'archive')).map(name => name.split('.')[0]),
    ids,
  );
  assert.equal((await site.json<{ snapshots: unknown[] }>('verify', '--all')).snapshots.length, 8);

  await without(site, 'main');
  await site.json('restore', ids[3]!, '--new', `${database.name}_4`);
  const restored = (await server(15)).url(`${database.name}_4`);
  assert.equal(difference(await pgDumpText(database.url), await pgDumpText(restored)), '');
  const { snapshots } = await site.json<Listed>('list');
  assert.deepEqual(
    snapshots.map(each => [each.snapshot, each.repository]),
    ids.map(id => [id, 'archive']),
  );
});

test('what the target has unchanged is not read again', async t => {
  const { site, database } = await shop(t);
  await backup(site);
  await copy(site);
  const before = new Set(await files(site, 'repository/packs'));
  await query(database.url, `insert into none values (1)`);
  const second = await backup(site);
  // The packs of the first snapshot hold nothing that has to be read now, but what describes its parts.
  const added = (await files(site, 'repository/packs')).filter(file => !before.has(file));
  for (const file of before) await overwriteMiddle(file);
  const { snapshots } = await copy(site);
  assert.deepEqual(
    [snapshots[0]!.snapshot, snapshots[0]!.state, snapshots[0]!.error],
    [second, 'copied', null],
  );
  assert.ok(added.length > 0);
  await without(site, 'main');
  await site.json('verify', '--all');
});

/** Spoils the largest segments, which hold rows. */
async function overwriteMiddle(file: string): Promise<void> {
  const bytes = await readFile(file);
  if (bytes.length < 200_000) return;
  bytes.fill(0, bytes.length >> 2, bytes.length >> 1);
  await writeFile(file, bytes);
}

test('a damaged source fails the copy, names what is hurt, and leaves nothing listed', async t => {
  const { site } = await shop(t);
  const [bad, good] = [await backup(site), await backup(site)];
  for (const file of await files(site, 'repository/packs')) await overwriteMiddle(file);
  const ran = await site.run('copy', '--from', 'main', '--to', 'archive', '--json');
  assert.equal(ran.code, 3, ran.stderr);
  const { snapshots } = JSON.parse(ran.stdout) as CopyResult;
  assert.deepEqual(
    snapshots.map(each => [each.snapshot, each.state, each.error!.code]),
    [bad, good].map(id => [id, 'failed', 'SEAL_BROKEN']),
  );
  assert.match(snapshots[0]!.error!.message, /^main: segment \d+ of packs\//);
  assert.deepEqual(await manifests(site, 'archive'), []);

  await rm(join(site.folder, 'repository/snapshots', bad));
  await writeFile(join(site.folder, 'repository/snapshots', bad), 'rubbish');
  const text = await site.run('copy', '--from', 'main', '--to', 'archive');
  assert.equal(text.code, 3);
  assert.match(text.stdout, new RegExp(`failed: ${bad}: snapshots/${bad} in .*\\[`));
});

test('a copy that was killed, or interrupted, leaves nothing half there, and the next one works', async t => {
  const { site, database } = await shop(t);
  await query(
    database.url,
    'create table big as select i, repeat(md5(i::text), 60) as t from generate_series(1, 60000) i',
  );
  const id = await backup(site);
  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  // After its first pack it has to wait, and is still at work when it is killed.
  await writeFile(strategy, text.replace('storage: ./archive,', 'storage: ./archive, limit: 100KB/s,'));
  for (const [signal, code] of [
    ['SIGKILL', null],
    ['SIGINT', 130],
  ] as const) {
    const child = spawn(PROGRAM, ['copy', '--from', 'main', '--to', 'archive'], {
      cwd: site.folder,
      stdio: 'ignore',
      detached: true,
    });
    const packs = async () => (await files(site, 'archive/packs').catch(() => [])).length;
    const before = await packs();
    while ((await packs()) === before && child.exitCode === null) await delay(5);
    process.kill(-child.pid!, signal);
    const [exited] = await once(child, 'exit');
    assert.equal(exited, code);
    assert.deepEqual(await manifests(site, 'archive'), []);
  }
  await writeFile(strategy, text);
  assert.equal((await copy(site)).snapshots[0]!.state, 'copied');
  assert.deepEqual(
    (await manifests(site, 'archive')).map(name => name.split('.')[0]),
    [id],
  );
  await site.json('verify', '--all');
  assert.equal((await files(site, 'archive/leases')).length, 1, 'that of the killed one');
});

test('retention decides what comes, unless a snapshot is named or all are wanted', async t => {
  const { site } = await shop(t, PLANS.replace('store: [main]', 'store: [main], keep: { last: 2 }'));
  const ids = [await backup(site), await backup(site), await backup(site), await backup(site)];
  const strategy = join(site.folder, 'tidemark.yaml');
  assert.equal((await copy(site, '--dry-run')).snapshots.length, 4, 'no rule decides over what is there');
  await writeFile(strategy, (await readFile(strategy, 'utf8')).replace('[main]', '[main, archive]'));
  const dry = await copy(site, '--dry-run');
  assert.deepEqual(
    dry.snapshots.map(each => each.state),
    ['left', 'left', 'pending', 'pending'],
  );
  await copy(site, '--database', 'shop');
  assert.equal((await manifests(site, 'archive')).length, 2);
  await copy(site, ids[0]!);
  await copy(site, '--all');
  assert.equal((await manifests(site, 'archive')).length, 4);
  assert.match((await site.run('copy', '--from', 'main', '--to', 'main')).stderr, /COPY_SAME/);
  assert.match((await site.run('copy', '--from', 'main', '--to', 'nowhere')).stderr, /REPOSITORY_UNKNOWN/);
  const nobody = await site.run('copy', '--from', 'main', '--to', 'archive', '--database', 'nobody');
  assert.match(nobody.stderr, /DATABASE_UNKNOWN/);
});

test('what is held comes whatever the rules say, and is held there too', async t => {
  const { site } = await shop(t, PLANS.replace('[main]', '[main], keep: { last: 1 }'));
  const [held, , newest] = [await backup(site), await backup(site), await backup(site)];
  const strategy = join(site.folder, 'tidemark.yaml');
  await writeFile(strategy, (await readFile(strategy, 'utf8')).replace('[main]', '[main, archive]'));
  await site.json('hold', held, '--reason', 'case 17', '--until', '7y');
  const { snapshots } = await copy(site);
  assert.deepEqual(
    snapshots.filter(each => each.state === 'copied').map(each => each.snapshot),
    [held, newest],
  );
  const { holds } = await site.json<{ holds: ShownHold[] }>('show', held);
  const [here, there] = holds.map(({ reason, until, by, repository }) => ({ reason, until, by, repository }));
  assert.deepEqual(there, { ...here, repository: 'archive' });
  assert.deepEqual((await site.json<{ holds: unknown[] }>('release', held)).holds.length, 2);
});

test('what is forgotten and collected in the source stays in the copy, and comes back from it', async t => {
  const { site, database } = await shop(t);
  const first = await backup(site);
  await copy(site);
  await query(database.url, `drop table item, fixed; create table other as select generate_series(1, 100) i`);
  await query(database.url, `select lo_unlink(oid) from pg_largeobject_metadata`);
  const second = await backup(site);
  const strategy = await readFile(join(site.folder, 'tidemark.yaml'), 'utf8');
  await without(site, 'archive');
  await site.json('forget', first, '--yes');
  const before = await files(site, 'repository/packs');
  await site.json('prune', '--yes');
  await aDayPasses(site, 'repository');
  await site.json('prune', '--yes');
  assert.ok((await files(site, 'repository/packs')).length < before.length);
  assert.deepEqual(await manifests(site, 'repository'), [second]);

  await writeFile(join(site.folder, 'tidemark.yaml'), strategy);
  await site.json('verify', '--all');
  await site.json('restore', first, '--new', `${database.name}_1`);
  const back = await site.json<CopyResult>('copy', '--from', 'archive', '--to', 'main');
  assert.deepEqual(
    back.snapshots.map(each => [each.snapshot, each.state]),
    [[first, 'copied']],
  );
  await site.json('verify', '--all');
  await aDayPasses(site, 'repository');
  const pruned = await site.json<PruneResult>('prune', '--yes');
  assert.deepEqual(
    pruned.repositories.map(each => [each.forgotten, each.condemned.packs, each.freed.packs]),
    [
      [[], 0, 0],
      [[], 0, 0],
    ],
  );
});

/** As if what is condemned had been a day ago. */
async function aDayPasses(site: Site, folder: string): Promise<void> {
  const then = Date.now() / 1000 - 25 * 3600;
  for (const file of await files(site, join(folder, 'condemned')).catch(() => []))
    await utimes(file, then, then);
}
