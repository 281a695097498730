/**
 * Every pg_dump that can be a capture's client, on servers of its version and older ones. What Tidemark makes of its
 * snapshots is judged by the stock programs: a restore equals theirs, and they load the exports.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { installedPgDumps } from '../../src/postgres/pgDump/tool.ts';
import { makeSite, type Site } from '../support/cli.ts';
import {
  clientTool,
  type Database,
  freshDatabase,
  pgDumpText,
  query,
  withoutInternalOptions,
} from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import {
  type ClientMajor,
  clientPrograms,
  DEBIAN_15,
  debianLacks,
  type Major,
  server,
  serverLacks,
} from '../support/servers.ts';
import { loadZoo, loadZooGlobals, UNORDERED_TABLES } from '../support/zoo.ts';

interface Case {
  from: Major;
  /** Whose pg_dump captures; the one that comes with tidemark where it is not said. */
  client?: ClientMajor;
  /** What pg_dump 18 says of an older server, stock pg_restore can't always give back to a server as old. */
  to: Major;
  /** Whose pg_dump, pg_restore and psql judge. */
  stock: ClientMajor;
  /** Whether the exports are loaded too, which takes longest. */
  exports?: boolean;
}

const CASES: Case[] = [
  { from: 16, client: 17, to: 16, stock: 17 },
  { from: 17, client: 17, to: 17, stock: 17, exports: true },
  { from: 17, client: 18, to: 18, stock: 18 },
  { from: 17, to: 19, stock: 19, exports: true },
  { from: 18, client: 18, to: 18, stock: 18, exports: true },
  { from: 18, to: 18, stock: 19, exports: true },
  { from: 15, client: 19, to: 19, stock: 19 },
  { from: 19, client: 19, to: 19, stock: 19, exports: true },
];

/** What the stock programs complain of themselves. */
const COMPLAINTS: [complaint: RegExp, servers: Major[]][] = [
  [/unrecognized configuration parameter "transaction_timeout"/, [15, 16]],
  [/compression method lz4 not supported/, [18]],
  [/cannot attach index "parted_of_17_\w+" as a partition of index "no_clash"/, [17, 18, 19]],
];
const EXCEPT_UNORDERED = UNORDERED_TABLES.flatMap(pattern => ['--exclude-table-data', pattern]);

interface Captured {
  site: Site;
  source: Database;
  /** What pg_dump says of the database that the stock programs restored. */
  expected: string;
}

const zoos = new Map<Major, Promise<Database>>();
const sites: Site[] = [];
after(() => Promise.all(sites.map(site => site.remove())));
let databases = 0;

function zooOf(major: Major): Promise<Database> {
  let zoo = zoos.get(major);
  if (!zoo) {
    zoo = (async () => {
      const database = await freshDatabase(await server(major), 'a "zoo"');
      await loadZoo(database.url);
      return database;
    })();
    zoos.set(major, zoo);
  }
  return zoo;
}

async function emptyDatabase({ to }: Case): Promise<Database> {
  const target = await server(to);
  await loadZooGlobals(target.url());
  return freshDatabase(target, `copy ${++databases}`, { encoding: 'UTF8', locale: 'C' });
}

const allowedOn = ({ to }: Case): RegExp[] =>
  COMPLAINTS.filter(([, servers]) => servers.includes(to)).map(([complaint]) => complaint);

const textOf = ({ stock }: Case, url: string): Promise<string> => pgDumpText(url, EXCEPT_UNORDERED, stock);

async function capture(given: Case): Promise<Captured> {
  const { from, client, stock } = given;
  const source = await zooOf(from);
  const env: Record<string, string> = client
    ? { TIDEMARK_PG_DUMP: join(clientPrograms(client), 'pg_dump') }
    : {};
  const site = await makeSite({ zoo: source.url }, '', [], env);
  sites.push(site);
  await site.json('backup', 'zoo');
  const dump = join(site.folder, 'stock.dump');
  await clientTool('pg_dump', ['-Fc', '-Z0', '-d', source.url, '-f', dump], { major: stock });
  const script = await clientTool('pg_restore', ['-f', '-', dump], { major: stock });
  await writeFile(dump, withoutInternalOptions(script));
  const restored = await emptyDatabase(given);
  await psqlScript(given, restored, dump);
  return { site, source, expected: await textOf(given, restored.url) };
}

function psqlScript(given: Case, into: Database, file: string): Promise<string> {
  const options = { major: given.stock, allowed: allowedOn(given) };
  return clientTool('psql', ['-Xq', '-d', into.url, '-f', file], options);
}

function pgRestore(given: Case, into: Database, args: string[]): Promise<string> {
  const options = { major: given.stock, allowed: allowedOn(given) };
  return clientTool('pg_restore', ['-d', into.url, ...args], options);
}

/** A pg_dump that is installed and as new goes before the one that comes with tidemark. */
const installed = await installedPgDumps({ PATH: DEBIAN_15 });
const hidden = (major: Major) =>
  installed.some(tool => tool.major >= major) && `a pg_dump for PostgreSQL ${major} is installed`;

for (const given of CASES) {
  const { from, client, to, stock } = given;
  const name = `PostgreSQL ${from} to ${to} by ${client ? `pg_dump ${client}` : 'the WebAssembly pg_dump'}`;
  const skip = serverLacks(from, to) || debianLacks(client ?? 0, stock) || (!client && hidden(from));
  let shared: Promise<Captured> | undefined;
  const captured = (): Promise<Captured> => {
    shared ??= capture(given);
    return shared;
  };

  test(`${name}: a restore equals that of pg_restore ${stock}`, { skip }, async () => {
    const { site, expected } = await captured();
    const into = await emptyDatabase(given);
    await site.json('restore', 'zoo', '--to', into.url);
    assert.equal(difference(expected, await textOf(given, into.url)), '');
  });

  if (!given.exports) continue;
  test(`${name}: pg_restore and psql ${stock} load the exports`, { skip }, async () => {
    const { site, source, expected } = await captured();
    const at = (file: string): string => join(site.folder, file);
    for (const format of ['custom', 'directory', 'plain'])
      await site.json('export', 'zoo', '--format', format, '-o', at(format));
    const list = await clientTool('pg_restore', ['-l', at('custom')], { major: stock });
    assert.match(list, new RegExp(`Dumped by pg_dump version: ${client ?? 18}(?!\\d)`));
    await writeFile(at('list'), list);
    const byList = await emptyDatabase(given);
    await pgRestore(given, byList, ['-L', at('list'), at('custom')]);
    assert.equal(difference(expected, await textOf(given, byList.url)), '');
    const bySection = await emptyDatabase(given);
    for (const step of await sections(list, at))
      await pgRestore(given, bySection, [...step, at('directory')]);
    assert.equal(difference(expected, await textOf(given, bySection.url)), '');
    const byPsql = await emptyDatabase(given);
    await psqlScript(given, byPsql, at('plain'));
    assert.equal(difference(expected, await textOf(given, byPsql.url)), '');
    await loadsParts(given, source, at);
  });
}

test('a server newer than the pg_dump that is there: no snapshot, and the cure', {
  skip: debianLacks(18, 19),
}, async () => {
  const source = await freshDatabase(await server(19));
  const env = { TIDEMARK_PG_DUMP: join(clientPrograms(18), 'pg_dump') };
  const site = await makeSite({ shop: source.url }, '', [], env);
  sites.push(site);
  const { code, stderr } = await site.run('backup', 'shop');
  assert.equal(code, 1);
  assert.match(stderr, /no pg_dump can read a PostgreSQL 19 server: found 18\.\d+ \(.*\[CLIENT_TOO_OLD\]/);
  assert.match(stderr, /install its client \(apt install postgresql-client-19/);
  assert.deepEqual((await site.json<{ snapshots: unknown[] }>('list')).snapshots, []);
});

/** PostgreSQL 19 reads no literals with escapes, which a database of an older server may prefer. */
const ESCAPES = String.raw`
  set standard_conforming_strings = off;
  set escape_string_warning = off;
  create table t (a text default 'x\\y''z', b text check (b <> 'q\\'), c text);
  comment on table t is 'back\\slash\nand line';
  create view v as select 'a\\b'::text as x, a from t where a <> '\\';
  create type e as enum ('l\\m');
  insert into t values (default, 'b', 'c\\d');`;

for (const from of [15, 18] as const) {
  test(`definitions with escapes, of PostgreSQL ${from}, are restored on 19`, {
    skip: serverLacks(19) || (from === 18 && hidden(from)),
  }, async () => {
    const source = await freshDatabase(await server(from), 'escapes');
    await query(source.url, 'alter database escapes set standard_conforming_strings = off');
    await query(source.url, ESCAPES);
    const site = await makeSite({ db: source.url });
    sites.push(site);
    await site.json('backup', 'db');
    const into = await freshDatabase(await server(19));
    const { notes } = await site.json<{ notes: string[] }>('restore', 'db', '--to', into.url);
    assert.equal(notes.length, 1);
    assert.match(notes[0]!, /^left out of the database's own: setting standard_conforming_strings: /);
    const look = `select t.*, v.x, obj_description('t'::regclass) as said, enum_range(null::e)::text as labels from t, v`;
    assert.deepEqual(await query(into.url, look), [
      { a: "x\\y'z", b: 'b', c: 'c\\d', x: 'a\\b', said: 'back\\slash\nand line', labels: '{"l\\\\m"}' },
    ]);
    await site.json('restore', 'db', '--new', 'escapes again');
    const seen = [
      await fingerprint(source.url),
      await fingerprint((await server(from)).url('escapes again')),
    ];
    assert.equal(difference(seen[0]!, seen[1]!), '');
  });
}

for (const client of [17, 18, undefined] as const) {
  const whose = client ? `pg_dump ${client}` : 'the WebAssembly pg_dump';
  test(`what a server keeps in its columns' options for itself, by ${whose}: in no definition, and in no note`, {
    skip: debianLacks(17, 18) || (!client && hidden(17)),
  }, async () => {
    const source = await freshDatabase(await server(17));
    await query(
      source.url,
      'create table t (a integer, b text); alter table t alter a set (n_distinct = 5); create materialized view m as select * from t; insert into t values (1)',
    );
    const env: Record<string, string> = client
      ? { TIDEMARK_PG_DUMP: join(clientPrograms(client), 'pg_dump') }
      : {};
    const site = await makeSite({ db: source.url }, '', [], env);
    sites.push(site);
    await site.json('backup', 'db');
    const options =
      "select attname, attoptions::text from pg_attribute where attrelid = 't'::regclass and attnum > 0";
    for (const to of [15, 16, 18] as const) {
      const into = await freshDatabase(await server(to));
      const { notes } = await site.json<{ notes: string[] }>('restore', 'db', '--to', into.url);
      assert.deepEqual(notes, []);
      const [first] = await query<{ attoptions: string }>(into.url, options);
      assert.match(first!.attoptions, /n_distinct=5/);
    }
    const file = join(site.folder, 'custom');
    await site.json('export', 'db', '--format', 'custom', '-o', file);
    const exported = await freshDatabase(await server(18));
    await clientTool('pg_restore', ['--exit-on-error', '-d', exported.url, file], { major: 18 });
    assert.doesNotMatch(await clientTool('pg_restore', ['-f', '-', file], { major: 18 }), /pg_attver/);
  });
}

/**
 * The sections one after another, in two jobs; but an extension's rows, whose tables have their foreign keys already, in
 * one: pg_dump notes no order for them.
 */
async function sections(list: string, at: (file: string) => string): Promise<string[][]> {
  const isExtensions = (line: string): boolean => / TABLE DATA zoo_config /.test(line);
  const lines = list.split('\n');
  await writeFile(at('rows'), lines.filter(line => !isExtensions(line)).join('\n'));
  await writeFile(at('extension-rows'), lines.filter(isExtensions).join('\n'));
  return [
    ['--section=pre-data', '-j', '2'],
    ['--section=data', '-j', '2', '-L', at('rows')],
    ['--section=data', '-L', at('extension-rows')],
    ['--section=post-data', '-j', '2'],
  ];
}

/** -t and -n, which take the bare table, or a schema without what it needs. */
async function loadsParts(given: Case, source: Database, at: (file: string) => string): Promise<void> {
  const into = await emptyDatabase(given);
  await query(into.url, 'create schema zoo; create schema "línea\nnueva"');
  await pgRestore(given, into, ['-t', 'many', at('custom')]);
  await pgRestore(given, into, ['-n', 'línea\nnueva', at('directory')]);
  for (const table of ['zoo.many', `"línea\nnueva"."table\n-- of lines; drop table x"`]) {
    const rows = `select * from ${table} order by 1`;
    assert.deepEqual(await query(into.url, rows), await query(source.url, rows), table);
  }
}
