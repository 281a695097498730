/** Names in encodings other than UTF-8: text wherever they come, and the same bytes again in a database. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, pgDumpText, psql, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

interface Names {
  encoding: string;
  schema: string;
  table: string;
  other: string;
  column: string;
  type: string;
  value: string;
}

const CASES: Names[] = [
  ...['WIN1251', 'KOI8R', 'ISO_8859_5'].map(encoding =>
    names(encoding, 'схема', 'Журнал', 'товары', 'имя', 'вид', 'да'),
  ),
  names('EUC_JP', '倉庫', '配送', '商品', '名前', '種類', '東京'),
  names('EUC_KR', '창고', '배송', '상품', '이름', '종류', '서울'),
  names('LATIN1', 'schéma', 'Tâble', 'câfé', 'spalté', 'zustände', 'äöü'),
  names('LATIN9', 'schéma€', 'Tâble', 'Œuvre', 'spalté', 'zustände', '€'),
];

function names(
  encoding: string,
  schema: string,
  table: string,
  other: string,
  column: string,
  type: string,
  value: string,
): Names {
  return { encoding, schema, table, other, column, type, value };
}

function fixture({ schema, table, other, column, type, value }: Names): string {
  return `set client_encoding = 'UTF8';
    create schema "${schema}";
    create type "${schema}"."${type}" as enum ('${value}', 'x');
    create table "${schema}"."${table}" ("${column}" text, kind "${schema}"."${type}" default '${value}');
    insert into "${schema}"."${table}" ("${column}") select '${value} ' || i from generate_series(1, 10) i;
    create table "${schema}"."${other}" (id serial constraint "${column}_pk" primary key, "${column}" text,
      up int constraint "${column}_fk" references "${schema}"."${other}", constraint "${column}_ck" check ("${column}" <> ''));
    comment on constraint "${column}_fk" on "${schema}"."${other}" is '${value}';
    insert into "${schema}"."${other}" ("${column}", up) select '${value}', 1 from generate_series(1, 5) i;
    create view "${schema}"."v ${table}" as select "${column}" from "${schema}"."${table}";`;
}

async function stage(
  t: TestContext,
  encoding: string,
  sql: string,
): Promise<{ database: Database; site: Site }> {
  const database = await freshDatabase(await server(15), undefined, { encoding, locale: 'C' });
  await psql(database.url, [], sql);
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  return { database, site };
}

const dumpOf = ({ url }: Database) => pgDumpText(url, ['-E', 'UTF8']);

for (const each of CASES) {
  const { encoding, schema, table, other, column } = each;
  test(`${encoding}: rows replace rows, whatever a table is called`, async t => {
    const { database, site } = await stage(t, encoding, fixture(each));
    const before = await dumpOf(database);
    const [snapshot] = await snapshots(site);
    const whole = ['restore', snapshot!, '--in-place', '--yes'];
    await psql(
      database.url,
      [],
      `set client_encoding = 'UTF8'; delete from "${schema}"."${table}" where "${column}" like '%1%'`,
    );
    const restored = await site.json<{ tables: { name: string; rows: number }[]; notes: string[] }>(
      ...[...whole, '--table', `"${schema}"."${table}"`],
    );
    assert.deepEqual(restored.tables, [{ name: `${schema}.${table}`, rows: 10 }]);
    assert.deepEqual(restored.notes, []);
    assert.equal(await dumpOf(database), before);
    await site.json(...whole, '--table', `"${schema}".*`);
    assert.equal(await dumpOf(database), before);
    await site.json(...whole, '--data-only');
    assert.equal(await dumpOf(database), before);
    const gone = `set client_encoding = 'UTF8'; drop table "${schema}"."${table}" cascade`;
    await psql(database.url, [], gone);
    const { notes } = await site.json<{ notes: string[] }>(...whole, '--table', `*."${table}"`);
    assert.deepEqual(notes, [
      `VIEW "${schema}"."v ${table}" depends on ${table} and was missing: it is made again`,
      `there already, and kept as it is: TYPE ${schema}.${each.type}`,
    ]);
    assert.equal(await dumpOf(database), before);
  });

  test(`${encoding}: names are read as text by show, export and restores`, async t => {
    const { database, site } = await stage(t, encoding, fixture(each));
    const { tables } = await site.json<{ tables: { schema: string; name: string }[] }>('show', 'shop');
    assert.deepEqual(
      new Set(tables.map(one => `${one.schema}.${one.name}`)),
      new Set([`${schema}.${table}`, `${schema}.${other}`]),
    );
    const shown = await site.run('show', 'shop');
    assert.ok(
      shown.stdout.includes(`"${schema}"."${table}"`) || shown.stdout.includes(`"${schema}".${table}`),
      shown.stdout,
    );
    const file = join(site.folder, 'one.sql');
    await site.json(
      'export',
      'shop',
      '--format',
      'plain',
      '--table',
      `"${schema}"."${table}"`,
      '--output',
      file,
    );
    const bytes = await readFile(file);
    assert.ok(bytes.includes(`SET client_encoding = '${encoding}'`));
    const into = await freshDatabase(await server(15));
    await psql(into.url, ['-f', file]);
    const rows = await query<{ n: string }>(into.url, `select count(*) as n from "${schema}"."${table}"`);
    assert.equal(Number(rows[0]!.n), 10);
    await site.json('restore', 'shop', '--in-place', '--table', `"${other}"`, '--as', `${table}2`);
    const copy = await query<{ n: string }>(
      database.url,
      `select count("${column}") as n from "${schema}"."${table}2"`,
    );
    assert.equal(Number(copy[0]!.n), 5);
    const wrong = await site.run('restore', 'shop', '--in-place', '--yes', '--table', `${schema}.nothing`);
    assert.equal(wrong.code, 2);
    assert.ok(wrong.stderr.includes(`${schema}.nothing`), wrong.stderr);
    const partial = await site.json<{ snapshot: string }>(
      'backup',
      'shop',
      '--table',
      `"${schema}"."${table}"`,
    );
    const part = await site.json<{ counts: { tables: number } }>('show', partial.snapshot);
    assert.equal(part.counts.tables, 1);
    const rest = await site.json<{ snapshot: string }>('backup', 'shop', '--exclude-table', `"${table}"`);
    const shownRest = await site.json<{ tables: { name: string }[] }>('show', rest.snapshot);
    assert.deepEqual(new Set(shownRest.tables.map(one => one.name)), new Set([other, `${table}2`]));
  });
}

test('a whole database in another encoding comes back as it was', async t => {
  const each = CASES[0]!;
  const { database, site } = await stage(t, each.encoding, fixture(each));
  const name = `${database.name}_new`;
  await site.json('restore', 'shop', '--new', name);
  assert.equal(await dumpOf({ ...database, url: (await server(15)).url(name) }), await dumpOf(database));
});

test('into a database of another encoding, names are converted by the server', async t => {
  const each = CASES[3]!;
  const { database, site } = await stage(t, each.encoding, fixture(each));
  const target = await freshDatabase(await server(15));
  await psql(target.url, [], 'create table keep (a int)');
  for (const times of [1, 2]) {
    await site.json(
      'restore',
      'shop',
      '--to',
      target.url,
      '--yes',
      '--table',
      `"${each.schema}"."${each.table}"`,
    );
    const [row] = await query<{ n: string }>(
      target.url,
      `select count(*) as n from "${each.schema}"."${each.table}"`,
    );
    assert.equal(Number(row!.n), 10, `after ${times}`);
  }
  assert.ok(database.name);
});

test('SQL_ASCII: names and rows come back byte for byte', async t => {
  const sql = `create table "naïve 表" (a text); create table "Plain" (b int); insert into "Plain" values (1);
    insert into "naïve 表" values (convert_from('\\xe9ff41', 'SQL_ASCII')), ('b')`;
  const { database, site } = await stage(t, 'SQL_ASCII', sql);
  const sum = `select string_agg(encode(a::bytea, 'hex'), ',' order by a) from "naïve 表"`;
  const before = await psql(database.url, ['-At', '-c', sum]);
  const restore = ['restore', (await snapshots(site))[0]!, '--in-place', '--yes'];
  await site.json(...restore, '--table', 'na?ve*');
  assert.equal(await psql(database.url, ['-At', '-c', sum]), before);
  await site.json(...restore, '--data-only');
  assert.equal(await psql(database.url, ['-At', '-c', sum]), before);
  await psql(database.url, ['-c', 'drop table "naïve 表"']);
  await site.json(...restore, '--table', 'na*', '--table', '"Plain"');
  assert.equal(await psql(database.url, ['-At', '-c', sum]), before);
});

// И is D0 98 in UTF-8, and 98 is nothing in WIN1251; ô alone is no UTF-8.
for (const [encoding, role, writtenIn] of [
  ['WIN1251', 'Иван', 'UTF8'],
  ['LATIN1', 'rôle', 'LATIN1'],
] as const) {
  test(`roles have the names that ${writtenIn} gave them, and own a database in ${encoding}`, async t => {
    const sql = `create table t (a text); insert into t values ('a')`;
    const on = await server(15);
    const maker = await freshDatabase(on, undefined, { encoding: writtenIn, locale: 'C' });
    await query(maker.url, `create role "${role}"; create role member_${writtenIn} in role "${role}"`);
    const { database, site } = await stage(t, encoding, sql);
    t.after(async () => {
      for (const each of [database.name, `${database.name}_new`])
        await query(on.url(), `drop database ${each}`);
      await query(maker.url, `drop role "${role}", member_${writtenIn}`);
    });
    await query(
      maker.url,
      `alter database ${database.name} owner to "${role}"; grant connect on database ${database.name} to "${role}" with grant option;
       alter role "${role}" in database ${database.name} set work_mem = '5MB'; comment on database ${database.name} is '${role}'`,
    );
    const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop');
    const shown = await site.json<{ roles: { name: string }[] }>('show', snapshot);
    assert.ok(shown.roles.some(({ name }) => name === role));
    const facts =
      "select encode(textsend(r.rolname::text || d.datacl::text || array_agg(s.setrole::regrole::text)::text || shobj_description(d.oid, 'pg_database')), 'hex') as facts from pg_database d join pg_roles r on r.oid = datdba join pg_db_role_setting s on s.setdatabase = d.oid where datname = current_database() group by r.rolname, d.datacl, d.oid";
    const own = async (name: string) =>
      psql(on.url(name), ['-At', '-c', `set client_encoding = ${encoding}; ${facts}`]);
    const before = await own(database.name);
    assert.ok(before.length > 20);
    await site.json('restore', 'shop', '--new', `${database.name}_new`);
    assert.equal(await own(`${database.name}_new`), before);
    await site.json('restore', 'shop', '--in-place', '--yes');
    assert.equal(await own(database.name), before);
  });
}

async function snapshots(site: Site): Promise<string[]> {
  const { snapshots: listed } = await site.json<{ snapshots: { snapshot: string }[] }>('list', 'shop');
  return listed.map(each => each.snapshot);
}
