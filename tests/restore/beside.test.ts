/** restore --as: a table under another name, beside what is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backedUp } from '../support/backedUp.ts';

const TABLES = `
  create schema "My App";
  create type "My App".st as enum ('a', 'b');
  create function "My App".dbl(int) returns int language sql immutable as $$ select $1 * 2 $$;
  create table "My App"."Orders"(id serial primary key, a int generated always as identity (start 5), s "My App".st default 'a' not null,
    v int not null constraint pos check (v > 0) no inherit, g int generated always as ("My App".dbl(v)) stored,
    vt text default E'x\\nINHERITS (y)\\nPARTITION BY z', self int references "My App"."Orders", constraint "CHECK me" check (vt <> 'CONSTRAINT foo CHECK (1)'),
    dashes text default '-- no; comment', arr int[] default '{1,2}', n numeric(10,2));
  insert into "My App"."Orders"(v, self) select g, 1 from generate_series(1, 20) g;
  create table base(x int not null, y text, constraint own check (x < 100) no inherit, constraint all_of check (y <> ''));
  create table mid(m int default 7) inherits (base); create table kid(z int) inherits (mid); insert into kid values (1, 'a', 3, 2);
  alter table kid alter y set default 'kid'; insert into base values (5, 'base');
  create table pt(k int, v text, c int generated always as (k + 1) stored) partition by range (k);
  create table pt_1 partition of pt for values from (0) to (10); create table pt_2(v text, k int, c int generated always as (k + 1) stored); alter table pt attach partition pt_2 for values from (10) to (20);
  insert into pt values (1, 'x'), (11, 'y');
  create unlogged table ul(a int, constraint nn check (a is not null)) with (fillfactor = 70); insert into ul values (1);
  create table wr(a int, t text, constraint row_there check (wr is not null)); insert into wr values (1, 'x');
  create type shape as (w int, h int); create table typed of shape (primary key (w)); insert into typed values (1, 2);
  alter table base alter y set storage external; alter table wr alter t set compression pglz;
  create view v as select 1 as one;`;

test('--as makes a table with all columns and rows, whatever its definition holds', async t => {
  const { site, sql, snapshot, dump } = await backedUp(t, TABLES);
  const before = await dump();
  const as = (table: string, name: string) =>
    site.json('restore', snapshot, '--in-place', '--table', table, '--as', name);
  const cases: [table: string, name: string, copy: string][] = [
    ['"My App"."Orders"', 'Orders "then"', '"My App"."Orders ""then"""'],
    ['kid', 'kid then', '"kid then"'],
    ['base', 'select', '"select"'],
    ['pt', 'pt_then', 'pt_then'],
    ['pt_1', 'pt_1_then', 'pt_1_then'],
    ['ul', 'ul_then', 'ul_then'],
    ['wr', 'wr_then', 'wr_then'],
    ['typed', 'typed_then', 'typed_then'],
  ];
  for (const [table, name, copy] of cases) {
    await as(table, name);
    const from = table === 'base' ? 'only base' : table;
    assert.equal(
      await sql(`select to_jsonb(t) from ${copy} t order by 1`),
      await sql(`select to_jsonb(t) from ${from} t order by 1`),
      table,
    );
  }
  const columns = (table: string) =>
    sql(`select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || attnotnull || attgenerated::text || attstorage::text || attcompression::text || coalesce(case when attname <> 'id' then pg_get_expr(adbin, adrelid) end, ''), E'\\n' order by attnum)
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = '${table}'::regclass and attnum > 0`);
  for (const [table, , copy] of cases) assert.equal(await columns(copy), await columns(table), table);
  const checks = (table: string) =>
    sql(
      `select string_agg(conname || ' ' || connoinherit, ',' order by conname) from pg_constraint where contype = 'c' and conrelid = '${table}'::regclass`,
    );
  for (const [table, , copy] of cases) assert.equal(await checks(copy), await checks(table), table);
  assert.equal(
    await sql("select relpersistence, reloptions from pg_class where relname = 'ul_then'"),
    'u|{fillfactor=70}\n',
  );
  await sql(cases.map(([, , copy]) => `drop table ${copy}`).join(';'));
  assert.equal(await dump(), before);
});

test('--as refuses names that are taken, too long, its own or qualified, and what is no table', async t => {
  const { site, snapshot, dump } = await backedUp(t, TABLES);
  const before = await dump();
  const cases: [table: string, name: string, code: RegExp][] = [
    ['ul', 'base', /BESIDE_EXISTS/],
    ['ul', 'ul', /BESIDE_NAME/],
    ['ul', '"ul"', /BESIDE_NAME/],
    ['ul', 'x'.repeat(64), /BESIDE_NAME.*|64 bytes/],
    ['ul', 'ä'.repeat(32), /64 bytes/],
    ['ul', 'public.copy', /names a schema/],
    ['v', 'v_then', /BESIDE_UNSUPPORTED/],
    ['(ul|base)', 'two', /BESIDE_ONE_TABLE/],
  ];
  for (const [table, name, code] of cases) {
    const refused = await site.run('restore', snapshot, '--in-place', '--table', table, '--as', name);
    assert.equal(refused.code, 2, `${table} as ${name}: ${refused.stderr}`);
    assert.match(refused.stderr, code);
  }
  assert.equal(await dump(), before);
  await site.json('restore', snapshot, '--in-place', '--table', 'ul', '--as', '"a.b"');
  await site.json('restore', snapshot, '--in-place', '--table', 'ul', '--as', 'x'.repeat(63));
});
