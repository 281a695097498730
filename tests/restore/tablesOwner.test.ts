/** Table restores by who is no superuser, from partial snapshots, and of tables of extensions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backedUp } from '../support/backedUp.ts';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, psql, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

test('an owner without superuser restores tables, and is told what only a superuser can', async t => {
  const shared = await server(15);
  const database = await freshDatabase(shared);
  const role = `owner_of_${database.name}`;
  await query(shared.url(), `create role ${role} login; alter database ${database.name} owner to ${role}`);
  await psql(
    database.url,
    [],
    `set role ${role}; create schema s;
    create table s.parent(id serial primary key, v text); insert into s.parent(v) select 'v' || g from generate_series(1, 9) g;
    create table s.child(id int generated always as identity, p int constraint key references s.parent); insert into s.child(p) select g from generate_series(1, 9) g;
    comment on constraint key on s.child is 'x'; create view s.v as select * from s.parent;
    create table s.off(p int constraint off_key references s.parent); reset role; alter table s.off disable trigger all; insert into s.off values (77);`,
  );
  const url = database.url.replace('postgres@', `${role}@`);
  const site = await makeSite({ shop: url });
  t.after(() => site.remove());
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop');
  const restore = (...tables: string[]) =>
    site.run('restore', snapshot, '--in-place', '--yes', ...tables.flatMap(table => ['--table', table]));
  await psql(url, ['-c', "update s.child set p = 1; select setval('s.child_id_seq', 99)"]);
  const child = await restore('s.child');
  assert.equal(child.code, 0, child.stderr);
  assert.equal(await psql(url, ['-At', '-c', 'insert into s.child(p) values (2) returning id']), '10\n');
  const refused = await restore('s.parent');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /KEYS_DISABLED/);
  assert.match(refused.stderr, /foreign key off_key of s.off/);
  await psql(database.url, ['-c', 'drop table s.off']);
  await psql(url, ['-c', "update s.parent set v = 'changed'; drop view s.v; drop table s.child"]);
  const both = await restore('s.parent', 's.child');
  assert.equal(both.code, 0, both.stderr);
  assert.equal(await psql(url, ['-At', '-c', "select count(*) from s.parent where v like 'v%'"]), '9\n');
  const key =
    "select convalidated, obj_description(oid, 'pg_constraint') from pg_constraint where conname = 'key'";
  assert.equal(await psql(url, ['-At', '-c', key]), 't|x\n');
  // Row-level security that holds for the owner too would let no rows in, and hide those that are there.
  await psql(url, [
    '-c',
    'alter table s.child enable row level security, force row level security; create policy p on s.child using (id > 5)',
  ]);
  await site.json('restore', snapshot, '--to', url, '--yes', '--table', 's.child');
  const forced =
    "select relforcerowsecurity, (select count(*) from s.child) from pg_class where relname = 'child'";
  assert.equal(await psql(database.url, ['-At', '-c', forced]), 't|9\n');
});

test('a snapshot of rows alone replaces rows too', async t => {
  const { site, sql } = await backedUp(
    t,
    `
    create table log(at int, note text); insert into log select g, 'n' from generate_series(1, 10) g;
    create table p(id serial primary key, k int) partition by hash (id); create table p_0 partition of p for values with (modulus 1, remainder 0);
    insert into p(k) values (1), (2);
    create type mood as enum ('a', 'b'); create table m(k mood) partition by hash (k); create table m_0 partition of m for values with (modulus 2, remainder 0);
    create table m_1 partition of m for values with (modulus 2, remainder 1); insert into m values ('a'), ('b'), ('a');`,
  );
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop', '--data-only');
  await sql('insert into p(k) values (3); delete from log where at > 5');
  for (const _ of [1, 2]) {
    await site.json('restore', snapshot, '--in-place', '--yes', '--data-only');
    assert.equal(
      await sql('select (select count(*) from log), (select count(*) from p), (select count(*) from m)'),
      '10|2|3\n',
    );
  }
  assert.equal(await sql('insert into p(k) values (9) returning id'), '3\n');
});

test("rows that an extension's tables got from their users are replaced, its own stay", async t => {
  const { site, sql, snapshot } = await backedUp(
    t,
    `
    create extension tidemark_zoo; insert into zoo_config.kinds values ('ours', false);
    insert into zoo_config.settings(kind, value) values ('ours', 'a'), ('row of the extension', 'b'); create table t(a int); insert into t values (1);`,
  );
  const all =
    "select (select string_agg(name, ',' order by name) from zoo_config.kinds), (select string_agg(id || value, ',' order by id) from zoo_config.settings)";
  const before = await sql(all);
  await sql(
    "insert into zoo_config.kinds values ('later', false); insert into zoo_config.settings(kind, value) values ('later', 'c'); delete from zoo_config.settings where id = 1",
  );
  for (const _ of [1, 2]) {
    await site.json('restore', snapshot, '--in-place', '--yes', '--data-only');
    assert.equal(await sql(all), before);
  }
});
