/** Restores in place of a whole database: nothing that was committed is lost, and what would stop one is found first. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pg from 'pg';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import type { Unchecked } from '../../src/restore/check/compare.ts';
import type { CheckResult } from '../../src/restore/check/result.ts';
import { makeSite, type Site, tidemark } from '../support/cli.ts';
import { adopt, freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { DEBIAN_15, server } from '../support/servers.ts';

const shared = () => server(18, { configuration: { max_prepared_transactions: '5' } });

interface Restored {
  safetySnapshot: string;
  notes: string[];
}

interface Stage {
  server: Server;
  url: string;
  name: string;
  site: Site;
}

/** A database of 50 orders, backed up, and then changed. */
async function stage(t: TestContext, options: { sql?: string; backup?: string[] } = {}): Promise<Stage> {
  const on = await shared();
  const database = await freshDatabase(on);
  await query(
    database.url,
    `create table orders (id serial primary key, total numeric); insert into orders (total) select g * 1.5 from generate_series(1, 50) g; create table sessions (id int); insert into sessions values (1); ${options.sql ?? ''}`,
  );
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop', ...(options.backup ?? []));
  return { server: on, url: database.url, name: database.name, site };
}

const inPlace = ['restore', 'shop', '--in-place', '--yes'];

async function names(on: Server, like = '%_tidemark_%'): Promise<string[]> {
  const rows = await query<{ datname: string }>(
    on.url(),
    'select datname from pg_database where datname like $1',
    [like],
  );
  return rows.map(row => row.datname);
}

async function ids(url: string, table = 'orders'): Promise<Set<number>> {
  return new Set((await query<{ id: number }>(url, `select id from ${table}`)).map(row => row.id));
}

/** Inserts rows as an application does, reconnecting whenever it is thrown out; resolves to those that were committed. */
function application(url: string): { stop(): Promise<number[]> } {
  let working = true;
  const acknowledged: number[] = [];
  const work = (async () => {
    for (let next = 1_000_000; working; ) {
      const client = new pg.Client(url);
      client.on('error', () => {});
      try {
        await client.connect();
        while (working) {
          await client.query('insert into orders (id) values ($1)', [next]);
          acknowledged.push(next++);
        }
      } catch {
        next++; // its fate is not known
      } finally {
        await client.end().catch(() => {});
      }
    }
  })();
  return {
    async stop() {
      working = false;
      await work;
      return acknowledged;
    },
  };
}

test('every row that an application commits until the names change is in the safety snapshot', async t => {
  const {
    server: on,
    url,
    name,
    site,
  } = await stage(t, {
    sql: 'create table big as select g as id, repeat(md5(g::text), 12) as filler from generate_series(1, 60000) g; create index on big (md5(filler));',
  });
  const snapshot = await latest(site);
  const busy = application(url);
  const result = await site.json<Restored>('restore', 'shop', '--snapshot', snapshot, '--in-place', '--yes');
  const acknowledged = await busy.stop();
  await site.json('restore', result.safetySnapshot, '--new', `${name}_before`);
  const [before, now] = [await ids(on.url(`${name}_before`)), await ids(url)];
  assert.ok(
    acknowledged.some(id => before.has(id)),
    'the application wrote while the restore ran',
  );
  assert.deepEqual(
    acknowledged.filter(id => !before.has(id) && !now.has(id)),
    [],
  );
  for (let id = 1; id <= 50; id++) assert.ok(now.has(id), `${id} is restored`);
  const lost = acknowledged.findIndex(id => !before.has(id));
  assert.ok(
    lost === -1 || acknowledged.slice(lost).every(id => now.has(id)),
    'what came after the change of names is in the restored database',
  );
  assert.deepEqual(await names(on, `${name.slice(0, 12)}_tidemark_%`), []);
});

test('every row that an application commits to a table until it is replaced is in the safety snapshot', async t => {
  const {
    server: on,
    url,
    name,
    site,
  } = await stage(t, {
    sql: 'create table big as select g as id, repeat(md5(g::text), 12) as filler from generate_series(1, 60000) g;',
  });
  const busy = application(url);
  const result = await site.json<Restored>('restore', 'shop', '--in-place', '--table', 'orders', '--yes');
  const acknowledged = await busy.stop();
  await site.json('restore', result.safetySnapshot, '--new', `${name}_before`);
  const [before, now] = [await ids(on.url(`${name}_before`)), await ids(url)];
  assert.ok(
    acknowledged.some(id => before.has(id) && !now.has(id)),
    'the application wrote before the table was replaced',
  );
  assert.deepEqual(
    acknowledged.filter(id => !before.has(id) && !now.has(id)),
    [],
  );
});

async function latest(site: Site): Promise<string> {
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list', 'shop');
  return snapshots[0]!.snapshot;
}

/** A site whose role owns the database and may create others, but is no superuser. */
async function asOwner(t: TestContext, { url, name }: Stage): Promise<{ site: Site; role: string }> {
  const role = `app_${name}`;
  await query(
    url,
    `create role ${role} login createdb; alter database ${name} owner to ${role}; alter table orders owner to ${role}; alter table sessions owner to ${role}`,
  );
  const site = await makeSite({ shop: url.replace('postgres@', `${role}@`) });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  return { site, role };
}

test('where the repository can not be written, nothing is done', async t => {
  const { server: on, url, name, site } = await stage(t);
  const leases = join(site.folder, 'repository', 'leases');
  await rm(leases, { recursive: true, force: true });
  await writeFile(leases, '');
  const before = await fingerprint(url);
  for (const restore of [inPlace, [...inPlace, '--table', 'orders']]) {
    const { code, stderr } = await site.run(...restore);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /no safety snapshot of what is replaced could be stored: .*\[SAFETY_FAILED\]/);
    assert.match(stderr, /^ +nothing was done$/m);
  }
  assert.equal(difference(before, await fingerprint(url)), '');
  assert.deepEqual(await names(on, `${name.slice(0, 12)}%_tidemark_%`), []);
});

test('where no safety snapshot can be stored, what was replaced stays, and is named', async t => {
  const at = await stage(t);
  const { site } = await asOwner(t, at);
  await query(at.url, 'delete from orders where id > 10; create table kept_from_the_owner (a int)');
  const failed = await site.run(...inPlace);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /SAFETY_FAILED/);
  assert.equal((await ids(at.url)).size, 50, 'it is restored');
  const [old] = await names(at.server, `${at.name.slice(0, 12)}_tidemark_%_old`);
  assert.match(failed.stderr, new RegExp(`still there as ${old}`));
  assert.equal((await ids(at.server.url(old))).size, 10);
  await adopt(at.server, old!).drop();
});

test('what turns up while the restore runs stops the change of names, and leaves the database as it was', async t => {
  const {
    server: on,
    url,
    name,
    site,
  } = await stage(t, {
    sql: 'create table big as select g as id, repeat(md5(g::text), 12) as filler from generate_series(1, 60000) g; create index on big (md5(filler));',
  });
  await query(url, 'delete from orders where id > 10');
  const running = site.run(...inPlace);
  while ((await names(on, `${name.slice(0, 12)}_tidemark_%`)).length === 0)
    await new Promise(resolve => setTimeout(resolve, 20));
  await query(url, "begin; insert into orders default values; prepare transaction 'late'");
  const failed = await running;
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /PREPARED_TRANSACTIONS/);
  assert.match(failed.stderr, /is as it was before/);
  assert.equal((await ids(url)).size, 10);
  assert.deepEqual(await names(on, `${name.slice(0, 12)}_tidemark_%`), []);
  await query(url, "rollback prepared 'late'");
});

test('a prepared transaction is found before the work, and named', async t => {
  const { server: on, url, name, site } = await stage(t);
  await query(url, "begin; update orders set total = 0 where id = 1; prepare transaction 'c11-''lost'");
  const refused = await site.run(...inPlace);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /PREPARED_TRANSACTIONS/);
  assert.match(refused.stderr, /'c11-''lost' of postgres, prepared \d{4}-/);
  assert.match(refused.stderr, /ROLLBACK PREPARED 'c11-''lost'/);
  assert.doesNotMatch(refused.stderr, /safety snapshot .* is stored/);
  assert.deepEqual(await names(on, `${name.slice(0, 12)}_tidemark_%`), []);
  await query(url, "rollback prepared 'c11-''lost'");
  await site.json(...inPlace);
});

test('logical slots are lost and said so in the plan', async t => {
  const { url, name, site } = await stage(t, { sql: 'create publication cdc for table orders;' });
  await query(url, `select pg_create_logical_replication_slot('slot_${name}', 'pgoutput')`);
  const unsure = await site.run('restore', 'shop', '--in-place');
  assert.equal(unsure.code, 2);
  assert.match(unsure.stderr, new RegExp(`logical replication slots slot_${name}`));
  assert.equal((await query(url, 'select from pg_replication_slots where database = $1', [name])).length, 1);
  const done = await site.run(...inPlace);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await query(url, 'select from pg_replication_slots where database = $1', [name])).length, 0);
});

test('a subscription goes with what is replaced, is said in the plan, and is restored disabled', async t => {
  const {
    server: on,
    url,
    name,
    site,
  } = await stage(t, {
    sql: "create subscription mirror connection 'host=/nowhere dbname=pub user=u password=secret12' publication pub with (connect = false, slot_name = 'mirror_slot'); alter subscription mirror enable;",
  });
  const done = await site.run(...inPlace);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /subscriptions mirror.*disabled/);
  assert.match(done.stderr, /mirror_slot stay on the publishers/);
  assert.doesNotMatch(done.stderr + done.stdout, /secret12/);
  const rows = await query(
    url,
    'select d.datname, s.subname, s.subenabled, s.subslotname from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname like $1',
    [`${name.slice(0, 12)}%`],
  );
  assert.deepEqual(
    rows.map(row => ({ ...row })),
    [{ datname: name, subname: 'mirror', subenabled: false, subslotname: 'mirror_slot' }],
  );
  await adopt(on, name).drop();
});

test('the database may be called postgres, be a template, and have properties of its own', async t => {
  const on = await server(18, { configuration: { max_connections: '40' } });
  await query(
    on.url(),
    'create table orders as select g as id from generate_series(1, 50) g; alter database postgres is_template true',
  );
  const site = await makeSite({ shop: on.url() });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  const before = await fingerprint(on.url());
  await query(on.url(), 'drop table orders');
  const result = await site.json<Restored>(...inPlace);
  assert.equal(difference(before, await fingerprint(on.url())), '');
  assert.ok(result.safetySnapshot);
  assert.deepEqual(await names(on), []);
});

test('a role that may not do it is told before anything is done', async t => {
  const at = await stage(t);
  const { url, name } = at;
  const { site: asRole, role } = await asOwner(t, at);
  await query(url, `alter role ${role} nocreatedb`);
  const poor = await asRole.run(...inPlace);
  assert.equal(poor.code, 2);
  assert.match(poor.stderr, /CREATEDB_MISSING/);
  assert.match(poor.stderr, /--to URL --clean/);
  assert.doesNotMatch(poor.stderr, /safety/);
  assert.match((await asRole.run('restore', 'shop', '--new', `${name}_n`)).stderr, /CREATEDB_MISSING/);
  await query(url, `alter role ${role} createdb; alter database ${name} owner to postgres`);
  const stranger = await asRole.run(...inPlace);
  assert.match(stranger.stderr, /DATABASE_NOT_OWNED/);
  await query(url, `alter database ${name} owner to ${role}`);
  const superuser = new pg.Client(url);
  superuser.on('error', () => {});
  await superuser.connect();
  const held = await asRole.run(...inPlace);
  assert.equal(held.code, 2);
  assert.match(held.stderr, /SESSIONS_NOT_ENDABLE/);
  assert.match(held.stderr, /process \d+ of role postgres/);
  await superuser.end();
  const done = await asRole.run(...inPlace);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await ids(url)).size, 50);
});

test('a snapshot that lacks some of the database does not take its place unless that is allowed', async t => {
  const { url, name, server: on, site } = await stage(t, { backup: ['--exclude-table', 'sessions'] });
  const refused = await site.run(...inPlace, '--snapshot', await latest(site));
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /IN_PLACE_PARTIAL/);
  assert.match(refused.stderr, /public\.sessions/);
  assert.match(refused.stderr, /--table.*--new NAME.*--allow-partial/);
  const schema = await site.run(...inPlace, '--snapshot', await latest(site), '--schema-only');
  assert.match(schema.stderr, /OPTIONS_CONTRADICT/);
  assert.equal((await ids(url)).size, 50);
  const allowed = await site.run(...inPlace, '--snapshot', await latest(site), '--allow-partial');
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(allowed.stderr, /gone afterwards.*public\.sessions/);
  const [there] = await query(url, "select to_regclass('sessions') as there");
  assert.deepEqual({ ...there }, { there: null });
  assert.deepEqual(await names(on, `${name.slice(0, 12)}_tidemark_%`), []);
});

test('names of databases: too long, of many bytes, with odd characters', async t => {
  const { server: on, site, name } = await stage(t);
  const long = await site.run('restore', 'shop', '--new', 'x'.repeat(64));
  assert.equal(long.code, 2);
  assert.match(long.stderr, /63 bytes.*NAME_TOO_LONG/);
  const wide = await site.run('restore', 'shop', '--new', 'ж'.repeat(32));
  assert.match(wide.stderr, /NAME_TOO_LONG/);
  assert.match((await site.run('restore', 'shop', '--new', name)).stderr, /DATABASE_EXISTS/);
  for (const odd of ['𝔻'.repeat(15), `9 "x' %s .*\n\\${name}`]) {
    await site.json('restore', 'shop', '--new', odd);
    const database = adopt(on, odd);
    assert.equal((await ids(database.url)).size, 50);
    const other = await makeSite({ shop: database.url });
    t.after(() => other.remove());
    await other.json('backup', 'shop');
    await query(database.url, 'delete from orders');
    await other.json(...inPlace);
    assert.equal((await ids(database.url)).size, 50, odd);
    await database.drop();
  }
});

test('what an earlier restore left is named', async t => {
  const { server: on, site, name } = await stage(t);
  const start = name.slice(0, 12);
  await query(on.url(), `create database ${start}_tidemark_0123abcd_old`);
  await query(on.url(), `create database ${start}_tidemark_0123abcd`);
  const unsure = await site.run('restore', 'shop', '--in-place');
  assert.match(unsure.stderr, new RegExp(`${start}_tidemark_0123abcd_old: what an earlier restore replaced`));
  assert.match(unsure.stderr, new RegExp(`${start}_tidemark_0123abcd: half-restored`));
  await adopt(on, `${start}_tidemark_0123abcd_old`).drop();
  await adopt(on, `${start}_tidemark_0123abcd`).drop();
});

test('what can not be read back takes the place of nothing, and any other restore of it ends with exit code 3', async t => {
  const { server: on, url, name, site } = await stage(t);
  await query(url, 'insert into orders (id) values (1000)');
  const before = await fingerprint(url);
  const tooOld = { TIDEMARK_PG_DUMP: join(DEBIAN_15, 'pg_dump') };
  const { code, stderr } = await tidemark(site.folder, inPlace, tooOld);
  assert.equal(code, 3, stderr);
  assert.match(
    stderr,
    /could not be read back: .*no pg_dump can read a PostgreSQL 18 server.*\[RESTORE_UNCHECKED\]/,
  );
  assert.match(stderr, /--check none.*\n.*nothing was done/);
  assert.equal(difference(before, await fingerprint(url)), '');
  assert.deepEqual(await names(on, `${name.slice(0, 12)}%_tidemark_%`), []);
  const empty = (await freshDatabase(on)).url;
  for (const target of [
    ['--new', `${name}_unchecked`],
    ['--to', empty],
    ['--to', empty, '--table', 'orders', '--yes'],
  ]) {
    const restore = ['restore', 'shop', ...target, '--json'];
    const ran = await tidemark(site.folder, restore, tooOld);
    assert.equal(ran.code, 3, ran.stderr);
    const { check } = JSON.parse(ran.stdout) as { check: CheckResult };
    assert.equal(check.level, 'none');
    const [{ what, why, hint }] = check.unchecked as [Unchecked];
    assert.match(what, /definitions/);
    assert.match(why, /no pg_dump can read a PostgreSQL 18 server/);
    assert.match(hint, /install its client .*--check none/);
    if (!target.includes('--table')) continue;
    const waived = await tidemark(site.folder, [...restore.slice(0, -1), '--check', 'none'], tooOld);
    assert.equal(waived.code, 0, waived.stderr);
    assert.match(waived.stdout, /^not checked$/m);
  }
});
