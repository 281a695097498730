/** Tables with partitions, restored into a database in use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backedUp } from '../support/backedUp.ts';
import { freshDatabase, psql } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const TREE = `
  create type mood as enum ('sad', 'ok', 'happy', 'calm', 'keen');
  create table by_mood(m mood, id int, v text) partition by hash (m);
  create table by_mood_0 partition of by_mood for values with (modulus 3, remainder 0);
  create table by_mood_1 partition of by_mood for values with (modulus 3, remainder 1);
  create table by_mood_2 partition of by_mood for values with (modulus 3, remainder 2);
  insert into by_mood select (array['sad','ok','happy','calm','keen'])[1 + g % 5]::mood, g, 'v' || g from generate_series(1, 500) g;
  create table fired(n int);
  create function count_statement() returns trigger language plpgsql as $$ begin insert into fired values (1); return null; end $$;
  create trigger per_statement after insert on by_mood for each statement execute function count_statement();
  create table attached(b text, gone int, a int not null, c numeric generated always as (a * 2) stored);
  alter table attached drop column gone;
  create table tree(a int not null, b text, c numeric generated always as (a * 2) stored) partition by range (a);
  insert into attached(b, a) values ('x', 1), ('y', 2);
  alter table tree attach partition attached for values from (0) to (10);
  create table tree_sub partition of tree for values from (10) to (100) partition by list (b);
  create table tree_sub_x partition of tree_sub for values in ('x', null);
  create table tree_sub_d partition of tree_sub default;
  create table tree_d partition of tree default;
  insert into tree(a, b) values (11, 'x'), (12, null), (13, 'other'), (1000, 'far');
  create index on tree (b); create unique index on tree (a, b); alter table tree_d alter column b set default 'from d';
  create index own_name on tree_sub_d (c);
  create trigger row_of_tree after insert on tree for each row execute function count_statement();
  create table refs(a int, b text, constraint to_tree foreign key (a, b) references tree (a, b));
  comment on constraint to_tree on refs is 'two levels up';
  insert into refs values (1, 'x'), (13, 'other');`;

test('one partition, a part of a tree or all of it: the rows are those of the snapshot, and nothing fires', async t => {
  const { tables, sql, dump } = await backedUp(t, TREE);
  const before = await dump();
  for (const names of [
    ['tree_sub_d'],
    ['tree_sub'],
    ['attached'],
    ['tree'],
    ['by_mood'],
    ['tree', 'refs'],
    ['public.*'],
  ]) {
    await sql("set session_replication_role = replica; update tree set b = b || '!' where a in (2, 1000)");
    if (!['tree', 'public.*'].includes(names[0]!))
      await sql(
        "set session_replication_role = replica; update tree set b = replace(b, '!', '') where a in (2, 1000)",
      );
    if (names[0] === 'by_mood') await sql('delete from by_mood where id < 100');
    await tables(...names);
    assert.equal(rowsAside(await dump()), rowsAside(before), names.join());
    assert.equal(await sql('select count(*), count(distinct id) from by_mood'), '500|500\n', names.join());
    assert.equal(
      await sql("select string_agg(a || coalesce(b, '-') || c, ',' order by a) from tree"),
      '1x2,2y4,11x22,12-24,13other26,1000far2000\n',
    );
    assert.equal(await sql('select count(*) from fired'), '0\n');
    assert.equal(
      await sql("select count(*) from pg_constraint where contype = 'f' and convalidated"),
      await sql("select count(*) from pg_constraint where contype = 'f'"),
    );
  }
});

/** Rows lie in another order after they were replaced. */
function rowsAside(dump: string): string {
  return dump.replaceAll(/^COPY [^;]*;\n(.*\n)*?\\\.\n/gm, copy => copy.split('\n').sort().join('\n'));
}

test('a partition whose rows go through its root is not restored without the others', async t => {
  const { site, sql, snapshot, name } = await backedUp(t, TREE);
  for (const target of [['--in-place'], ['--new', `${name}_m`]]) {
    const failed = await site.run('restore', snapshot, ...target, '--yes', '--table', 'by_mood_0');
    assert.equal(failed.code, 2);
    assert.match(failed.stderr, /PARTITION_NEEDS_TREE/);
    assert.match(failed.stderr, /--table 'public.by_mood'/);
  }
  assert.equal(await sql('select count(*), count(distinct id) from by_mood'), '500|500\n');
  await site.json('restore', snapshot, '--in-place', '--table', 'by_mood_0', '--as', 'mood then');
  assert.equal(await sql('select count(*) from "mood then"'), await sql('select count(*) from by_mood_0'));
  // One more partition, since: its rows are not in the snapshot, and rows of the snapshot could land in it.
  await sql(
    'alter table by_mood detach partition by_mood_2; create table newer partition of by_mood for values with (modulus 3, remainder 2)',
  );
  await sql('insert into by_mood_2 values (null, 1000, null)');
  const newer = await site.run('restore', snapshot, '--in-place', '--yes', '--table', 'by_mood*');
  assert.equal(newer.code, 1);
  assert.match(newer.stderr, /PARTITION_NEEDS_TREE.*|public.newer/);
  assert.equal(await sql('select count(*) from by_mood_2 where id = 1000'), '1\n');
});

test('a partition that was dropped comes back into its tree', async t => {
  const { tables, sql, dump } = await backedUp(t, TREE);
  const before = await dump();
  await sql('delete from refs where a = 13; drop table tree_sub_d cascade');
  await tables('tree_sub_d');
  await sql("insert into refs values (13, 'other')");
  assert.equal(await dump(), before);
  await sql('drop table tree cascade');
  const notes = await tables('tree');
  assert.equal(rowsAside(await dump()), rowsAside(before), notes.join('\n'));
});

test('a foreign key to the own root comes when the rows are there, or is named', async t => {
  const { tables, sql, dump, site, snapshot, name } = await backedUp(
    t,
    `
    create table node(id int primary key, up int constraint up references node) partition by range (id);
    create table node_1 partition of node for values from (0) to (10);
    create table node_2 partition of node for values from (10) to (20);
    insert into node values (1, null), (11, 1), (2, 11);`,
  );
  const before = await dump();
  for (const names of ['node_1', 'node_2', 'node']) {
    await tables(names);
    assert.equal(await dump(), before, names);
  }
  const { notes } = await site.json<{ notes: string[] }>(
    'restore',
    snapshot,
    '--new',
    `${name}_1`,
    '--table',
    'node_1',
  );
  assert.ok(
    notes.some(note => /FK CONSTRAINT node up is left out.*without all its rows/.test(note)),
    notes.join('\n'),
  );
  const there = await psql((await server(15)).url(`${name}_1`), ['-At', '-c', 'select count(*) from node']);
  assert.equal(there, '2\n');
  await sql('update node set up = null; drop table node_1 cascade');
  await tables('node_1');
  assert.equal(await sql('select count(*) from node'), '3\n');
  const target = await freshDatabase(await server(15));
  await psql(target.url, ['-c', 'create table keep (a int)']);
  await site.json('restore', snapshot, '--to', target.url, '--yes', '--table', 'node_2');
  assert.equal(await psql(target.url, ['-At', '-c', 'select count(*) from node']), '1\n');
});
