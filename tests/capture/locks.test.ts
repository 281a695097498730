/** A backup's locks: the application never waits for long, nor does the backup without a word. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

async function made(t: TestContext, sql: string): Promise<{ database: Database; site: Site }> {
  const database = await freshDatabase(await server(15));
  await query(database.url, sql);
  const site = await makeSite({ db: database.url });
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { database, site };
}

async function connected(t: TestContext, database: Database, name = 'app'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url, application_name: name });
  client.on('error', () => {});
  await client.connect();
  t.after(() => void client.end().catch(() => {}));
  return client;
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 30_000; !(await what()); await delay(20))
    assert.ok(performance.now() < endMs, 'it did not come to that');
}

const isReading = (database: Database, table: string) => async () =>
  (
    await query(
      database.url,
      `select from pg_stat_activity where datname = current_database() and state = 'active' and query ilike '%COPY%${table}%' and pid <> pg_backend_pid()`,
    )
  ).length > 0;

/** Long enough to be read for some seconds, in several parts. */
const BIG = `create table big (id bigint, filler text);
  insert into big select g, repeat(md5(g::text), 12) from generate_series(1, 900000) g`;
const SMALL = `create table small (id int primary key, note text);
  insert into small select g, 'n' || g from generate_series(1, 100) g`;

for (const jobs of ['1', '3']) {
  test(`a table that is altered while another is read, with --jobs ${jobs}`, async t => {
    const { database, site } = await made(t, `${BIG}; ${SMALL}`);
    const backup = site.run('backup', 'db', '--jobs', jobs, '--json');
    let ended = false;
    void backup.then(() => {
      ended = true;
    });
    await until(isReading(database, 'big'));
    const startMs = performance.now();
    const altering = await connected(t, database);
    const alter = altering.query('alter table small add column extra int');
    const reader = await connected(t, database);
    await delay(50);
    await reader.query('select count(*) from small');
    await alter;
    const tookMs = performance.now() - startMs;
    const endedFirst = ended;
    t.diagnostic(`ALTER TABLE after ${Math.round(tookMs)} ms`);
    const { code, stdout, stderr } = await backup;
    assert.equal(code, 0, stdout + stderr);
    assert.equal(JSON.parse(stdout).rows, 900_100);
    assert.ok(!endedFirst, 'the application waited for the end of the backup');
    const restored = `${database.name}_restored`;
    await site.json('restore', 'db', '--new', restored);
    const url = database.url.replace(database.name, restored);
    assert.deepEqual(await query(url, 'select count(*)::int as n, sum(id)::int as ids from small'), [
      { n: 100, ids: 5050 },
    ]);
    await query(database.url, `drop database ${restored} with (force)`);
  });
}

test('a table that somebody waits for while it is read itself keeps nobody from the others', async t => {
  const { database, site } = await made(t, `${BIG}; ${SMALL}`);
  const backup = site.run('backup', 'db', '--jobs', '1', '--json');
  await until(isReading(database, 'big'));
  await delay(500);
  let bigAltered = false;
  const altersBig = (await connected(t, database)).query('alter table big add column extra int').then(() => {
    bigAltered = true;
  });
  const startMs = performance.now();
  await (await connected(t, database)).query('alter table small add column extra int');
  const tookMs = performance.now() - startMs;
  const smallLast = bigAltered;
  t.diagnostic(`the small one after ${Math.round(tookMs)} ms`);
  await altersBig;
  t.diagnostic(`the big one after ${Math.round(performance.now() - startMs)} ms`);
  const { code, stdout, stderr } = await backup;
  assert.equal(code, 0, stdout + stderr);
  assert.equal(JSON.parse(stdout).rows, 900_100);
  assert.ok(!smallLast, 'the small table waited for the big one');
});

test('a lock that others hold is waited for holding nothing, shown, and given up in the end', async t => {
  const { database, site } = await made(t, `${SMALL}; create table other (n int)`);
  const holder = await connected(t, database, 'migration');
  await holder.query('begin; lock table small in access exclusive mode');
  const at = performance.now();
  const refused = await site.run('backup', 'db', '--lock-wait', '0s');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /\[LOCK_WAIT\]/);
  assert.match(
    refused.stderr,
    /public\.small, held by pid \d+ \(migration, role postgres, idle in transaction\), since 20/,
  );
  assert.match(refused.stderr, /--lock-wait/);
  assert.ok(performance.now() - at < 20_000);
  const backup = site.run('backup', 'db', '--lock-wait', '2m', '--json');
  await delay(3000);
  const other = await connected(t, database);
  const startMs = performance.now();
  await other.query('alter table other add column m int');
  assert.ok(performance.now() - startMs < 1500, 'the backup holds a lock while it waits');
  await delay(5000);
  await holder.query('rollback');
  const { code, stdout, stderr } = await backup;
  assert.equal(code, 0, stdout + stderr);
  assert.match(stderr, /waiting for the lock of table public\.small, held by pid \d+ \(migration/);
});

test('an open transaction that dropped a view and then alters its table is not the one that fails', async t => {
  const { database, site } = await made(t, `${SMALL}; create view seen as select * from small`);
  const app = await connected(t, database);
  await app.query('begin; drop view seen');
  const backup = site.run('backup', 'db', '--json');
  await delay(2500);
  await app.query('alter table small add column extra int; create view seen as select * from small; commit');
  const { code, stdout, stderr } = await backup;
  assert.equal(code, 0, stdout + stderr);
});

test('functions, types, operators and casts that are dropped while definitions are read', async t => {
  const objects = Array.from(
    { length: 60 },
    (
      _,
      i,
    ) => `create type t${i} as (a int); create function f${i}(t${i}) returns t${i} language sql as 'select $1';
      create function op${i}(t${i}, t${i}) returns bool language sql as 'select true';
      create operator === (leftarg = t${i}, rightarg = t${i}, procedure = op${i});
      create function cast${i}(t${i}) returns text language sql as 'select null';
      create cast (t${i} as text) with function cast${i}(t${i})`,
  ).join(';');
  const { database, site } = await made(t, `${SMALL}; ${objects}`);
  const app = await connected(t, database);
  let ended = false;
  const backup = site.run('backup', 'db', '--json').finally(() => {
    ended = true;
  });
  for (let i = 0; i < 60 && !ended; i++) {
    await app.query(`drop type t${i} cascade`);
    await delay(60);
  }
  const { code, stdout, stderr } = await backup;
  if (code !== 0) assert.match(stderr, /\[CATALOG_UNSTEADY\]/, stdout + stderr);
  else await restores(site, database);
  // Once nothing changes any more, it must not fail.
  await site.json('backup', 'db');
  await restores(site, database);
});

async function restores(site: Site, database: Database): Promise<void> {
  const restored = `${database.name}_restored`;
  await site.json('restore', 'db', '--new', restored);
  await query(database.url, `drop database ${restored} with (force)`);
}
