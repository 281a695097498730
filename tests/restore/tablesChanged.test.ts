/** Tables into a database that has changed since the snapshot: refused before anything is done, or what differs is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backedUp } from '../support/backedUp.ts';

test('what has become another kind of thing, or lost its name, is refused and named', async t => {
  const { site, snapshot, sql, dump } = await backedUp(
    t,
    `
    create table parted(id int, v text); insert into parted select g, 'x' from generate_series(1, 5) g;
    create table viewed(id int); create table numbers(id int); create view seen as select 1 as one;
    create sequence counter; create materialized view sums as select 1 as one;
    create table indexed(id int); create table owner_of(id int); create index on owner_of(id);
    create table people(id serial primary key, v text); insert into people(v) values ('a');
    create table tree(id int) partition by range (id);
    create table tree_1 partition of tree for values from (0) to (10) partition by range (id);
    create table tree_1_1 partition of tree_1 for values from (0) to (5);
    create table tree_2 partition of tree for values from (10) to (20); insert into tree values (1), (11);`,
  );
  await sql(`
    alter table parted rename to old; create table parted(id int, v text) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (100); insert into parted select * from old;
    drop table viewed, numbers, indexed; create view viewed as select 1 as id; create sequence numbers;
    create index indexed on owner_of (id);
    drop view seen; create table seen(one int); drop sequence counter; create table counter(a int);
    drop materialized view sums; create table sums(one int);
    alter table people rename to people_old; insert into people_old(v) values ('b');
    alter table tree detach partition tree_1; insert into tree_1 values (2)`);
  const before = await dump();
  const cases: [name: string, said: RegExp][] = [
    ['parted', /TARGET_OTHER_KIND/],
    ['viewed', /public.viewed is a view in the target, and a table in the snapshot/],
    ['numbers', /is a sequence in the target/],
    ['indexed', /is an? index in the target/],
    ['seen', /is a table in the target, and a view in the snapshot/],
    ['counter', /and a sequence in the snapshot/],
    ['sums', /and a materialized view in the snapshot/],
    [
      'people',
      /public.people_id_seq, sequence of public.people_old; public.people_pkey, index of .*NAMES_TAKEN/,
    ],
    ['tree', /public.tree_1 is a partition of public.tree in the snapshot.*PARTITION_DETACHED/],
  ];
  for (const [name, said] of cases) {
    const failed = await site.run('restore', snapshot, '--in-place', '--yes', '--table', name);
    assert.equal(failed.code, 1, `${name}: ${failed.stderr}`);
    assert.match(failed.stderr, said);
  }
  const rows = await site.run('restore', snapshot, '--in-place', '--yes', '--data-only', '--table', 'parted');
  assert.match(rows.stderr, /TARGET_OTHER_KIND/);
  assert.equal(await dump(), before);
  const { notes } = await site.json<{ notes: string[] }>(
    ...['restore', snapshot, '--in-place', '--yes', '--table', 'tree*'],
  );
  assert.match(
    notes.join('\n'),
    /tree_1 is no partition of public.tree any more.*ATTACH PARTITION public.tree_1/,
  );
  assert.equal(await sql("select string_agg(id::text, ',') from tree_1"), '1\n');
});

const SHOP = `
  create type mood as enum ('sad', 'ok'); create function one() returns int language sql as 'select 1';
  create table lossy(id int, price numeric(10, 2), twice int generated always as (id * 2) stored, at timestamptz);
  insert into lossy(id, price, at) values (1, 1.25, '2026-01-01 12:00+00');
  create table plain(id int); insert into plain values (1);
  create table typed(m mood, n int default one()); insert into typed values ('ok');
  create table parent(id int primary key); insert into parent values (1);
  create table child(id int, p int references parent); insert into child values (1, 1);
  create table x(id serial primary key); insert into x default values;
  create table y(id int default nextval('x_id_seq'), whole x); create function f(x) returns int immutable language sql as 'select 1';
  create index y_f on y (f(whole));
  create table given(id serial); create table renamed(id int generated always as identity); insert into renamed default values;`;

/** What changes, what is restored then, and what has to be said. */
const CHANGES: [change: string, tables: string[], said: RegExp[]][] = [
  [
    'alter table lossy alter price type numeric(10, 0), alter twice drop expression, alter at type date, add more int',
    ['lossy'],
    [
      /TABLE public.lossy is not as in .*has price numeric\(10,2\).*GENERATED.*target has price numeric\(10,0\)/,
    ],
  ],
  [
    "drop table typed; alter type mood rename value 'sad' to 'low'; create or replace function one() returns int language sql as 'select 2'",
    ['typed'],
    [
      /TYPE public.mood is not as in the snapshot.*'sad'.*'low'/,
      /FUNCTION public.one\(\).*select 1.*select 2/,
    ],
  ],
  [
    'drop table child, parent',
    ['child'],
    [/child_p_fkey is left out: public.parent is not there; .*ADD CONSTRAINT child_p_fkey/s],
  ],
  [
    'drop table x cascade',
    ['x'],
    [
      /FUNCTION public.f\(public.x\) .*made again/,
      /INDEX public.y_f is missing and can't be made/,
      /TABLE public.y is not as .*nextval.*whole public.x/,
    ],
  ],
  [
    'alter table given alter id drop default; drop sequence given_id_seq; alter sequence renamed_id_seq rename to other',
    ['given', 'renamed'],
    [
      /sequence public.given_id_seq of public.given is not there.*setval/,
      /sequence public.renamed_id_seq of/,
    ],
  ],
];

test('what is otherwise than in the snapshot, and stays so, is said', async t => {
  const { tables, sql, url, site, snapshot } = await backedUp(t, SHOP);
  assert.deepEqual(await tables('plain'), []);
  for (const [change, names, said] of CHANGES) {
    await sql(change);
    const notes = await tables(...names);
    for (const each of said) assert.match(notes.join('\n'), each);
  }
  assert.equal(await sql("select to_regclass('given_id_seq')"), '\n');
  await sql('drop table child');
  const { notes } = await site.json<{ notes: string[] }>(
    ...['restore', snapshot, '--to', url, '--yes', '--table', 'child'],
  );
  assert.match(notes.join('\n'), /child_p_fkey is left out/);
});

test('a sequence is not set back behind tables that are not restored, and is set for a partitioned one', async t => {
  const { tables, sql } = await backedUp(
    t,
    `
    create table a(id serial primary key); create table b(id int primary key default nextval('a_id_seq'));
    insert into a default values; insert into b default values;
    create table down(id int default 0); create sequence down_seq increment -1 owned by down.id;
    create table down_too(id int default nextval('down_seq'));
    create table tree(id int generated always as identity, n serial, k int) partition by range (k);
    create table tree_1 partition of tree for values from (0) to (10); insert into tree(k) values (1), (2);`,
  );
  await sql(
    "insert into b select from generate_series(1, 5); select nextval('down_seq'); truncate tree restart identity",
  );
  const notes = await tables('a', 'down', 'tree');
  assert.match(
    notes.join('\n'),
    /a_id_seq is left out: public.b takes numbers from it too, so it stays at 7/,
  );
  assert.match(notes.join('\n'), /down_seq is left out/);
  assert.equal(await sql('insert into b default values returning id'), '8\n');
  assert.equal(await sql('insert into tree(k) values (3) returning id, n'), '3|3\n');
  assert.deepEqual(await tables('a', 'b'), []);
  assert.equal(await sql('insert into a default values returning id'), '3\n');
});
