/** What a database's owner, and settings of databases and roles, can do to sessions of ours: nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Session } from '../../src/postgres/session.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { compareDigests, digestDatabase } from '../../src/proof/compare.ts';
import { makeSite, tidemark } from '../support/cli.ts';
import { query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { type Major, server } from '../support/servers.ts';
import { shadowEverything, uses } from '../support/shadows.ts';

const digests = async (url: string) => digestDatabase(await resolveSettings({ url }, {}, homedir()));

/** What a superuser made there, and its owner may change: event triggers. And sessions that begin as the owner. */
async function putCodeWhereASuperuserRunsIt(url: string, name: string, major: Major): Promise<void> {
  const asMallory = url.replace('postgres@', 'mallory@');
  await query(
    asMallory,
    `create function evil.fired() returns event_trigger language plpgsql set search_path = pg_catalog as $$
     begin if current_setting('application_name') like 'tidemark%' then perform evil.used(); end if; end $$`,
  );
  const events = ['ddl_command_start', 'ddl_command_end', 'sql_drop', ...(major >= 17 ? ['login'] : [])];
  for (const event of events) {
    await query(
      url,
      `create event trigger on_${event} on ${event} execute function evil.fired();
       alter event trigger on_${event} enable always`,
    );
  }
  await query(asMallory, `alter database ${name} set role = mallory`);
}

// PostgreSQL 15 is read by a native pg_dump, 18 by the built-in one.
for (const major of [15, 18] as Major[]) {
  test(`nothing of a database's owner runs in a session of ours, PostgreSQL ${major}`, async t => {
    const shared = await server(major);
    await query(shared.url(), 'create role mallory login');
    await query(shared.url(), 'create database theirs owner mallory');
    await query(shared.url(), 'create database target owner mallory');
    const [url, target] = [shared.url('theirs'), shared.url('target')];
    for (const each of [url, target]) {
      const asMallory = each.replace('postgres@', 'mallory@');
      assert.notEqual(asMallory, each);
      await shadowEverything(asMallory, 'evil');
      await shadowEverything(asMallory, 'public');
      await query(
        asMallory,
        `set search_path = pg_catalog; create table public.t (id int primary key, s text); insert into public.t select i, i::text from generate_series(1, 100) i;
         alter database ${each === url ? 'theirs' : 'target'} set search_path = evil, public, pg_catalog;
         alter role mallory set search_path = evil, public, pg_catalog`,
      );
    }
    await query(
      shared.url(),
      'alter role postgres in database theirs set search_path = evil, public, pg_catalog',
    );
    for (const [each, name] of [
      [url, 'theirs'],
      [target, 'target'],
    ] as const)
      await putCodeWhereASuperuserRunsIt(each, name, major);
    const harmless = async (what: string, ...urls: string[]) => {
      for (const each of [url, target, ...urls]) {
        for (const schema of ['evil', 'public'])
          assert.equal(await uses(each, schema), 0, `${what}: ${each}`);
      }
      const [role] = await query(shared.url(), "select rolsuper from pg_roles where rolname = 'mallory'");
      assert.deepEqual({ ...role }, { rolsuper: false }, what);
    };
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-hostile-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const made = await tidemark(folder, ['init', url]);
    assert.equal(made.code, 0, made.stderr);
    await harmless('init');
    const site = await makeSite({ theirs: url });
    t.after(() => site.remove());
    const before = await digests(url);
    await harmless('compare');
    for (const command of [
      ['check', '--online'],
      ['backup', 'theirs'],
      ['list'],
      ['verify'],
      ['restore', 'theirs', '--new', 'restored'],
      ['restore', 'theirs', '--to', target, '--clean', '--yes'],
      ['restore', 'theirs', '--in-place', '--table', 'public.t', '--yes'],
      ['restore', 'theirs', '--in-place', '--table', 'public.t', '--as', 'beside', '--yes'],
      ['restore', 'theirs', '--in-place', '--yes'],
      ['backup', 'theirs'],
    ]) {
      const ran = await site.run(...command);
      assert.equal(ran.code, 0, `${command.join(' ')}: ${ran.stdout}${ran.stderr}`);
      if (command[0] === 'check') assert.doesNotMatch(ran.stdout, /without their passwords/);
      if (command.includes('beside'))
        assert.match(ran.stdout + ran.stderr, /event triggers "on_ddl.*did not fire/);
      const restored = command.includes('restored') ? [shared.url('restored')] : [];
      await harmless(command.join(' '), ...restored);
      for (const each of restored) assert.deepEqual(compareDigests(before, await digests(each)), []);
    }
    await query(shared.url(), 'drop database restored');
    assert.deepEqual(compareDigests(before, await digests(target)), []);
  });
}

/** Each would end a session, refuse a statement, or change what a value's text is or means. */
const SETTINGS: Record<string, string> = {
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '1ms',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  search_path: 'odd',
  client_encoding: 'LATIN1',
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kathmandu',
  standard_conforming_strings: 'off',
  escape_string_warning: 'off',
  backslash_quote: 'on',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  xmloption: 'document',
  xmlbinary: 'hex',
  quote_all_identifiers: 'on',
  check_function_bodies: 'on',
  default_tablespace: 'elsewhere',
  default_table_access_method: 'other_heap',
  session_replication_role: 'replica',
  zero_damaged_pages: 'on',
  row_security: 'on',
  jit: 'on',
  jit_above_cost: '0',
  array_nulls: 'off',
  transform_null_equals: 'on',
  client_min_messages: 'error',
  local_preload_libraries: 'nothing_of_that_name',
  enable_seqscan: 'off',
  lo_compat_privileges: 'off',
  gin_fuzzy_search_limit: '1',
};

const OF_NEWER: Record<string, string> = { transaction_timeout: '1ms' };

const ODD_VALUES = String.raw`
  create schema odd;
  create table odd.values (id int primary key, span interval, at timestamptz, day date, f float8, r real, bytes bytea,
    doc xml, words text[], note text, price money);
  insert into odd.values select i, make_interval(years => -i, days => i, secs => -i), '2020-01-31 12:34:56.789+00'::timestamptz + i * interval '1 day',
    '2021-02-03'::date + i, i / 7.0::float8, i / 3.0::real, decode(md5(i::text), 'hex'), xmlparse(content 'a<b>' || i || '</b>'),
    array['NULL', null, 'null', 'a b'], E'back\\slash ' || i, (i + 0.25)::numeric::money from generate_series(1, 3000) i;
  create table odd.children (parent int references odd.values, c int check (c <> 7));
  insert into odd.children select i, i * 1000 from generate_series(1, 100) i;
  create table odd.fired (n int);
  create function odd.fire() returns trigger language plpgsql as $$ begin insert into odd.fired values (1); return new; end $$;
  create trigger fire after insert on odd.children for each row execute function odd.fire();
  create view odd.nothing as select * from odd.values where note = null;
  create function odd.text() returns text language sql as $$ select E'a\\b' $$;
  select pg_catalog.lo_from_bytea(0, decode(repeat('ff00', 3000), 'hex'));
  create index on odd.values using gin (words);`;

for (const major of [15, 17] as Major[]) {
  test(`settings of a database and a role break no session and change no value, PostgreSQL ${major}`, async t => {
    const shared = await server(major, { configuration: { allow_in_place_tablespaces: 'on' } });
    const settings = { ...SETTINGS, ...(major >= 17 ? OF_NEWER : {}) };
    await query(shared.url(), "create tablespace elsewhere location ''");
    await query(shared.url(), 'create role keeper superuser login');
    for (const name of ['odd', 'target']) await query(shared.url(), `create database ${name} owner keeper`);
    await query(shared.url('odd'), 'create access method other_heap type table handler heap_tableam_handler');
    await query(shared.url('odd'), ODD_VALUES);
    for (const [name, value] of Object.entries(settings)) {
      for (const whose of ['database odd', 'database target', 'role keeper']) {
        await query(shared.url(), `alter ${whose} set ${name} = '${value}'`);
      }
    }
    const url = (name: string) => shared.url(name).replace('postgres@', 'keeper@');
    const site = await makeSite({ odd: url('odd') });
    t.after(() => site.remove());
    const before = await digests(url('odd'));
    const prints = await fingerprint(url('odd'));
    assert.match((await site.run('check', '--online')).stdout, /odd/);
    const { snapshot } = await site.json<{ snapshot: string }>('backup', 'odd');
    const exact = async (name: string) => {
      assert.deepEqual(compareDigests(before, await digests(url(name))), [], name);
      assert.equal(difference(prints, await fingerprint(url(name))), '', name);
    };
    await site.json('restore', 'odd', '--new', 'restored');
    await exact('restored');
    await site.json('restore', 'odd', '--to', url('target'), '--clean', '--yes');
    await exact('target');
    const session = await Session.open(await resolveSettings({ url: url('odd') }, {}, homedir()));
    t.after(() => session.close());
    await session.run('update odd.values set note = null; delete from odd.children');
    await site.json(
      'restore',
      'odd',
      '--in-place',
      '--table',
      'odd.values',
      '--table',
      'odd.children',
      '--yes',
    );
    await exact('odd');
    await session.run('drop table odd.children');
    await site.json('restore', snapshot, '--in-place', '--yes');
    await exact('odd');
  });
}
