/** Tables into a database in use: only what was named is touched, and all that belongs to it comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { backedUp } from '../support/backedUp.ts';
import { freshDatabase, pgDumpText, psql, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const KEYS = `
  create table plans(id int primary key, name text);
  insert into plans select g, 'p' || g from generate_series(1, 5) g;
  create table users(id int primary key, plan int, constraint users_plan_fk foreign key (plan) references plans on delete cascade deferrable initially deferred);
  comment on constraint users_plan_fk on users is 'see ticket 42';
  insert into users select g, 1 + g % 5 from generate_series(1, 20) g;
  create table imports(id int primary key, plan int);
  insert into imports values (1, 1), (2, 77);
  alter table imports add constraint imports_plan_fk foreign key (plan) references plans not valid;
  alter table imports add constraint positive check (plan < 50) not valid;
  comment on constraint positive on imports is 'old rows break it';
  create table legacy(id int primary key, plan int references plans);
  alter table legacy disable trigger all;
  insert into legacy values (1, 99);
  create function touch() returns trigger language plpgsql as $$ begin raise exception 'fired'; end $$;
  create trigger a_always before insert on users for each row execute function touch(); alter table users enable always trigger a_always;
  create trigger b_replica before insert on users for each row execute function touch(); alter table users enable replica trigger b_replica;
  create trigger c_off before insert on users for each row execute function touch(); alter table users disable trigger c_off;
  create constraint trigger d_con after insert on users deferrable initially deferred for each row execute function touch();`;

const TRIGGERS = `select string_agg(c.conname || ' ' || t.tgtype || t.tgenabled::text, ',' order by c.conname, t.tgtype, t.tgenabled)
  from pg_trigger t join pg_constraint c on c.oid = t.tgconstraint`;

test('keys, remarks, states of triggers and constraints that were never valid stay what they are', async t => {
  const { tables, sql, dump } = await backedUp(t, KEYS);
  const [before, triggers] = [await dump(), await sql(TRIGGERS)];
  for (const names of [
    ['plans'],
    ['users'],
    ['imports'],
    ['legacy'],
    ['plans', 'users', 'legacy'],
    ['public.*'],
  ]) {
    if (['plans', 'public.*'].includes(names[0]!))
      await sql("update plans set name = 'changed' where id = 2");
    const notes = await tables(...names);
    assert.equal(await dump(), before, names.join());
    assert.equal(await sql(TRIGGERS), triggers, names.join());
    assert.equal(
      notes.some(note => /left out|missing/.test(note)),
      false,
      notes.join('\n'),
    );
  }
});

test('schema only, then rows only: rows that break a constraint that was never valid come too', async t => {
  const { site, dump } = await backedUp(
    t,
    `${KEYS}
    create domain small as int; create table d (s small); insert into d values (1000);
    alter domain small add constraint few check (value < 100) not valid;`,
  );
  const target = await freshDatabase(await server(15));
  await site.json('restore', 'shop', '--to', target.url, '--schema-only');
  // pg_dump writes no rule for keys whose triggers somebody disabled, so these are checked in a restored database.
  await psql(target.url, ['-c', 'alter table legacy disable trigger all']);
  await site.json('restore', 'shop', '--to', target.url, '--data-only', '--yes');
  assert.equal(await pgDumpText(target.url), await dump());
});

test('tables of a snapshot that holds rows alone are restored into tables that are there', async t => {
  const { site, url, sql } = await backedUp(
    t,
    'create table a (id serial primary key, b text); create table other (id int); insert into a (b) values (1), (2); insert into other values (7)',
  );
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop', '--data-only');
  await sql("delete from a where id = 1; update other set id = 8; select setval('a_id_seq', 9)");
  const restore = ['restore', snapshot, '--to', url, '--yes', '--table', 'a'];
  const { notes } = await site.json<{ notes: string[] }>(...restore);
  assert.match(notes.join(), /whose its sequences are/);
  const look =
    "select (select string_agg(id || b, ',' order by id) from a), (select id from other), nextval('a_id_seq')";
  assert.equal((await sql(look)).trim(), '11,22|8|10');
  await site.json(...restore, '--table', 'a_id_seq');
  assert.equal((await sql(look)).trim(), '11,22|8|3');
  const unmatched = await site.run(...restore, '--table', 'none');
  assert.match(unmatched.stderr, /TABLES_UNMATCHED/);
});

test('a restore that fails leaves sequences as they were', async t => {
  const { sql, site } = await backedUp(
    t,
    `
    create table customers(id serial primary key, name text not null);
    create table orders(id serial primary key, customer int not null references customers);
    insert into customers(name) select 'c' || g from generate_series(1, 10) g;
    insert into orders(customer) select g from generate_series(1, 10) g;`,
  );
  await sql("insert into customers(name) select 'late' from generate_series(1, 10)");
  await sql('insert into orders(customer) values (15)');
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list', 'shop');
  const failed = await site.run(
    'restore',
    snapshots[0]!.snapshot,
    '--in-place',
    '--yes',
    '--table',
    'customers',
  );
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /REFERENCES_BROKEN/);
  assert.equal(await sql('select last_value, is_called from customers_id_seq'), '20|t\n');
  assert.equal(await sql("insert into customers(name) values ('next') returning id"), '21\n');
});

test('a materialized view is refreshed, and the table it reads is not touched', async t => {
  const { tables, sql } = await backedUp(
    t,
    `
    create table orders(id int primary key, v int);
    insert into orders select g, g from generate_series(1, 10) g;
    create materialized view totals as select count(*) as n, sum(v) as s from orders;
    create view big as select * from orders where v > 5;`,
  );
  await sql('delete from orders where id > 4');
  await tables('totals');
  assert.equal(await sql('select count(*) from orders'), '4\n');
  assert.equal(await sql('select n from totals'), '4\n');
  const stale = await tables('orders');
  assert.equal(stale.length, 1, stale.join());
  assert.match(stale[0]!, /keep their rows of before: public.totals/);
  await sql('drop table orders cascade');
  const notes = await tables('big');
  assert.equal(await sql('select count(*) from big'), '0\n');
  assert.ok(
    notes.some(note => /TABLE public.orders was missing and is created without rows/.test(note)),
    notes.join('\n'),
  );
  assert.equal(await sql("select relispopulated from pg_class where relname = 'totals'"), 't\n');
  await sql('drop table orders cascade');
  await tables('totals');
  assert.equal(await sql('select n from totals'), '10\n');
});

test('what went with a dropped table comes back with it', async t => {
  const { site, url, snapshot, tables, sql, dump } = await backedUp(
    t,
    `
    create table x(id serial primary key, name text);
    create table y(id int primary key, x int constraint y_x references x on delete cascade);
    comment on constraint y_x on y is 'kept';
    create table other(id int primary key);
    create view v as select * from x; comment on view v is 'a view'; grant select on v to public;
    create view w as select * from v;
    create materialized view m as select count(*) as n from w; create unique index on m (n);
    create policy p on y using (exists (select from x where x.id = y.x));
    create rule r as on insert to y do also select * from x;
    create publication pub for table x;
    insert into x(name) select 'x' || g from generate_series(1, 3) g; insert into y values (1, 1), (2, 3);
    refresh materialized view m;`,
  );
  const before = await dump();
  await sql('drop table x cascade');
  const notes = await tables('x');
  assert.equal(await dump(), before);
  for (const name of [
    'FK CONSTRAINT public.y y_x',
    'VIEW public.v',
    'VIEW public.w',
    'MATERIALIZED VIEW public.m',
    'POLICY public.y p',
  ])
    assert.ok(
      notes.some(note => note.startsWith(name)),
      `${name}: ${notes.join('\n')}`,
    );
  await sql('drop table x cascade');
  const { notes: other } = await site.json<{ notes: string[] }>(
    ...['restore', snapshot, '--to', url, '--table', 'x', '--yes'],
  );
  const told = other.filter(note => note.startsWith('FK CONSTRAINT public.y y_x is not there'));
  assert.match(told.join(), /ALTER TABLE ONLY public.y ADD CONSTRAINT y_x FOREIGN KEY/);
  await sql('drop table x cascade; insert into y values (3, 99)');
  const broken = await tables('x');
  assert.ok(
    broken.some(note =>
      /y_x is missing and can't be made: .*99.*ALTER TABLE ONLY public.y ADD CONSTRAINT/s.test(note),
    ),
    broken.join('\n'),
  );
  await sql('drop table x, y cascade');
  assert.equal(await sql('select count(*) from other'), '0\n');
  await tables('public.*');
  assert.equal(await dump(), before);
});

test('what went with a dropped schema comes back with its tables, or is named', async t => {
  const { tables, sql, dump } = await backedUp(
    t,
    `
    create schema s; comment on schema s is 'jobs'; grant usage on schema s to public;
    create type s.spec as (name text, at timestamptz); create type s.mood as enum ('ok', 'bad'); create domain s.few as int check (value < 9);
    create table s.job(id serial primary key, m s.mood, f s.few); create table s.log(id serial primary key, job int references s.job, t text);
    create function s.add(specs s.spec[]) returns setof s.job language sql as $$ insert into s.job(m) select 'ok' from unnest(specs) returning * $$;
    comment on function s.add(s.spec[]) is 'adds'; revoke execute on function s.add(s.spec[]) from public;
    create function s.free() returns int language sql as 'select 1'; create procedure s.p() language sql as 'select 1';
    create function s.tg() returns trigger language plpgsql as 'begin return new; end';
    create trigger a before insert on s.job for each row execute function s.tg(); create trigger b before insert on s.log for each row execute function s.tg();
    create aggregate s.sum_of(int) (sfunc = int4pl, stype = int, initcond = 0); create operator s.@@@ (leftarg = int, rightarg = int, function = int4pl);
    create collation s.c from "C"; create text search configuration s.words (copy = simple); create statistics s.st on id, m from s.job;
    create sequence s.alone start 7; create view s.v as select s.free() from s.job; alter default privileges in schema s grant select on tables to public;
    create function public.uses() returns s.mood language sql as $$ select 'ok'::s.mood $$;`,
  );
  const before = await dump();
  await sql('drop schema s cascade');
  const notes = await tables('s.*');
  assert.equal(await dump(), before, notes.join('\n'));
  await sql('drop schema s cascade');
  const some = await tables('s.job');
  const named = some.filter(note => /--table|can't/.test(note));
  assert.deepEqual(named.map(note => note.split(' depends')[0]).sort(), ['SEQUENCE s.alone', 'TABLE s.log']);
  await tables('s.log', 's.alone');
  assert.equal(await dump(), before);
});

test('privileges of tables that are made again are those of the snapshot, not what is granted by default', async t => {
  const { site, snapshot, tables, sql, dump } = await backedUp(
    t,
    `
    create schema s;
    alter default privileges grant select, insert on tables to pg_monitor, pg_read_all_data with grant option;
    alter default privileges grant select, insert on tables to public;
    alter default privileges in schema s grant all on tables to pg_monitor, public;
    alter default privileges revoke execute on functions from public;
    alter default privileges grant usage on sequences to pg_monitor;
    alter default privileges revoke usage on types from public;
    create table s.closed(id serial primary key, secret text); revoke all on s.closed from pg_monitor, pg_read_all_data, public;
    revoke all on sequence s.closed_id_seq from pg_monitor;
    create table s.columns(id int primary key, name text, closed int references s.closed);
    grant select (id, name), update (name) on s.columns to pg_read_all_stats; grant references (id) on s.columns to public;
    create view s.v as select id from s.closed; revoke all on s.v from pg_monitor, public;
    grant select (id) on s.v to pg_read_all_stats;
    insert into s.closed values (1, 'x'); insert into s.columns values (1, 'y', 1);`,
  );
  const before = await dump();
  for (const names of [['s.closed'], ['s.columns'], ['s.columns', 's.closed'], ['s.*']]) {
    await sql(`drop table ${names[0] === 's.*' ? 's.closed, s.columns' : names.join()} cascade`);
    await tables(...names);
    assert.equal(await dump(), before, names.join());
  }
  await site.json('restore', snapshot, '--in-place', '--table', 's.closed', '--as', 'then');
  assert.equal(await sql("select relacl from pg_class where relname = 'then'"), '\n');
  await sql('drop table s.then');
  assert.equal(await dump(), before);
});

test('rows that went by cascade are named', async t => {
  const { tables, sql } = await backedUp(
    t,
    `
    create table "Feedback"(id int primary key); insert into "Feedback" select generate_series(1, 10);
    create table "Reply"(id int, f int references "Feedback" on delete cascade); insert into "Reply" select g, g from generate_series(1, 10) g;
    create table "Like"(id int, f int references "Feedback" on delete set null);`,
  );
  await sql('delete from "Feedback" where id < 4');
  const notes = await tables('"Feedback"');
  assert.equal(notes.length, 1, notes.join('\n'));
  assert.match(notes[0]!, /ON DELETE CASCADE.*public."Reply" has 7 rows, the snapshot 10/);
  await tables('"Reply"');
  assert.equal(await sql('select count(*) from "Reply"'), '10\n');
  assert.deepEqual(await tables('"Feedback"'), []);
});

test('a sequence stays owned by its column', async t => {
  const { tables, sql, site, snapshot, name } = await backedUp(
    t,
    `
    create table t(id serial primary key, g int generated always as identity); insert into t values (default), (default);
    create table shares(id int default nextval('t_id_seq'));`,
  );
  const owned = `select pg_get_serial_sequence('t', 'id')`;
  await sql('drop table t cascade');
  await tables('t');
  assert.equal(await sql(owned), 'public.t_id_seq\n');
  assert.equal(await sql('insert into t values (default) returning id, g'), '3|3\n');
  const shared = await server(15);
  await site.json('restore', snapshot, '--table', 't', '--new', `${name}_t`);
  assert.equal(await psql(shared.url(`${name}_t`), ['-At', '-c', owned]), 'public.t_id_seq\n');
  await site.json('restore', snapshot, '--table', 'shares', '--new', `${name}_s`);
  const file = `${site.folder}/t.sql`;
  await site.json('export', snapshot, '--table', 't', '--format', 'plain', '--output', file);
  const target = await freshDatabase(shared);
  await psql(target.url, ['-f', file]);
  assert.equal(await psql(target.url, ['-At', '-c', owned]), 'public.t_id_seq\n');
});

test('large objects come whole with rows alone, whether they are there or not', async t => {
  const { site, sql, tables } = await backedUp(
    t,
    `
    create table docs(id int primary key, body oid);
    insert into docs select g, lo_from_bytea(70000 + g, ('document ' || g)::bytea) from generate_series(1, 5) g;
    select lo_from_bytea(80000, ''); grant select on large object 70001 to public;
    comment on large object 70002 is 'the second';`,
  );
  const sums =
    "select string_agg(concat(m.oid, '=', encode(lo_get(m.oid), 'escape'), m.lomacl, obj_description(m.oid, 'pg_largeobject')), ',' order by m.oid) from pg_largeobject_metadata m";
  const before = await sql(sums);
  const notes = await tables('docs');
  assert.ok(
    notes.some(note => /large objects .*rows of public.docs/.test(note)),
    notes.join(),
  );
  assert.equal(await sql(sums), before);
  const target = await freshDatabase(await server(15));
  await site.json('restore', 'shop', '--to', target.url, '--schema-only');
  const csv = await site.json<{ leftOut: string[] }>('export', 'shop', '--format', 'csv', '-o', 'csv');
  assert.deepEqual(csv.leftOut, ['definitions, large objects: csv has rows of tables only']);
  const alone = await site.json<{ leftOut: string[] }>(
    ...['export', 'shop', '--table', 'docs', '--format', 'plain', '-o', 'docs.sql'],
  );
  assert.match(alone.leftOut.join(), /large objects: .* rows of public.docs may name some/);
  for (const state of ['empty', 'there']) {
    await site.json('restore', 'shop', '--to', target.url, '--data-only', '--yes');
    assert.equal(await psql(target.url, ['-At', '-c', sums]), before, state);
    await psql(target.url, ['-c', "select lo_put(70001, 0, 'much longer than it was before')"]);
  }
});

test('a lock that others keep is waited for, shown with who keeps it, and given up: nothing is changed', async t => {
  const { site, url, dump } = await backedUp(t, 'create table t(i int); insert into t values (1)');
  await query(url, 'update t set i = 2');
  const before = await dump();
  const reader = new pg.Client({ connectionString: url, application_name: 'a long report' });
  await reader.connect();
  t.after(() => reader.end());
  await reader.query('begin; select * from t');
  const args = ['restore', 'shop', '--to', url, '--table', 't', '--yes'];
  const ran = await site.run(...args, '--lock-wait', '7s');
  assert.equal(ran.code, 1, ran.stdout + ran.stderr);
  assert.match(
    ran.stderr,
    /waiting for a lock that is kept by pid \d+ \(a long report, role postgres, idle in transaction\)/,
  );
  assert.match(ran.stderr, /kept by pid .*\[LOCK_WAIT\]\n +the database is as it was before/);
  await reader.query('rollback');
  assert.equal(await dump(), before);
  assert.equal((await site.run(...args, '--lock-wait', '7s')).code, 0);
});

test('a pattern that matches nothing is an error by itself, and says what may have been meant', async t => {
  const { site, sql } = await backedUp(
    t,
    'create table "Feedback"(a int); create table plain(a int); insert into plain values (1)',
  );
  await sql('delete from plain');
  const failed = await site.run(
    'restore',
    'shop',
    '--in-place',
    '--yes',
    '--table',
    'plain',
    '--table',
    'public.Feedback',
  );
  assert.equal(failed.code, 2);
  assert.match(failed.stderr, /matches public.Feedback/);
  assert.match(failed.stderr, /--table 'public."Feedback"'/);
  assert.equal(await sql('select count(*) from plain'), '0\n');
  const exported = await site.run(
    'export',
    'shop',
    '--format',
    'plain',
    '--table',
    'plain',
    '--table',
    'typo',
    '--output',
    '-',
  );
  assert.equal(exported.code, 2);
  assert.match((await site.run('show', 'shop')).stdout, /public\."Feedback"/);
});

test('rows alone for a table that is missing are refused, and nothing is changed', async t => {
  const { site, sql, url } = await backedUp(
    t,
    'create table a(v int); create table b(v int); insert into a values (1); insert into b values (1)',
  );
  await sql('drop table b; insert into a values (2)');
  const failed = await site.run('restore', 'shop', '--in-place', '--yes', '--data-only');
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /TABLES_MISSING.*|lacks the table public.b/);
  const [row] = await query<{ n: string }>(url, 'select count(*) as n from a');
  assert.equal(Number(row!.n), 2);
});
