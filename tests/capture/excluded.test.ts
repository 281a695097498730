/** Backups that leave tables out that others need. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const SQL = `
  create table requests (id int primary key, path text);
  insert into requests select g, '/' from generate_series(1, 100) g;
  create table complaints (id int primary key, request int references requests, note text);
  insert into complaints values (1, 5, 'slow');
  create view slow as select path, count(*) from requests group by path;
  comment on view slow is 'of requests';
  create view slower as select * from slow;
  create materialized view counted as select count(*) as n from requests;
  create index on counted (n);
  create table customers (id int primary key);
  insert into customers values (1), (2);
  create sequence request_ids owned by requests.id;
  alter table requests alter id set default nextval('request_ids');
  create publication p for table requests, customers;
  create function path_of(requests) returns text language sql as 'select $1.path';
  create function answer() returns int language sql as 'select 42';
  create table special_requests (extra text) inherits (requests);
  create policy own on customers using (id in (select id from requests));
  create table logs (at date, n int) partition by range (at);
  create table logs_2025 partition of logs for values from ('2025-01-01') to ('2026-01-01');
  create index on logs (n);
  insert into logs values ('2025-05-05', 7)`;

test('what needs a table that was left out is warned of, and left out of a restore with a note', async t => {
  const database = await freshDatabase(await server(15));
  await query(database.url, SQL);
  const site = await makeSite({ db: database.url });
  const restored = `${database.name}_restored`;
  t.after(async () => {
    await query(database.url, `drop database if exists ${restored} with (force)`);
    await site.remove();
    await database.drop();
  });
  const made = await site.run('backup', 'db', '--exclude-table', 'requests', 'logs', 'typo_*');
  assert.equal(made.code, 0, made.stderr);
  for (const object of ['VIEW public.slow', 'VIEW public.slower', 'MATERIALIZED VIEW public.counted'])
    assert.match(made.stderr, new RegExp(`warning: ${object} needs public.requests, which is left out`));
  assert.match(made.stderr, /FK CONSTRAINT public.complaints complaints_request_fkey needs public.requests/);
  assert.match(made.stderr, /TABLE DATA public.special_requests with its rows needs public.requests/);
  assert.match(made.stderr, /no table matches typo_\*, which is to be left out/);
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list');
  const ran = await site.run('restore', snapshots[0]!.snapshot, '--new', restored, '--json');
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  const { notes } = JSON.parse(ran.stdout) as { notes: string[] };
  for (const object of [
    'VIEW slow',
    'MATERIALIZED VIEW counted',
    'FK CONSTRAINT complaints',
    'TABLE special_requests',
  ])
    assert.ok(
      notes.some(note => note.startsWith(object) && note.includes('it needs public.requests')),
      `${object} in ${notes.join('\n')}`,
    );
  const url = database.url.replace(database.name, restored);
  const counts = `select (select count(*) from complaints)::int as complaints, (select count(*) from customers)::int as customers,
    (select n from logs_2025) as logged, answer()`;
  assert.deepEqual(await query(url, counts), [{ complaints: 1, customers: 2, logged: 7, answer: 42 }]);
});

test('every pattern of a backup matches by itself', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table a (n int); create table "Users" (n int); create view "V w" as select * from "Users"',
  );
  const site = await makeSite({ db: database.url });
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  const half = await site.run('backup', 'db', '--table', 'a', 'typo');
  assert.equal(half.code, 2, half.stderr);
  assert.match(half.stderr, /no table matches typo \[TABLES_UNMATCHED\]/);
  const folded = await site.run('backup', 'db', '--table', 'a', 'Users');
  assert.match(folded.stderr, /"Users"/);
  assert.equal((await site.run('backup', 'db', '--table', 'a', '"Users"')).code, 0);
  const without = await site.run('backup', 'db', '--exclude-table', '"Users"');
  assert.match(without.stderr, /VIEW public\."V w" needs public\."Users", which is left out/);
});
