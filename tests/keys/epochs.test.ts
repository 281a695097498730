/** Keys from the command line, and a database through two epochs: backed up, pruned, verified, restored. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { BackupResult } from '../../src/operations/backup/backup.ts';
import type { NewEpoch } from '../../src/operations/key/epoch.ts';
import type { ListedKeys } from '../../src/operations/key/list.ts';
import type { PruneResult } from '../../src/operations/prune/prune.ts';
import type { VerifyResult } from '../../src/operations/verify/verify.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const BIN = join(import.meta.dirname, '../../bin');
const PLAN = 'plans:\n  daily: { database: shop, schedule: manual, store: [main], keep: { last: 2 } }\n';

test('a database through two epochs', async t => {
  const postgres = await server(15);
  const database = await freshDatabase(postgres);
  await query(database.url, 'create table item as select i, md5(i::text) from generate_series(1, 20000) i');
  const site = await makeSite({ shop: database.url }, PLAN);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  const backup = () => site.json<BackupResult>('backup', 'shop');
  const identity = await generateX25519Identity();
  await writeFile(join(site.folder, 'left.txt'), `${identity}\n`, { mode: 0o600 });
  await site.json('key', 'add', 'main', '--age', await identityToRecipient(identity), '--name', 'left');
  const first = await backup();
  const second = await backup();
  assert.ok(second.bytesAdded < first.bytesAdded / 10);

  const asked = await site.run('key', 'rotate', 'main', '--epoch', '--retire', 'left');
  assert.match(asked.stderr, /epoch 1 of main[\s\S]*first \(key\)[\s\S]*not: left[\s\S]*NOT_CONFIRMED/);
  const begun = await site.json<NewEpoch>('key', 'rotate', 'main', '--epoch', '--retire', 'left', '--yes');
  assert.deepEqual([begun.epoch, begun.retired], [1, ['left']]);
  const keys = await site.json<ListedKeys>('key', 'list', 'main');
  assert.deepEqual(
    [keys.epoch, keys.opensWith, keys.slots.map(each => [each.slot, each.epoch, each.state])],
    [1, 'first-2', [['first-2', 1, 'current'], ['left', 0, 'retired']]], // biome-ignore format: rows
  );
  await query(database.url, `update item set md5 = 'new' where i = 1`);
  const third = await backup();
  assert.ok(third.bytesAdded > first.bytesAdded / 2, 'nothing of the old epoch is used again');
  const fourth = await backup();
  assert.ok(fourth.bytesAdded < first.bytesAdded / 10);
  const all = await site.json<VerifyResult>('verify', '--all');
  assert.deepEqual([all.ok, all.snapshots.length], [true, 4]);

  const made = { site, first, second, fourth };
  await t.test('each snapshot is restored as it was', () => restoresBoth(made));
  await t.test('who was retired reads the old and not the new', () => retiredReads(made));
  await t.test('what no rule keeps goes, of either epoch', async () => {
    const [done] = (await site.json<PruneResult>('prune', '--yes')).repositories;
    assert.deepEqual(done!.forgotten.sort(), [first.snapshot, second.snapshot]);
    assert.ok(done!.condemned.bytes > 0);
    assert.equal((await site.json<VerifyResult>('verify', '--all')).ok, true);
  });
});

interface Made {
  site: Site;
  first: BackupResult;
  second: BackupResult;
  fourth: BackupResult;
}

async function restoresBoth({ site, second, fourth }: Made): Promise<void> {
  const postgres = await server(15);
  for (const [snapshot, value] of [
    [second.snapshot, 'c4ca4238a0b923820dcc509a6f75849b'],
    [fourth.snapshot, 'new'],
  ] as const) {
    const target = await freshDatabase(postgres);
    await site.json('restore', snapshot, '--to', target.url);
    const [row] = await query(target.url, 'select md5, (select count(*) from item) from item where i = 1');
    assert.deepEqual(Object.values(row!).map(String), [value, '20000']);
    await target.drop();
  }
}

async function retiredReads({ site, first, second }: Made): Promise<void> {
  const postgres = await server(15);
  const strategy = join(site.folder, 'tidemark.yaml');
  const mine = await readFile(strategy, 'utf8');
  await writeFile(strategy, mine.replace('{ file: ./tidemark.key }', '{ age_identity_file: ./left.txt }'));
  const list = await site.run('list', '--json');
  const listed = JSON.parse(list.stdout);
  assert.deepEqual(
    listed.snapshots.map((each: BackupResult) => each.snapshot),
    [first.snapshot, second.snapshot],
  );
  assert.equal(listed.unreadable.length, 2);
  assert.match(list.stderr, /was retired: it opens epoch 0 .*KEY_RETIRED/);
  const target = await freshDatabase(postgres);
  await site.json('restore', second.snapshot, '--to', target.url);
  await target.drop();
  for (const args of [
    ['backup', 'shop'],
    ['restore', 'shop', '--new', 'x'],
    ['prune', '--yes'],
    ['key', 'add', 'main', '--key-file', 'x.key'],
  ])
    assert.match((await site.run(...args)).stderr, /KEY_RETIRED/, args.join(' '));
  await writeFile(strategy, mine);
}

test('the kit that key kit prints brings everything back', async t => {
  const postgres = await server(15);
  const database = await freshDatabase(postgres);
  await query(database.url, 'create table item as select i from generate_series(1, 500) i');
  const site = await makeSite({ shop: database.url }, PLAN);
  const fresh = await mkdtemp(join(tmpdir(), 'tidemark-kit-'));
  const target = await freshDatabase(postgres);
  t.after(async () => {
    await Promise.all([site.remove(), rm(fresh, { recursive: true, force: true }), target.drop()]);
    await database.drop();
  });
  await site.json('backup', 'shop');
  await site.json('key', 'rotate', 'main');
  const key = (await readFile(join(site.folder, 'tidemark.key'), 'utf8')).trim();
  const withoutKey = await site.run('key', 'kit', 'main', '--json');
  assert.ok(!withoutKey.stdout.replace(/\s|\\n|[",]/g, '').includes(key.slice(15, 67)));
  assert.equal((await site.run('key', 'kit', 'main', '--with-key', '-o', 'kit.txt')).code, 0);
  const unasked = await site.run('key', 'kit', 'main', '--with-key');
  assert.equal(unasked.stdout, `wrote ${join(site.folder, 'tidemark.kit.txt')}; print it\n`);
  assert.equal((await stat(join(site.folder, 'tidemark.kit.txt'))).mode & 0o777, 0o600);
  const json = await site.run('key', 'kit', 'main', '--with-key', '--json');
  assert.equal(JSON.parse(json.stdout).file, join(site.folder, 'tidemark.kit-2.txt'));
  assert.equal(JSON.parse(json.stdout).page, null);
  const piped = await site.run('key', 'kit', 'main', '--with-key', '-o', '-');
  assert.ok(piped.stdout.replace(/\s/g, '').includes(key.slice(15, 67)), 'asked for in so many words');
  const page = await readFile(join(site.folder, 'kit.txt'), 'utf8');
  const [, steps] = /\n(umask 077\n[\s\S]*?)\n\n/.exec(page)!;
  const script = steps!.replace('postgresql://USER@HOST:5432/EMPTY_DATABASE', target.url);
  const env = { HOME: fresh, PATH: `${BIN}:${process.env.PATH}` };
  execFileSync('sh', ['-euc', script], { cwd: fresh, env, stdio: 'pipe' });
  const [row] = await query(target.url, 'select count(*) from item');
  assert.equal(String(Object.values(row!)[0]), '500');
});
