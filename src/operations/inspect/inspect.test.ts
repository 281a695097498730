import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshDatabase, psql } from '../../../tests/support/databases.ts';
import { clientOnPath, DEBIAN_15, MAJORS, server, serverLacks } from '../../../tests/support/servers.ts';
import { TidemarkError } from '../../base/errors.ts';
import { resolveSettings } from '../../postgres/settings/settings.ts';
import { supabase } from '../../providers/supabase.ts';
import type { Finding } from '../finding.ts';
import { type Inspection, inspectDatabase } from './inspect.ts';
import { EVERYTHING, judge } from './judge.ts';

const SCHEMA = `
  create role limited login;
  create role reader login in role pg_read_all_data;
  create role blind login bypassrls in role pg_read_all_data;
  create schema closed;
  create table closed.a (id int);
  grant select on closed.a to limited;
  create table "odd table" (id int);
  create table public.by_column (id int, secret text);
  grant select (id, secret) on public.by_column to limited;
  create table public.guarded (id int);
  alter table public.guarded enable row level security;
  create policy upper_half on public.guarded using (id > 5);
  grant select on public.guarded to limited;
  create table public.parts (id int) partition by range (id);
  create sequence public.numbers;
  select lo_from_bytea(4711, 'x');
  create extension tidemark_zoo;
  create foreign data wrapper far; create server far foreign data wrapper far;
  create user mapping for postgres server far options (password 'x'); create user mapping for public server far;
`;

async function inspect(url: string, user?: string, env = process.env): Promise<Inspection> {
  const settings = await resolveSettings({ url, user }, {}, '/nonexistent');
  return inspectDatabase(settings, env, new AbortController().signal);
}

const of = (findings: Finding[], check: string) => findings.find(each => each.check === check);

for (const major of MAJORS) {
  test(`a superuser may do everything on PostgreSQL ${major}`, { skip: serverLacks(major) }, async () => {
    const database = await freshDatabase(await server(major));
    const found = await inspect(database.url, undefined, major === 19 ? clientOnPath(19) : process.env);
    assert.equal(found.serverMajor, major);
    assert.equal(found.provider.id, 'selfHosted');
    assert.equal(found.pooler, null);
    assert.ok(found.rights.superuser && found.rights.readsPasswords && found.lockRoom.sessions > 100);
    assert.deepEqual(
      judge('x', found).filter(each => each.level !== 'ok'),
      [],
    );
  });
}

test('a client older than the server is a fault, with its cure', { skip: serverLacks(19) }, async () => {
  const database = await freshDatabase(await server(19));
  const env = { TIDEMARK_PG_DUMP: `${DEBIAN_15}/pg_dump` };
  const client = of(judge('x', await inspect(database.url, undefined, env)), 'client')!;
  assert.equal(client.level, 'fault');
  assert.match(client.message, /no pg_dump can read a PostgreSQL 19 server: found 15\.\d+ \(/);
  assert.match(client.hint, /apt install postgresql-client-19/);
});

test('what a role may not read is named, and what a plan leaves out is not', async () => {
  const database = await freshDatabase(await server(16));
  await psql(database.url, [], SCHEMA);
  const found = await inspect(database.url, 'limited');
  const findings = judge('x', found);
  const denied = of(findings, 'read access')!;
  assert.equal(denied.level, 'fault');
  const named = ['closed.a', 'public.by_column', 'public.numbers', 'public."odd table"', 'public.parts'];
  for (const name of named) assert.ok(denied.message.includes(name), `${name}: ${denied.message}`);
  assert.ok(!denied.message.includes('guarded'));
  assert.match(denied.hint, /GRANT pg_read_all_data TO "limited"/);
  assert.match(of(findings, 'row-level security')!.message, /public\.guarded/);
  assert.match(of(findings, 'large objects')!.message, /1 large objects/);
  assert.match(of(findings, 'user mappings')!.message, /postgres on far, public on far/);
  assert.equal(of(findings, 'role passwords')!.level, 'warning');
  const wanted = { ...EVERYTHING, table: (schema: string) => schema !== 'public' };
  assert.equal(of(judge('x', found, wanted), 'row-level security')!.level, 'ok');
  assert.equal(of(judge('x', found, { ...wanted, rolePasswords: true }), 'role passwords')!.level, 'fault');

  const reader = judge('x', await inspect(database.url, 'reader'));
  assert.equal(of(reader, 'read access')!.level, 'ok');
  assert.equal(of(reader, 'row-level security')!.level, 'fault');
  assert.equal(of(reader, 'large objects')!.level, 'fault');
  await psql(database.url, ['-c', 'grant select on large object 4711 to blind']);
  const blind = judge('x', await inspect(database.url, 'blind'));
  assert.deepEqual(
    blind.filter(each => each.level === 'fault'),
    [],
  );
});

test('poolers, standbys, locks and versions are judged', async () => {
  const database = await freshDatabase(await server(17));
  const found = await inspect(database.url);
  const relations = Array.from({ length: 90 }, (_, i) => ({
    ...{ schema: 's', name: `t${i}`, kind: 'table' as const, obstacle: null },
  }));
  const odd: Inspection = {
    ...found,
    ...{ serverMajor: 20, inRecovery: true, relations, provider: supabase },
    rights: { ...found.rights, readsPasswords: false },
    lockRoom: { each: 1, sessions: 100, used: 1, beside: 0 },
    pooler: { pooler: 'port 6543 is a pooler', instead: 'port 5432' },
    pgDump: new TidemarkError('CLIENT_TOO_OLD', 'no pg_dump', 'install one'),
    warnings: ['~/.pgpass is open'],
  };
  const levels = Object.fromEntries(judge('x', odd).map(each => [each.check, each.level]));
  assert.deepEqual(levels, {
    connection: 'warning',
    version: 'warning',
    provider: 'ok',
    standby: 'warning',
    pooler: 'warning',
    'read access': 'ok',
    'row-level security': 'ok',
    'role passwords': 'ok',
    locks: 'fault',
    client: 'fault',
  });
  const refused = { ...odd, pooler: new TidemarkError('TRANSACTION_POOLER', 'a pooler', 'not that way') };
  assert.equal(of(judge('x', refused), 'pooler')!.level, 'fault');
});

test('settings of a provider tell it even behind a tunnel', async () => {
  const shared = await server(17);
  const database = await freshDatabase(shared);
  await psql(database.url, ['-c', `alter database "${database.name}" set neon.timeline_id = 'x'`]);
  assert.equal((await inspect(database.url)).provider.id, 'selfHosted', 'placeholders are no settings');
  await psql(database.url, ['-c', 'create schema heroku_ext']);
  assert.equal((await inspect(database.url)).provider.id, 'heroku');
});

test('an interruption ends it', async () => {
  const database = await freshDatabase(await server(17));
  const settings = await resolveSettings({ url: database.url }, {}, '/nonexistent');
  const reason = new TidemarkError('INTERRUPTED', 'interrupted', '');
  await assert.rejects(inspectDatabase(settings, process.env, AbortSignal.abort(reason)), reason);
});
