/**
 * DDL of every lock level, every few milliseconds, from several sessions, while backups run: the application waits hardly
 * longer than without a backup, each backup ends, and each snapshot restores.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const TABLES = 6;
const CALM_MS = 6000;
/** The longest wait that a backup may add for the application. */
const ADDED_MS = 2000;
const BACKUP_MS = 60_000;

/** Small numbers that follow from a seed, so that a storm can be had again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const DDL: ((table: string, n: number) => string)[] = [
  (table, n) => `alter table ${table} add column if not exists c${n % 5} int`,
  (table, n) => `alter table ${table} drop column if exists c${n % 5}`,
  table => `truncate ${table}`,
  table =>
    `insert into ${table} (id, note) select g, 'n' from generate_series(1, 2000) g on conflict do nothing`,
  table => `cluster ${table} using ${table}_pkey`,
  table => `vacuum full ${table}`,
  table => `reindex table ${table}`,
  (table, n) => `create index if not exists i${n % 4}_${table} on ${table} (note)`,
  (table, n) => `drop index if exists i${n % 4}_${table}`,
  (_, n) =>
    `drop table if exists passing${n % 3}; create table passing${n % 3} (id int); insert into passing${n % 3} values (1)`,
  (_, n) => `create or replace function passing_${n % 3}(int) returns int language sql as 'select ${n}'`,
  (_, n) => `drop function if exists passing_${n % 3}(int)`,
  (_, n) => `drop type if exists mood${n % 2} cascade; create type mood${n % 2} as enum ('a', 'b')`,
  (table, n) => `create or replace view seen${n % 2} as select id from ${table}`,
  (_, n) => `drop view if exists seen${n % 2}`,
];

class Storm {
  readonly #clients: pg.Client[] = [];
  readonly #running: Promise<void>[] = [];
  #over = false;
  longestMs = 0;

  async start(database: Database, seed: number): Promise<void> {
    for (let i = 0; i < 3; i++)
      this.#running.push(this.#ddl(await this.#client(database), randomOf(seed + i)));
    for (let i = 0; i < 2; i++)
      this.#running.push(this.#application(await this.#client(database), randomOf(seed + 9 + i)));
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#running);
    await Promise.all(this.#clients.map(client => client.end()));
  }

  async #client(database: Database): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => {});
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  async #ddl(client: pg.Client, random: (below: number) => number): Promise<void> {
    while (!this.#over) {
      const statement = DDL[random(DDL.length)]!(`t${random(TABLES)}`, random(100));
      await client.query(statement).catch(() => {}); // of two that change the same, one may fail
      await delay(2 + random(8));
    }
  }

  async #application(client: pg.Client, random: (below: number) => number): Promise<void> {
    while (!this.#over) {
      const table = `t${random(TABLES)}`;
      const startMs = performance.now();
      const sql = random(2)
        ? `select count(*) from ${table}`
        : `insert into ${table} (id) values (-1) on conflict do nothing`;
      await client.query(sql).catch(() => {});
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
      await delay(3);
    }
  }
}

/** Storms that are tried: other work on the machine may hold one of them up. */
const ATTEMPTS = 3;

test('a storm of DDL', { timeout: 400_000 }, async t => {
  const seed = Number(process.env.TIDEMARK_STORM_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`TIDEMARK_STORM_SEED=${seed}`);
  const database = await freshDatabase(await server(15));
  const site = await makeSite({ db: database.url });
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  await fill(database);
  let addedMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && addedMs >= ADDED_MS; attempt++) {
    const calm = new Storm();
    await calm.start(database, seed + attempt);
    await delay(CALM_MS);
    await calm.end();
    const storm = new Storm();
    await storm.start(database, seed + attempt);
    const made = await backUp(t, site).finally(() => storm.end());
    for (const snapshot of made) await restores(database, site, snapshot);
    addedMs = storm.longestMs - calm.longestMs;
    t.diagnostic(
      `longest wait: ${calm.longestMs.toFixed()} ms without a backup, ${storm.longestMs.toFixed()} with`,
    );
  }
  assert.ok(addedMs < ADDED_MS, `the application waited ${addedMs.toFixed()} ms longer for a backup`);
});

function fill(database: Database): Promise<unknown> {
  const tables = Array.from(
    { length: TABLES },
    (_, i) => `create table t${i} (id int primary key, note text);
      insert into t${i} select g, repeat('x', 100) from generate_series(1, ${5000 * (i + 1)}) g`,
  );
  return query(
    database.url,
    `${tables.join(';')}; create table big (id bigint, filler text);
    insert into big select g, repeat(md5(g::text), 8) from generate_series(1, 150000) g`,
  );
}

/** One backup after another, with more and more workers; the snapshots that they made. */
async function backUp(t: TestContext, site: Site): Promise<string[]> {
  const made: string[] = [];
  for (const jobs of ['1', '2', '3', '4']) {
    const ran = await Promise.race([
      site.run('backup', 'db', '--jobs', jobs, '--lock-wait', '30s', '--json'),
      delay(BACKUP_MS, undefined, { ref: false }),
    ]);
    assert.ok(ran, `the backup with --jobs ${jobs} does not end`);
    if (ran.code === 0) made.push((JSON.parse(ran.stdout) as { snapshot: string }).snapshot);
    else
      assert.match(
        ran.stdout + ran.stderr,
        /CATALOG_UNSTEADY|DEFINITION_INCOMPLETE|TABLES_UNSTEADY|LOCK_WAIT|LOCK_TIMEOUT/,
      );
    t.diagnostic(
      `--jobs ${jobs}: ${ran.code === 0 ? 'a snapshot' : (ran.stdout + ran.stderr).slice(0, 300)}`,
    );
  }
  return made;
}

async function restores(database: Database, site: Site, snapshot: string): Promise<void> {
  const name = `${database.name}_again`;
  const ran = await site.run('restore', 'db', '--snapshot', snapshot, '--new', name, '--json');
  await query(database.url, `drop database if exists ${name} with (force)`);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
}
