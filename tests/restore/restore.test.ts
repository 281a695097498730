/** Every way back, with the real program on a real server. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import pg from 'pg';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';

const SHOP = `
  create type state as enum ('open', 'done');
  create table people (id int generated always as identity primary key, name text not null, note text);
  create table orders (id serial primary key, person int not null references people, state state not null default 'open');
  create table items (orders int references orders on delete cascade, thing text, primary key (orders, thing));
  create table fired (what text);
  create function fire() returns trigger language plpgsql as $$ begin insert into fired values (tg_table_name || ' ' || tg_op); return null; end $$;
  create trigger note after insert or delete on orders for each row execute function fire();
  create view open_orders as select * from orders where state = 'open';
  insert into people (name) select 'person ' || i from generate_series(1, 50) i;
  insert into orders (person) select i from generate_series(1, 50) i;
  insert into items select i, 'thing ' || i from generate_series(1, 50) i;
  truncate fired;
  alter database %NAME% set work_mem = '8MB';
  comment on database %NAME% is 'a shop';`;

interface Stage {
  url: string;
  name: string;
  site: Site;
  count(table: string): Promise<number>;
}

async function stage(t: TestContext, name?: string): Promise<Stage> {
  const shared = await server(15);
  const database = await freshDatabase(shared, name);
  await query(database.url, SHOP.replaceAll('%NAME%', pg.escapeIdentifier(database.name)));
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  const count = async (table: string) => {
    const [row] = await query<{ n: string }>(database.url, `select count(*) as n from ${table}`);
    return Number(row!.n);
  };
  return { url: database.url, name: database.name, site, count };
}

async function databases(): Promise<string[]> {
  const rows = await query<{ datname: string }>((await server(15)).url(), 'select datname from pg_database');
  return rows.map(row => row.datname);
}

test('a new database has the settings and the comment of the old one', async t => {
  const { site, name } = await stage(t);
  const restored = `${name} "restored"`;
  await site.json('restore', 'shop', '--new', restored);
  const [row] = await query<{ comment: string; work_mem: string }>(
    (await server(15)).url(restored),
    "select shobj_description(oid, 'pg_database') as comment, current_setting('work_mem') as work_mem from pg_database where datname = current_database()",
  );
  assert.deepEqual({ ...row }, { comment: 'a shop', work_mem: '8MB' });
  const many = await site.run('restore', 'shop', '--new', 'never', '--jobs', 'many');
  assert.equal(many.code, 2);
  assert.match(many.stderr, /JOBS_INVALID/);
  const again = await site.run('restore', 'shop', '--new', restored);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /DATABASE_EXISTS/);
});

test('rows that the role may not read back are not checked: said, and exit code 3', async t => {
  const { site, url, name } = await stage(t);
  const shared = await server(15);
  await query(url, 'alter table fired enable row level security, force row level security');
  await site.json('backup', 'shop');
  const target = await freshDatabase(shared);
  await query(
    target.url,
    `create role clerk_${name} login; alter database ${target.name} owner to clerk_${name}`,
  );
  const to = target.url.replace('postgres@', `clerk_${name}@`);
  const ran = await site.run(
    ...['restore', 'shop', '--to', to, '--no-owner', '--no-privileges', '--check', 'exact'],
  );
  assert.equal(ran.code, 3, ran.stderr);
  assert.match(
    ran.stdout,
    /^not checked: rows of public.fired: .*row-level security.*\n {2}to get it checked: .*superuser/m,
  );
  assert.match(ran.stdout, /^checked in part: \d+ objects .*every row of 3 tables compared$/m);
});

test('a restore that fails leaves no database behind', async t => {
  const { site, url, name } = await stage(t);
  // A function whose language the target has not: restoring it must fail.
  await query(url, 'create role goner; alter table people owner to goner');
  await site.json('backup', 'shop');
  await query(url, 'alter table people owner to postgres; drop role goner');
  const failed = await site.run('restore', 'shop', '--new', `${name}_2`);
  assert.equal(failed.code, 2);
  assert.match(failed.stderr, /goner.*\n.*--roles/);
  const target = await freshDatabase(await server(15));
  await query(target.url, 'create table precious (a int)');
  const unclean = await site.run('restore', 'shop', '--to', target.url, '--clean', '--yes');
  assert.match(unclean.stderr, /ROLES_MISSING/);
  await query(target.url, 'select * from precious');
  assert.deepEqual(
    (await databases()).filter(other => other.startsWith(`${name}_`)),
    [],
  );
  await site.json('restore', 'shop', '--new', `${name}_2`, '--roles');
  const [owner] = await query(
    (await server(15)).url(`${name}_2`),
    "select tableowner from pg_tables where tablename = 'people'",
  );
  assert.deepEqual({ ...owner }, { tableowner: 'goner' });
});

test('a database that holds something is refused, and emptied only when told', async t => {
  const { site, url } = await stage(t);
  const target = await freshDatabase(await server(15));
  await query(
    target.url,
    'create schema "Old One"; create table "Old One".t (a int); create extension hstore; select lo_create(77)',
  );
  const refused = await site.run('restore', 'shop', '--to', target.url);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /TARGET_NOT_EMPTY/);
  assert.match(refused.stderr, /Old One/);
  const unsure = await site.run('restore', 'shop', '--to', target.url, '--clean');
  assert.equal(unsure.code, 2);
  assert.match(unsure.stderr, /NOT_CONFIRMED/);
  await site.json('restore', 'shop', '--to', target.url, '--clean', '--yes');
  assert.equal(difference(await fingerprint(url), await fingerprint(target.url)), '');
});

test('in place: what is there is saved, connections are ended, everything is as it was', async t => {
  const { site, url, count, name } = await stage(t, `In "place" ${process.pid}`);
  const before = await fingerprint(url);
  await query(url, 'delete from items; drop view open_orders; create table later (a int)');
  const idle = new pg.Client(url);
  idle.on('error', () => {});
  await idle.connect();
  const result = await site.json<{ safetySnapshot: string }>(
    'restore',
    'shop',
    '--snapshot',
    await firstSnapshot(site),
    '--in-place',
    '--yes',
  );
  assert.equal(difference(before, await fingerprint(url)), '');
  assert.equal(await count('items'), 50);
  await assert.rejects(idle.query('select 1'));
  assert.deepEqual(
    (await databases()).filter(other => other.includes('_tidemark_')),
    [],
  );
  await site.json('restore', result.safetySnapshot, '--new', `${name} before`);
  const [later] = await query(
    (await server(15)).url(`${name} before`),
    "select to_regclass('later') is not null as there",
  );
  assert.deepEqual({ ...later }, { there: true });
});

async function firstSnapshot(site: Site): Promise<string> {
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list', 'shop');
  return snapshots[0]!.snapshot;
}

test('tables in place: rows come back in one transaction, keys and triggers stay', async t => {
  const { site, url, count } = await stage(t);
  const before = await fingerprint(url);
  await query(
    url,
    "delete from items where orders > 10; update orders set state = 'done'; delete from fired; insert into people (name) values ('new')",
  );
  await site.json(
    'restore',
    'shop',
    '--snapshot',
    await firstSnapshot(site),
    '--table',
    'orders',
    '--table',
    'items',
    '--in-place',
    '--yes',
  );
  assert.equal(await count('items'), 50);
  assert.equal(await count("orders where state = 'open'"), 50);
  assert.equal(await count('people'), 51, 'a table that was not asked for keeps its rows');
  assert.equal(await count('fired'), 0, 'no trigger fired');
  await query(url, "delete from people where name = 'new'; select setval('people_id_seq', 50)");
  assert.equal(
    difference(before, await fingerprint(url)),
    '',
    'keys, triggers and sequences are as they were',
  );
});

test('tables in place: a reference that would break stops it, and nothing is changed', async t => {
  const { site, url, count } = await stage(t);
  await query(url, "insert into people (name) values ('new'); insert into orders (person) values (51)");
  const failed = await site.run(
    'restore',
    'shop',
    '--table',
    'people',
    '--in-place',
    '--yes',
    '--snapshot',
    await firstSnapshot(site),
  );
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /REFERENCES_BROKEN/);
  assert.match(failed.stderr, /as it was before/);
  assert.equal(await count('people'), 51);
  assert.equal(await count("pg_constraint where contype = 'f' and convalidated"), 2);
});

test('a table that is gone is created with what it needs; beside an existing one it has another name', async t => {
  const { site, url, count } = await stage(t);
  await query(url, 'drop view open_orders; drop table items; drop table orders; drop type state');
  await site.json(
    'restore',
    'shop',
    '--table',
    'orders',
    '--in-place',
    '--yes',
    '--snapshot',
    await firstSnapshot(site),
  );
  assert.equal(await count('orders'), 50);
  await query(url, 'insert into orders (person) values (1)');
  assert.equal(await count('fired'), 1, 'its trigger came along');
  await query(
    url,
    "delete from people where id not in (select person from orders); update people set note = 'changed'",
  );
  await site.json(
    'restore',
    'shop',
    '--table',
    'people',
    '--as',
    'People then',
    '--in-place',
    '--snapshot',
    await firstSnapshot(site),
  );
  assert.equal(await count('"People then" where note is null'), 50);
});

test('schema only, then rows only', async t => {
  const { site, url } = await stage(t);
  await query(url, 'create materialized view notes as select count(*) from people');
  await site.json('backup', 'shop');
  const target = await freshDatabase(await server(15));
  await site.json('restore', 'shop', '--to', target.url, '--schema-only');
  const [empty] = await query<{ n: string }>(target.url, 'select count(*) as n from people');
  assert.equal(Number(empty!.n), 0);
  await site.json('restore', 'shop', '--to', target.url, '--data-only', '--yes');
  assert.equal(difference(await fingerprint(url), await fingerprint(target.url)), '');
});

test('a table with what it needs, in a new database', async t => {
  const { site, name } = await stage(t);
  const { tables } = await site.json<{ tables: { name: string; rows: number }[] }>(
    'restore',
    'shop',
    '--table',
    'orders',
    '--new',
    `${name}_orders`,
  );
  assert.deepEqual(tables, [{ name: 'public.orders', rows: 50 }]);
  const none = await site.run('restore', 'shop', '--table', 'Orders', '--new', `${name}_none`);
  assert.equal(none.code, 0, 'unquoted names are folded to lower case');
  const missing = await site.run('restore', 'shop', '--table', '"Orders"', '--new', `${name}_missing`);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /TABLES_UNMATCHED/);
});
