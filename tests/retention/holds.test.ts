import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HoldResult, ShownHold } from '../../src/operations/hold.ts';
import type { ForgetResult } from '../../src/operations/prune/forget.ts';
import type { PruneResult } from '../../src/operations/prune/prune.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main], keep: { last: 1 } }
`;

async function shop(t: TestContext): Promise<{ site: Site; backup(): Promise<string> }> {
  const database = await freshDatabase(await server(15));
  await query(database.url, `create table item as select i, md5(i::text) from generate_series(1, 2000) i`);
  const site = await makeSite({ shop: database.url }, PLANS);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  const backup = async () => {
    await query(database.url, `update item set md5 = md5(md5) where i > 1900`);
    return (await site.json<{ snapshot: string }>('backup', 'shop')).snapshot;
  };
  return { site, backup };
}

type Listed = { snapshots: { snapshot: string; holds: ShownHold[] }[] };

test('a held snapshot stays, says why, and goes once it is released', async t => {
  const { site, backup } = await shop(t);
  const [old, middle, last] = [await backup(), await backup(), await backup()];
  const placed = await site.json<HoldResult>('hold', old.slice(-8), '--reason', 'case 17', '--until', '7y');
  assert.equal(placed.snapshot, old);
  const [hold] = placed.holds;
  assert.deepEqual([hold!.repository, hold!.reason, placed.failures], ['main', 'case 17', []]);
  assert.match(hold!.by!, /^.+@.+$/);
  assert.match((await site.run('hold', old)).stderr, /--reason/);
  assert.match((await site.run('hold', old, '--reason', ' ')).stderr, /ARGUMENT_EMPTY/);
  assert.match((await site.run('hold', old, '--reason', 'x', '--until', '2001-01-01')).stderr, /UNTIL_PAST/);

  const refused = await site.run('forget', old, middle, '--yes');
  assert.equal(refused.code, 2);
  assert.match(
    refused.stderr,
    /is held until \d{4}-\d\d-\d\d \d\d:\d\d: case 17 \[SNAPSHOT_HELD\]\n.*tidemark release/,
  );
  const looked = await site.json<ForgetResult>('forget', old, middle, last, '--dry-run');
  assert.deepEqual(
    looked.forgotten.map(each => [each.snapshot, each.reasons]),
    [
      [middle, ['last 1: 1 newer one']],
      [last, ['last 1 of 1', 'last good snapshot']],
    ],
  );
  assert.deepEqual(
    looked.stays.map(each => [each.snapshot, each.reasons.length]),
    [[old, 1]],
  );
  assert.ok(looked.frees[0]!.amount!.bytes > 0);
  const alone = await site.json<ForgetResult>('forget', last, middle, old, '--dry-run');
  assert.deepEqual(alone.forgotten.length, 2);

  const { snapshots } = await site.json<Listed>('list');
  assert.deepEqual(
    snapshots.map(each => each.holds.map(of => of.reason)),
    [['case 17'], [], []],
  );
  assert.match((await site.run('list')).stdout, /held until .*: case 17/);
  assert.match(
    (await site.run('show', old)).stdout,
    /^hold +held until .*: case 17, placed .* by .*@.* in \w+\)$/m,
  );

  const planned = await site.run('prune', '--dry-run');
  assert.match(planned.stdout, /shop, plan daily in main: keeps last 1\n/);
  assert.match(planned.stdout, new RegExp(`${old} .* stays +held until .*: case 17\n`));
  assert.match(planned.stdout, new RegExp(`${middle} .* goes +last 1: 1 newer one\n`));
  assert.match(planned.stdout, /1 of 3 snapshots go: \d+ packs? \(.*\) come free/);
  const [pruned] = (await site.json<PruneResult>('prune', '--yes')).repositories;
  assert.deepEqual(pruned!.forgotten, [middle]);

  assert.match((await site.run('release', old, 'ffff')).stderr, /HOLD_UNKNOWN/);
  const released = await site.json<HoldResult>('release', old, hold!.id);
  assert.deepEqual(
    released.holds.map(each => each.id),
    [hold!.id],
  );
  assert.match((await site.run('release', old)).stderr, /is not held \[HOLD_UNKNOWN\]/);
  const [again] = (await site.json<PruneResult>('prune', '--yes')).repositories;
  assert.deepEqual(again!.forgotten, [old]);
  await site.json('verify', '--all');
});

test('a damaged hold holds, is named by verify, and can be released', async t => {
  const { site, backup } = await shop(t);
  const old = await backup();
  await backup();
  const { holds } = await site.json<HoldResult>('hold', old, '--reason', 'case 17', '--until', '7y');
  const folder = join(site.folder, 'repository/holds', old);
  const file = join(folder, holds[0]!.id);
  const bytes = await readFile(file);
  bytes[40]! ^= 1;
  await writeFile(file, bytes);
  assert.match(
    (await site.run('forget', old, '--yes')).stderr,
    /is held by .*, which can't be read \[SNAPSHOT_HELD\]/,
  );
  assert.deepEqual((await site.json<PruneResult>('prune', '--yes')).repositories[0]!.forgotten, []);
  const found = await site.run('verify', '--json');
  assert.equal(found.code, 3);
  const { faults } = JSON.parse(found.stdout) as { faults: { object: string; snapshots: string[] }[] };
  assert.deepEqual(
    faults.map(fault => [fault.object, fault.snapshots]),
    [[`holds/${old}/${holds[0]!.id}`, []]],
  );
  await site.json('release', old);
  assert.deepEqual(await readdir(folder).catch(() => []), []);
  await site.json('verify', '--all');
  assert.deepEqual((await site.json<PruneResult>('prune', '--yes')).repositories[0]!.forgotten, [old]);
});

test('a snapshot in several repositories is held in each; one out of reach fails for itself alone', async t => {
  const { site, backup } = await shop(t);
  const old = await backup();
  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  await writeFile(
    strategy,
    text.replace('\nplans:', '\n  far: { storage: ./nowhere, key: { file: ./tidemark.key } }\nplans:'),
  );
  const half = await site.run('hold', old, '--reason', 'case 17', '--json');
  assert.equal(half.code, 2);
  const { holds, failures } = JSON.parse(half.stdout) as HoldResult;
  assert.deepEqual(
    [holds.map(each => each.repository), failures.map(each => each.repository)],
    [['main'], ['far']],
  );
  const released = JSON.parse((await site.run('release', old, '--json')).stdout) as HoldResult;
  assert.deepEqual([released.holds.length, released.failures.length], [1, 1]);

  await backup();
  const forgot = await site.run('forget', old, '--yes', '--json');
  assert.equal(forgot.code, 2);
  const result = JSON.parse(forgot.stdout) as ForgetResult;
  assert.deepEqual(
    [result.forgotten.map(each => each.repository), result.failures.map(each => each.repository)],
    [['main'], ['far']],
  );
  assert.match((await site.run('forget', 'ffffffff', '--yes')).stderr, /nowhere/, 'it may be there');
});

test('safety snapshots have rules of their own, and are no last good ones', async t => {
  const { site, backup } = await shop(t);
  const daily = await backup();
  const safeties: string[] = [];
  for (let i = 0; i < 2; i++) {
    const result = await site.json<{ safetySnapshot: string }>('restore', daily, '--in-place', '--yes');
    safeties.push(result.safetySnapshot);
  }
  const groups = async () => {
    const [planned] = (await site.json<PruneResult>('prune', '--dry-run')).repositories;
    const why = new Map(planned!.snapshots.map(each => [each.snapshot, each]));
    assert.deepEqual(
      planned!.groups.map(each => each.plan),
      ['daily', 'safety'],
    );
    return [daily, ...safeties].map(id => why.get(id)!);
  };
  const [first, older, newer] = await groups();
  assert.deepEqual(first!.reasons, ['last 1 of 1', 'last good snapshot']);
  assert.match(older!.reasons.join('; '), /^within 7d \(until [^)]*\)$/);
  assert.match(newer!.reasons.join('; '), /^within 7d \(until [^)]*\); min 1 of 1$/);
  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  await writeFile(strategy, text.replace(/("shop": \{ url: "[^"]*") \}/, '$1, safety: { keep: 1ms } }'));
  const [, gone, stays] = await groups();
  assert.deepEqual([gone!.keep, stays!.keep, stays!.reasons], [false, true, ['min 1 of 1']]);
  assert.deepEqual((await site.json<PruneResult>('prune', '--yes')).repositories[0]!.forgotten, [
    safeties[0],
  ]);
  assert.match((await site.run('forget', daily, '--yes')).stderr, /LAST_SNAPSHOT/);
});
