/** Damage of real repositories: what `tidemark repair` makes whole again, and what it names as lost, to the table. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { HealResult } from '../../src/operations/heal/heal.ts';
import type { RepairResult } from '../../src/operations/repair/outcome.ts';
import type { VerifyResult } from '../../src/operations/verify/verify.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main] }
`;
const TABLES = `
  create schema "Sales";
  create table item (id int primary key, note text);
  insert into item select i, md5(i::text) || md5((i * 3)::text) from generate_series(1, 30000) i;
  create table "Sales"."Order" as select i as id, md5((i * 7)::text) as t from generate_series(1, 20000) i;
  select lo_from_bytea(0, decode(repeat('00ff0a5c', 20000), 'hex'));`;
const ITEM = 'public.item';
/** As it can be typed after --table. */
const ORDER = '"Sales"."Order"';

interface Shop {
  site: Site;
  database: Database;
}

async function shop(t: TestContext): Promise<Shop> {
  const database = await freshDatabase(await server(15));
  await query(database.url, TABLES);
  const site = await makeSite({ shop: database.url }, PLANS, ['archive']);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { site, database };
}

const backup = async (site: Site, ...args: string[]) =>
  (await site.json<{ snapshot: string }>('backup', 'shop', ...args)).snapshot;

async function ran<T>(site: Site, code: number, ...args: string[]): Promise<T> {
  const done = await site.run(...args, '--json');
  assert.equal(done.code, code, done.stdout + done.stderr);
  return JSON.parse(done.stdout) as T;
}

const verified = (site: Site, code: number, ...args: string[]) =>
  ran<VerifyResult>(site, code, 'verify', '--repository', 'main', ...args);
const repaired = (site: Site, code: number, ...args: string[]) =>
  ran<RepairResult>(site, code, 'repair', 'main', ...args);

const states = (result: RepairResult) => result.snapshots.map(each => [each.snapshot, each.state]);
const lostTables = (result: RepairResult) =>
  result.snapshots.map(each => each.lost?.tables.map(({ table }) => table) ?? []);

/** Names and bytes of everything in the repository. */
async function everything(site: Site): Promise<Map<string, string>> {
  const root = join(site.folder, 'repository');
  const found = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(
      path.slice(root.length + 1),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
  }
  return found;
}

const pathOf = (site: Site, object: string) => join(site.folder, 'repository', object);

async function packs(site: Site, snapshot: string): Promise<string[]> {
  const names = await readdir(pathOf(site, `packs/${snapshot}`));
  return names.sort().map(name => `packs/${snapshot}/${name}`);
}

/** Writes something else in an object's place, and gives what was there. */
async function change(site: Site, object: string, how: (bytes: Buffer) => Buffer): Promise<Buffer> {
  const bytes = await readFile(pathOf(site, object));
  await writeFile(pathOf(site, object), how(bytes));
  return bytes;
}

const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length - 10);
const flipped = (bytes: Buffer) => {
  const changed = Buffer.from(bytes);
  changed[changed.length >> 1]! ^= 0x40;
  return changed;
};

/** A first snapshot of one table alone, so that each of the two tables lies in a pack of its own. */
async function inTwo(site: Site): Promise<{ zero: string; first: string; item: string; order: string }> {
  const zero = await backup(site, '--table', '"Sales"."Order"', '--jobs', '1');
  const first = await backup(site, '--jobs', '1');
  const largest = async (snapshot: string) => {
    const all = await packs(site, snapshot);
    const sizes = await Promise.all(all.map(async each => (await stat(pathOf(site, each))).size));
    return all[sizes.indexOf(Math.max(...sizes))]!;
  };
  return { zero, first, item: await largest(first), order: await largest(zero) };
}

async function restoresAs(shop: Shop, snapshot: string): Promise<void> {
  const { site, database } = shop;
  await site.json('restore', snapshot, '--new', 'shop repaired', '--repository', 'main');
  const restored = (await server(15)).url('shop repaired');
  assert.equal(difference(await fingerprint(database.url), await fingerprint(restored)), '');
  await query(database.url, 'drop database "shop repaired"');
}

test('packs whose ends were cut off are written anew, and every snapshot is whole again', async t => {
  const made = await shop(t);
  const { site, database } = made;
  const first = await backup(site, '--jobs', '2');
  await query(database.url, "update item set note = note || 'x' where id between 100 and 200");
  const second = await backup(site, '--jobs', '2');
  assert.match((await site.run('repair', 'main')).stdout, /no damage is known/);
  const objects = [...(await packs(site, first)), ...(await packs(site, second))];
  for (const object of objects) await change(site, object, cut);
  const manifests = await readFile(pathOf(site, `snapshots/${first}`));
  await verified(site, 3, '--all');

  const before = await everything(site);
  const planned = await repaired(site, 3, '--dry-run');
  assert.deepEqual(states(planned), [
    [first, 'pending'],
    [second, 'pending'],
  ]);
  assert.deepEqual(planned.objects.map(each => each.object).sort(), objects.sort());
  assert.ok(planned.objects.every(each => each.state === 'pending'));
  assert.match((await site.run('repair', 'main')).stderr, /NOT_CONFIRMED/);
  assert.deepEqual(
    await everything(site),
    before,
    'a dry run, and one that was not confirmed, change nothing',
  );

  const done = await repaired(site, 0, '--yes');
  assert.deepEqual(states(done), [
    [first, 'rebuilt'],
    [second, 'rebuilt'],
  ]);
  assert.ok(done.objects.every(each => each.state === 'repaired'));
  const after = await everything(site);
  for (const [name, sum] of before)
    if (!/^(checks|leases)\//.test(name)) assert.equal(after.get(name), sum, `${name} was changed`);
  assert.deepEqual(await readFile(pathOf(site, `snapshots/${first}`)), manifests);
  await verified(site, 0, '--all');
  await restoresAs(made, second);
  assert.deepEqual((await repaired(site, 0, '--yes')).objects, []);
  assert.deepEqual(new Set([...after.keys()].filter(name => name.startsWith('leases/'))).size, 0);
  // And what was damaged is collected like anything that nobody needs.
  const pruned = await site.json<{ repositories: { condemned: { packs: number } }[] }>('prune', '--yes');
  assert.ok(pruned.repositories[0]!.condemned.packs >= objects.length);
  await verified(site, 0, '--all');
});

test('what is lost is named to the table, the others can be restored, and it is forgotten only when asked', async t => {
  const { site, database } = await shop(t);
  const { zero, first, item } = await inTwo(site);
  await query(database.url, "update item set note = note || 'x' where id between 100 and 300");
  const second = await backup(site);
  await query(database.url, 'drop table item; select lo_unlink(oid) from pg_largeobject_metadata');
  const third = await backup(site);
  await rm(pathOf(site, item));

  const found = await verified(site, 3, '--all');
  assert.deepEqual(
    found.snapshots.map(each => each.lost?.tables.map(({ table }) => table) ?? []),
    [[], [ITEM], [ITEM], []],
  );
  assert.deepEqual(found.snapshots[1]!.lost!.other, ['large objects']);
  const result = await repaired(site, 3, '--yes');
  assert.deepEqual(states(result), [
    [first, 'lost'],
    [second, 'lost'],
  ]);
  assert.deepEqual(lostTables(result), [[ITEM], [ITEM]]);
  const [table] = result.snapshots[0]!.lost!.tables;
  assert.ok(table!.rows! > 0 && table!.rows! <= 30_000 && table!.ofRows === 30_000, JSON.stringify(table));
  assert.match((await site.run('repair', 'main', '--dry-run')).stdout, /lost: large objects, public\.item/);
  const healed = await ran<HealResult>(site, 3, 'heal', '--all', '--yes');
  assert.deepEqual(
    healed.snapshots.map(each => [each.state, each.lost?.tables.map(each => each.table)]),
    [
      ['lost', [ITEM]],
      ['lost', [ITEM]],
    ],
  );

  const target = await freshDatabase(await server(15));
  t.after(() => target.drop());
  await site.json('restore', second, '--to', target.url, '--table', '"Sales"."Order"', '--yes');
  const [count] = await query<{ n: string }>(target.url, 'select count(*)::text as n from "Sales"."Order"');
  assert.equal(count!.n, '20000');
  const refused = await site.run('restore', second, '--to', target.url, '--table', 'item', '--yes');
  assert.equal(refused.code, 3, refused.stderr);

  await site.json('hold', second, '--reason', 'the test');
  const held = await repaired(site, 3, '--forget-lost', '--yes');
  assert.deepEqual(states(held), [
    [first, 'forgotten'],
    [second, 'lost'],
  ]);
  assert.equal(held.snapshots[1]!.error?.code, 'SNAPSHOT_HELD');
  await site.json('release', second);
  assert.deepEqual(states(await repaired(site, 0, '--forget-lost', '--yes')), [[second, 'forgotten']]);
  assert.deepEqual(states(await repaired(site, 0)), []);
  const { snapshots } = await verified(site, 0, '--all');
  assert.deepEqual(
    snapshots.map(each => each.snapshot),
    [zero, third],
  );
});

test('the next backup brings back what was lost, and another repository what it has', async t => {
  const made = await shop(t);
  const { site, database } = made;
  const { zero, first, item, order } = await inTwo(site);
  await site.json('copy', '--from', 'main', '--to', 'archive', first);
  await query(database.url, "update item set note = note || 'x' where id between 100 and 300");
  const second = await backup(site);
  await change(site, order, flipped);
  await rm(pathOf(site, item));
  await verified(site, 3, '--all');
  const dry = await repaired(site, 3, '--dry-run');
  assert.deepEqual(
    dry.snapshots.map(each => [each.snapshot, each.state, each.from]),
    [
      [zero, 'lost', []],
      [first, 'pending', ['archive']],
      [second, 'lost', []],
    ],
  );
  assert.deepEqual(lostTables(dry), [[ORDER], [], [ORDER, ITEM].sort()]);
  // What is not reachable may have it: nothing is forgotten then.
  const archive = join(site.folder, 'archive/repository.json');
  const header = await readFile(archive);
  await rm(archive);
  const kept = await ran<RepairResult>(site, 3, 'repair', 'main', '--forget-lost', '--yes');
  assert.deepEqual(
    kept.snapshots.map(each => [each.state, each.error?.code]),
    Array.from({ length: 3 }, () => ['lost', 'MAYBE_ELSEWHERE']),
  );
  await writeFile(archive, header);

  // What was brought for one snapshot has what the others lack.
  const result = await repaired(site, 0, '--yes');
  assert.deepEqual(states(result), [
    [zero, 'rebuilt'],
    [first, 'healed'],
    [second, 'rebuilt'],
  ]);
  await verified(site, 0, '--all');
  await restoresAs(made, second);

  // And so does a backup that comes after the damage, where no other repository has the snapshot.
  // Its first pack has the table of contents, which tells when it was made: no other has the same.
  for (const each of (await packs(site, second)).slice(1)) await rm(pathOf(site, each));
  assert.deepEqual(states(await repaired(site, 3, '--dry-run')), [[second, 'lost']]);
  await backup(site);
  assert.deepEqual(states(await repaired(site, 0, '--yes')), [[second, 'rebuilt']]);
  await verified(site, 0, '--all');
});

test('a stale record, a damaged hold, and a lengthened pack are put right', async t => {
  const { site } = await shop(t);
  const first = await backup(site);
  const [longer, stale] = await packs(site, first);
  const bytes = await change(site, stale!, flipped);
  await change(site, longer!, old => Buffer.concat([old, Buffer.from('more')]));
  await site.json('hold', first, '--reason', 'the test', '--until', '2099-01-01');
  const [hold] = await readdir(pathOf(site, `holds/${first}`));
  await change(site, `holds/${first}/${hold}`, flipped);
  await verified(site, 3, '--all');
  await writeFile(pathOf(site, stale!), bytes);
  const result = await repaired(site, 0, '--yes');
  assert.deepEqual(
    result.objects.map(each => [each.object, each.code, each.state]).sort(),
    [
      [longer, 'PACK_SIZE', 'repaired'],
      [stale, 'RECORD_STALE', 'repaired'],
      [`holds/${first}/${hold}`, 'HOLD_UNREADABLE', 'repaired'],
    ].sort(),
  );
  assert.deepEqual(states(result), [[first, 'rebuilt']]);
  const holds = await readdir(pathOf(site, `holds/${first}`));
  assert.ok(holds.length === 1 && holds[0] !== hold);
  assert.match((await site.run('forget', first, '--yes', '--even-last')).stderr, /SNAPSHOT_HELD.*/);
  await verified(site, 0, '--all');
  assert.ok((await stat(pathOf(site, longer!))).size > 0);
});

test('where only the roles are lost, everything else is restored, and said so', async t => {
  const { site } = await shop(t);
  const { zero, first } = await inTwo(site);
  // With the first snapshot's table of contents; the second has one of its own, but the same roles.
  const [streams] = await packs(site, zero);
  const bytes = await readFile(pathOf(site, streams!));
  await rm(pathOf(site, streams!));
  const result = await repaired(site, 3, '--yes');
  assert.deepEqual(
    result.snapshots.map(each => [
      each.snapshot,
      each.lost?.everything,
      each.lost?.other.includes('the roles'),
    ]),
    [
      [zero, true, true],
      [first, false, true],
    ],
  );
  assert.deepEqual(lostTables(result)[1], []);
  const restored = await site.run('restore', first, '--new', 'shop without roles');
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(restored.stderr, /the roles of .* are lost/);
  await query((await server(15)).url('postgres'), 'drop database "shop without roles"');
  assert.equal((await site.run('restore', first, '--new', 'shop with roles', '--roles')).code, 3);
  const shown = await site.run('show', first);
  assert.equal(shown.code, 3);
  assert.match(shown.stdout, /DAMAGED/);
  await writeFile(pathOf(site, streams!), bytes);
  await verified(site, 0, '--all');
});

test('repository.json is made again from what copies in another repository say', async t => {
  const { site } = await shop(t);
  const first = await backup(site);
  const path = pathOf(site, 'repository.json');
  const { id } = JSON.parse((await readFile(path)).toString()) as { id: string };
  await rm(path);
  assert.match((await site.run('repair', 'main', '--yes')).stderr, /REPOSITORY_MISSING/);
  assert.match((await site.run('repair', 'main', '--id', 'abc')).stderr, /ID_INVALID/);
  assert.equal((await repaired(site, 3, '--dry-run', '--id', id)).objects[0]!.state, 'pending');
  await repaired(site, 0, '--yes', '--id', id);
  await site.json('copy', '--from', 'main', '--to', 'archive', first);
  await rm(path);
  const result = await repaired(site, 0, '--yes');
  assert.deepEqual(
    result.objects.map(each => [each.object, each.state]),
    [['repository.json', 'repaired']],
  );
  await verified(site, 0, '--all');
});

test('a snapshot that a heal which was killed has left twice, damaged and whole, is there once after a repair', async t => {
  const { site } = await shop(t);
  const first = await backup(site);
  await site.json('copy', '--from', 'main', '--to', 'archive');
  const manifest = await readFile(pathOf(site, `snapshots/${first}`));
  const rows = (await packs(site, first)).at(-1)!;
  await change(site, rows, flipped);
  await verified(site, 3, '--all');
  await site.json('heal', first, '--yes');
  // As it was right before its last step.
  await rm(pathOf(site, `forgotten/${first}`));
  await writeFile(pathOf(site, `snapshots/${first}`), manifest);

  const result = await repaired(site, 0, '--yes');
  assert.ok(result.snapshots.every(each => each.lost === null));
  const names = await readdir(pathOf(site, 'snapshots'));
  assert.equal(names.length, 1, `${names}: ${JSON.stringify(states(result))}`);
  await verified(site, 0, '--all');

  // A repair that was killed before that step has left both, whole.
  const forgotten = (await readdir(pathOf(site, 'forgotten'))).filter(name => name.startsWith(first));
  for (const name of forgotten)
    await writeFile(pathOf(site, `snapshots/${name}`), await readFile(pathOf(site, `forgotten/${name}`)));
  const twice = await readdir(pathOf(site, 'snapshots'));
  assert.equal(twice.length, 2);
  const { objects: planned } = await repaired(site, 3, '--dry-run');
  assert.deepEqual(planned.map(each => [each.code, each.state]), [['SNAPSHOT_TWICE', 'pending']]); // biome-ignore format: rows
  assert.deepEqual(await readdir(pathOf(site, 'snapshots')), twice, 'a dry run ends none');
  const ended = await repaired(site, 0, '--yes');
  assert.deepEqual(ended.objects.map(each => [each.code, each.state]), [['SNAPSHOT_TWICE', 'repaired']]); // biome-ignore format: rows
  assert.deepEqual(ended.snapshots, []);
  assert.deepEqual(await readdir(pathOf(site, 'snapshots')), names);
});

test('killed at any moment it leaves what could be restored, and goes on when it is run again', async t => {
  const made = await shop(t);
  const { site, database } = made;
  const first = await backup(site);
  await query(database.url, "update item set note = note || 'x' where id between 100 and 200");
  const second = await backup(site);
  for (const snapshot of [first, second])
    for (const object of await packs(site, snapshot)) await change(site, object, cut);
  await verified(site, 3, '--all');
  const lost = async () => {
    const { snapshots } = JSON.parse((await site.run('verify', '--all', '--json')).stdout) as VerifyResult;
    return snapshots.flatMap(each => each.lost?.tables.map(({ table }) => `${each.snapshot} ${table}`) ?? []);
  };
  let before = await lost();
  const started = performance.now();
  await repaired(site, 3, '--dry-run');
  const takesMs = performance.now() - started;
  for (const share of [0.7, 1, 1.3]) {
    const program = join(import.meta.dirname, '../../bin/tidemark');
    const child = spawn(program, ['repair', 'main', '--yes'], {
      cwd: site.folder,
      detached: true,
      stdio: 'ignore',
    });
    const ended = once(child, 'close');
    await Promise.race([delay(takesMs * share), ended]);
    try {
      process.kill(-child.pid!, 'SIGKILL'); // the program, and what it started
    } catch {}
    await ended;
    await rm(pathOf(site, 'leases'), { recursive: true, force: true }); // as if half an hour had gone by
    const after = await lost();
    assert.ok(
      after.every(each => before.includes(each)),
      `${share}: ${after} after ${before}`,
    );
    before = after;
  }
  const { snapshots } = await repaired(site, 0, '--yes');
  assert.ok(snapshots.every(each => each.state === 'rebuilt'));
  await verified(site, 0, '--all');
  await restoresAs(made, second);
});

test('what nobody needs may be damaged without harm', async t => {
  const { site, database } = await shop(t);
  const first = await backup(site);
  await query(
    database.url,
    'drop table item, "Sales"."Order"; select lo_unlink(oid) from pg_largeobject_metadata; create table t as select 1 as i',
  );
  await backup(site);
  await verified(site, 0, '--all');
  await site.json('forget', first, '--yes');
  await site.json('prune', '--yes');
  await mkdir(pathOf(site, `leases/${first}`), { recursive: true });
  await writeFile(pathOf(site, `leases/${first}/000001`), '{');
  await mkdir(pathOf(site, `unfinished/${first}`), { recursive: true });
  await writeFile(pathOf(site, `unfinished/${first}/000001`), 'no object');
  await mkdir(pathOf(site, 'compactions'), { recursive: true });
  await writeFile(pathOf(site, `compactions/${first}`), 'no object');
  const kinds = new Set<string>();
  for (const name of (await everything(site)).keys()) {
    const [kind] = name.split('/');
    if (!['checks', 'condemned', 'forgotten'].includes(kind!)) continue;
    kinds.add(kind!);
    await change(site, name, flipped);
  }
  assert.deepEqual([...kinds].sort(), ['checks', 'condemned', 'forgotten']);
  assert.deepEqual((await repaired(site, 0, '--yes')).objects, []);
  await verified(site, 0, '--all');
  await backup(site);
  await rm(pathOf(site, `leases/${first}`), { recursive: true });
  await site.json('prune', '--yes');
  await verified(site, 0, '--all');
});
