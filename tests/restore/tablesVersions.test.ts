/** Table restores on other versions: what foreign keys and constraints of each can be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backedUp } from '../support/backedUp.ts';

const ALL = `
  create table parent(a int, b int, c text, primary key (a, b)); insert into parent select g, g, 'c' || g from generate_series(1, 5) g;
  create table child(id int primary key, a int, b int,
    constraint partial foreign key (a, b) references parent match full on delete set null (b) on update cascade deferrable);
  comment on constraint partial on child is 'columns of its own';
  insert into child values (1, 1, 1), (2, null, null);
  create table loose(a int, b int); insert into loose values (1, 9);
  alter table loose add constraint loose_key foreign key (a, b) references parent not valid;
  create unlogged table u(a int); create view v as select * from parent; create rule r as on update to child do also select 1;`;

const OF_18 = `${ALL}
  create extension if not exists btree_gist;
  create table spans(id int, during int4range, primary key (id, during without overlaps)); insert into spans values (1, '[1,10)');
  create table uses(id int, during int4range, constraint span foreign key (id, period during) references spans (id, period during));
  insert into uses values (1, '[2,5)');
  create table relaxed(a int, b int, constraint relaxed_key foreign key (a, b) references parent not enforced, constraint small check (a < 10) not enforced);
  insert into relaxed values (100, 100);
  create table nulls(a int, g int generated always as (a + 1) virtual); insert into nulls values (null); alter table nulls add constraint nn not null a not valid;
  create table roots(id int primary key) partition by range (id); create table roots_1 partition of roots for values from (0) to (100);
  insert into roots values (1); create table leaf(r int) partition by range (r); create table leaf_1 partition of leaf for values from (0) to (100);
  insert into leaf values (1), (2); alter table leaf add constraint to_roots foreign key (r) references roots not valid;`;

const CONSTRAINTS = `select string_agg(conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated || coalesce(obj_description(oid, 'pg_constraint'), ''), E'\\n'
  order by conrelid::regclass::text, conname, pg_get_constraintdef(oid)) from pg_constraint where connamespace = 'public'::regnamespace`;

for (const [major, sql] of [
  [16, ALL],
  [17, ALL],
  [18, OF_18],
] as const) {
  test(`PostgreSQL ${major}: constraints of every kind stay what they are`, async t => {
    const { tables, sql: run, site, snapshot } = await backedUp(t, sql, major);
    const before = await run(CONSTRAINTS);
    const rows = async () =>
      `${await run('select * from parent order by 1')}${await run('select * from child order by 1')}`;
    const stored = await rows();
    for (const names of [['parent'], ['child'], ['parent', 'child'], ['public.*']]) {
      if (names[0] !== 'child') await run("update parent set c = 'changed'");
      await tables(...names);
      assert.equal(await run(CONSTRAINTS), before, names.join());
      assert.equal(await rows(), stored, names.join());
    }
    await run("update parent set c = 'changed'");
    await site.json('restore', snapshot, '--in-place', '--data-only', '--yes');
    assert.equal(await run(CONSTRAINTS), before);
    assert.equal(await rows(), stored);
    await run('drop table parent cascade');
    await tables('parent');
    assert.equal(await run(CONSTRAINTS), before);
    for (const table of major >= 18 ? ['nulls', 'relaxed', 'parent'] : ['parent']) {
      await site.json('restore', snapshot, '--in-place', '--table', table, '--as', `${table}_then`);
      assert.equal(
        await run(`select to_jsonb(t) from ${table}_then t order by 1`),
        await run(`select to_jsonb(t) from ${table} t order by 1`),
      );
    }
  });
}
