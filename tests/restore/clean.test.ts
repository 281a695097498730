/** `--to URL --clean`: a database of anything becomes like a new one, or is left alone. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import pg from 'pg';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { cleanDatabase } from '../../src/restore/database/clean.ts';
import { contentsOf } from '../../src/restore/database/empty.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, pgDumpText, query } from '../support/databases.ts';
import { difference } from '../support/fingerprint.ts';
import { type ClientMajor, debianLacks, type Major, server } from '../support/servers.ts';
import { loadZoo } from '../support/zoo.ts';

const never = new AbortController().signal;

function settingsOf(url: string) {
  return resolveSettings({ url }, {}, '/nowhere');
}

/** A snapshot of one small table, to be restored into whatever has been emptied. */
async function small(t: TestContext, major: Major = 18): Promise<Site> {
  const source = await freshDatabase(await server(major));
  await query(
    source.url,
    "create table accounts (id int primary key, secret text); insert into accounts values (1, 'x')",
  );
  const site = await makeSite({ shop: source.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  return site;
}

for (const major of [15, 18, 19] as const) {
  test(`a database of every kind of object becomes like a new one, PostgreSQL ${major}`, {
    skip: debianLacks(major),
  }, async () => {
    const on = await server(major);
    const full = await freshDatabase(on);
    await loadZoo(full.url);
    await query(
      full.url,
      `drop schema public cascade; create schema public authorization zoo_owner; grant create on schema public to zoo_reader with grant option; comment on schema public is 'ours';
       create schema "Transforms"; create language plpgsql_too handler plpgsql_call_handler;
       create transform for integer language plpgsql_too (from sql with function pg_catalog.prsd_lextype(internal));
       alter default privileges for role zoo_owner in schema public grant all on tables to zoo_reader;
       alter default privileges for role zoo_owner revoke execute on functions from public;
       alter default privileges for role zoo_owner revoke all on tables from zoo_owner;
       alter default privileges for role postgres grant select on tables to zoo_reader with grant option;
       select lo_create(77)`,
    );
    const empty = await freshDatabase(on);
    assert.ok((await contentsOf(await settingsOf(full.url))).length > 150);
    assert.deepEqual(await cleanDatabase(await settingsOf(full.url), never), []);
    assert.deepEqual(await contentsOf(await settingsOf(full.url)), []);
    const client: ClientMajor = major;
    assert.equal(
      difference(await pgDumpText(empty.url, [], client), await pgDumpText(full.url, [], client)),
      '',
    );
    const [left] = await query(full.url, 'select count(*)::int as n from pg_default_acl');
    assert.deepEqual({ ...left }, { n: 0 });
    await full.drop();
  });
}

test('thousands of tables, by a role with limits, on a server with a small lock table', async t => {
  const on = await server(18, { configuration: { max_locks_per_transaction: '10', max_connections: '20' } });
  const site = await small(t);
  const target = await freshDatabase(on);
  await query(
    target.url,
    `create role app_${target.name} login superuser; alter role app_${target.name} set statement_timeout = '200ms'`,
  );
  for (let at = 0; at < 1500; at += 20)
    await query(
      target.url,
      `do $$ begin for i in ${at}..${at + 19} loop execute format('create table t%s (id serial primary key, x text)', i); end loop; end $$`,
    );
  const url = target.url.replace('postgres@', `app_${target.name}@`);
  await site.json('restore', 'shop', '--to', url, '--clean', '--yes');
  assert.deepEqual(await contentsOf(await settingsOf(target.url)), ['table public.accounts']);
});

test('default privileges of the target grant nothing of what is restored', async t => {
  const site = await small(t);
  const target = await freshDatabase(await server(18));
  await query(
    target.url,
    `create role snoop_${target.name}; alter default privileges grant all on tables to snoop_${target.name}`,
  );
  await site.json('restore', 'shop', '--to', target.url, '--clean', '--yes');
  const [row] = await query(target.url, "select relacl from pg_class where relname = 'accounts'");
  assert.deepEqual({ ...row }, { relacl: null });
});

test('what the role may not remove is named, and nothing is removed', async t => {
  const site = await small(t);
  const target = await freshDatabase(await server(18));
  const role = `app_${target.name}`;
  await query(
    target.url,
    `create role ${role} login; alter database ${target.name} owner to ${role}; create schema theirs; create table theirs.t (a int); create schema mine authorization ${role}; create table mine.t (a int); create extension hstore; create table public.ours (a int)`,
  );
  const url = target.url.replace('postgres@', `${role}@`);
  const refused = await site.run('restore', 'shop', '--to', url, '--clean', '--yes', '--no-owner');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /CLEAN_NOT_ALLOWED/);
  assert.match(refused.stderr, /table theirs\.t of postgres/);
  assert.match(refused.stderr, /nothing was removed/);
  await query(target.url, 'select from theirs.t, mine.t, public.ours');
  await query(target.url, `alter schema theirs owner to ${role}`);
  const done = await site.run('restore', 'shop', '--to', url, '--clean', '--yes', '--no-owner');
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /extension hstore stays/);
  assert.deepEqual(await contentsOf(await settingsOf(target.url)), ['table public.accounts']);
});

test('sessions with locks, prepared transactions and subscriptions are seen to first', async t => {
  const site = await small(t);
  const target = await freshDatabase(await server(18, { configuration: { max_prepared_transactions: '5' } }));
  await query(
    target.url,
    "create table busy (a int); create subscription mirror connection 'host=/nowhere dbname=pub password=secret12' publication pub with (connect = false, slot_name = 'clean_slot'); alter subscription mirror enable",
  );
  await query(target.url, "begin; insert into busy values (1); prepare transaction 'held'");
  const args = ['restore', 'shop', '--to', target.url, '--clean', '--yes'];
  const prepared = await site.run(...args);
  assert.match(prepared.stderr, /can't be emptied.*'held' of postgres/);
  await query(target.url, "rollback prepared 'held'");
  const open = new pg.Client({ connectionString: target.url, application_name: 'an app' });
  open.on('error', () => {});
  await open.connect();
  await open.query('begin; select from busy');
  const held = await site.run(...args);
  assert.match(held.stderr, /TARGET_IN_USE/);
  assert.match(held.stderr, /role postgres, an app, idle in transaction/);
  await open.end();
  const done = await site.run(...args);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /clean_slot of its subscriptions stay/);
  assert.deepEqual(await contentsOf(await settingsOf(target.url)), ['table public.accounts']);
});
