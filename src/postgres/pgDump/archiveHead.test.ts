/** The native pg_dump 15 and the WebAssembly one, on real servers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Database, freshDatabase, query } from '../../../tests/support/databases.ts';
import { DEBIAN_15, type Major, server } from '../../../tests/support/servers.ts';
import type { ArchiveEntry } from '../archive/entry.ts';
import { writeArchive } from '../archive/write.ts';
import { connect } from '../connect.ts';
import { type ConnectionSettings, resolveSettings } from '../settings/settings.ts';
import { type ArchiveRequest, readArchiveHead } from './archiveHead.ts';
import { builtIn, installedPgDumps, type PgDumpTool } from './tool.ts';

const ODD_SQL = readFileSync(path.join(import.meta.dirname, '../archive/odd.sql'), 'utf8');
const MANY_TABLES = 2000;
const SETTLE_MS = 5000;

const wasm = builtIn()[0]!;
const native = (await installedPgDumps({ PATH: DEBIAN_15 })).find(tool => tool.major === 15)!;
const databases: Database[] = [];
after(() => Promise.all(databases.map(database => database.drop())));

interface Prepared {
  database: Database;
  settings: ConnectionSettings;
}

async function prepare(major: Major, sql: string, encoding = 'UTF8'): Promise<Prepared> {
  const running = await server(major);
  await query(running.url(), 'DROP ROLE IF EXISTS odd_reader').catch(() => {});
  await query(running.url(), 'CREATE ROLE odd_reader LOGIN').catch(() => {});
  const name = `dätä "' ${databases.length}`;
  const database = await freshDatabase(running, name, { encoding, locale: 'C' });
  databases.push(database);
  await query(database.url, sql);
  return { database, settings: await resolveSettings({ url: database.url }, {}, '/nonexistent') };
}

/** Runs `use` while a connection holds an exported snapshot. */
async function underSnapshot<T>(
  settings: ConnectionSettings,
  use: (request: Pick<ArchiveRequest, 'settings' | 'serverVersion' | 'snapshot' | 'args'>) => Promise<T>,
): Promise<T> {
  const client = await connect(settings);
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await client.query(
      "SELECT pg_export_snapshot() AS snapshot, current_setting('server_version_num')::int AS version",
    );
    return await use({ settings, serverVersion: rows[0].version, snapshot: rows[0].snapshot, args: [] });
  } finally {
    await client.end();
  }
}

const headOf = ({ settings }: Prepared, tool: PgDumpTool, args: string[] = []) =>
  underSnapshot(settings, request => readArchiveHead({ ...request, tool, args }));

const kinds = (entries: ArchiveEntry[]) => new Set(entries.map(entry => entry.desc));

/** Other sessions in the database, once those that are ending have ended. */
async function otherSessions(database: Database): Promise<unknown[]> {
  const sql =
    'SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()';
  for (let waitedMs = 0; ; waitedMs += 50) {
    const rows = await query(database.url, sql);
    if (rows.length === 0 || waitedMs > SETTLE_MS) return rows;
    await delay(50);
  }
}

/** It is of 18, and refuses what is newer. */
for (const major of [15, 16, 17, 18] as const) {
  test(`the WebAssembly pg_dump reads PostgreSQL ${major}, and no row`, async () => {
    const prepared = await prepare(major, ODD_SQL);
    const { database } = prepared;
    const { archive, bytes, warnings, tool } = await headOf(prepared, wasm);
    assert.equal(archive.header.dumpVersion, tool.version);
    assert.equal(archive.header.database, database.name);
    assert.equal(archive.header.compression, 'none');
    assert.ok(writeArchive(archive).equals(bytes));
    assert.deepEqual(warnings, []);
    const found = kinds(archive.entries);
    for (const kind of [
      'DATABASE',
      'TABLE DATA',
      'SEQUENCE SET',
      'BLOBS',
      'BLOB METADATA',
      'ACL',
      'POLICY',
    ]) {
      assert.ok(found.has(kind), kind);
    }
    const data = archive.entries.filter(entry => entry.desc === 'TABLE DATA');
    assert.ok(data.some(e => e.copyStmt === 'COPY "Odd ""schema"""."a\nb" (id, "x""y", "%s") FROM stdin;\n'));
    assert.ok(data.every(entry => entry.copyStmt !== null && entry.offset.state === 'not-set'));
    const counter = archive.entries.find(entry => entry.desc === 'SEQUENCE SET' && entry.tag === 'counter');
    assert.match(counter!.defn!, /setval\('public.counter', 5, true\)/);
    const read = await query(
      database.url,
      `SELECT seq_tup_read::int AS rows FROM pg_stat_user_tables WHERE relname = E'a\\nb'`,
    );
    assert.deepEqual(read, [{ rows: 0 }]);
    assert.deepEqual(await otherSessions(database), []);
  });
}

test('both see what the snapshot sees, and options reach pg_dump', async () => {
  const prepared = await prepare(15, 'CREATE TABLE before (n int)');
  for (const tool of [native, wasm]) {
    await underSnapshot(prepared.settings, async request => {
      await query(prepared.database.url, 'CREATE TABLE later (n int)');
      const tables = async (args: string[]) =>
        (await readArchiveHead({ ...request, tool, args })).archive.entries
          .filter(entry => entry.desc.startsWith('TABLE'))
          .map(entry => `${entry.desc} ${entry.tag}`);
      assert.deepEqual(await tables([]), ['TABLE before', 'TABLE DATA before']);
      assert.deepEqual(await tables(['--schema-only']), ['TABLE before']);
      assert.deepEqual(await tables(['--exclude-table=*.bef*']), []);
    });
    await query(prepared.database.url, 'DROP TABLE later');
  }
});

test('native and WebAssembly say the same of a PostgreSQL 15 database', async () => {
  for (const encoding of ['UTF8', 'LATIN1', 'SQL_ASCII']) {
    const name = encoding === 'SQL_ASCII' ? 'chr(255) || chr(192)' : "'é'";
    const odd = `${ODD_SQL}; DO $$ BEGIN EXECUTE 'CREATE TABLE "' || ${name} || '" (n int)'; END $$`;
    const prepared = await prepare(15, odd, encoding);
    const [one, other] = [await headOf(prepared, native), await headOf(prepared, wasm)];
    const essence = (entries: ArchiveEntry[]) =>
      entries
        .filter(entry => !entry.desc.startsWith('BLOB') && !entry.tag.startsWith('LARGE OBJECT'))
        .map(({ desc, tag, namespace, owner, defn, copyStmt, section, hasData }) =>
          JSON.stringify([
            desc,
            tag,
            namespace,
            owner,
            defn?.replace(/ +/g, ' '),
            copyStmt,
            section,
            hasData,
          ]),
        )
        .sort();
    assert.equal(one.archive.text, encoding === 'UTF8' ? 'utf8' : 'latin1');
    assert.equal(other.archive.text, one.archive.text);
    assert.equal(other.archive.header.database, one.archive.header.database);
    assert.deepEqual(essence(other.archive.entries), essence(one.archive.entries));
    assert.ok(writeArchive(one.archive).equals(one.bytes));
    assert.deepEqual(await otherSessions(prepared.database), []);
  }
});

test(`${MANY_TABLES} tables with rows`, async t => {
  const sql = `DO $$ BEGIN FOR i IN 1..${MANY_TABLES / 200} LOOP FOR j IN 1..200 LOOP
      EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, note text); INSERT INTO t%s VALUES (1, ''x'')', i * 1000 + j, i * 1000 + j);
    END LOOP; COMMIT; END LOOP; END $$`;
  for (const [major, tool] of [
    [15, native],
    [15, wasm],
    [18, wasm],
  ] as const) {
    const many = { configuration: { max_locks_per_transaction: '1000' } };
    const database = await freshDatabase(await server(major, many));
    await query(database.url, sql);
    const settings = await resolveSettings({ url: database.url }, {}, '/nonexistent');
    const startMs = performance.now();
    const { archive, bytes } = await underSnapshot(settings, r => readArchiveHead({ ...r, tool }));
    const tookMs = Math.round(performance.now() - startMs);
    t.diagnostic(`${tool.kind} on ${major}: ${bytes.length} bytes in ${tookMs} ms`);
    assert.equal(archive.entries.filter(entry => entry.desc === 'TABLE DATA').length, MANY_TABLES);
    await database.drop();
  }
});

test('what fails is named, and leaves nothing behind', async () => {
  const prepared = await prepare(15, 'CREATE TABLE private (n int)');
  const { settings, database } = prepared;
  const reader = { ...settings, user: 'odd_reader' };
  for (const tool of [native, wasm]) {
    await underSnapshot(settings, async request => {
      const run = (change: Partial<ArchiveRequest>) => readArchiveHead({ ...request, tool, ...change });
      await assert.rejects(run({ settings: reader }), {
        code: 'PERMISSION_DENIED',
        message: /database dätä .*: query failed: permission denied for table private/,
      });
      await assert.rejects(run({ snapshot: '00000003-0000001B-1' }), { code: 'SNAPSHOT_LOST' });
      await assert.rejects(run({ snapshot: 'nonsense' }), { code: 'SNAPSHOT_LOST' });
      await assert.rejects(run({ args: ['--table=nothing'] }), { code: 'NOTHING_MATCHES' });
      await assert.rejects(run({ args: ['--no-such-option'] }), { code: 'PG_DUMP_FAILED' });
      await assert.rejects(
        run({ settings: { ...settings, database: 'absent' } }),
        /database .?absent.? does not exist/,
      );
    });
    assert.deepEqual(await otherSessions(database), []);
  }
});

test('a pg_dump that can not be started is an error', async () => {
  const { settings } = await prepare(15, 'SELECT 1');
  const tool: PgDumpTool = { ...native, path: '/nonexistent/pg_dump' };
  const request = { settings, serverVersion: 150000, snapshot: 'x', args: [], tool };
  await assert.rejects(readArchiveHead(request), { code: 'PG_DUMP_FAILED', message: /ENOENT/ });
  await assert.rejects(readArchiveHead({ ...request, tool: wasm, serverVersion: 190000 }), {
    code: 'CLIENT_TOO_OLD',
  });
});

test('an abort ends it, also where it waits for a lock', async () => {
  for (const tool of [native, wasm]) {
    const { settings, database } = await prepare(15, 'CREATE TABLE locked (n int)');
    const locker = await connect(settings);
    await underSnapshot(settings, async request => {
      await locker.query('BEGIN; LOCK TABLE public.locked IN ACCESS EXCLUSIVE MODE');
      const abort = new AbortController();
      const head = readArchiveHead({ ...request, tool, signal: abort.signal });
      setTimeout(() => abort.abort(), 400);
      await assert.rejects(head, { name: 'AbortError' });
      await assert.rejects(readArchiveHead({ ...request, tool, signal: abort.signal }), {
        name: 'AbortError',
      });
      const waiting = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      for (let triesLeft = 20; (await query(database.url, waiting)).length > 0; triesLeft--) {
        assert.ok(triesLeft > 0, 'a session still waits for the lock');
        await delay(50);
      }
    });
    await locker.end();
    assert.deepEqual(await otherSessions(database), []);
  }
});

test('a server that goes away is an error', async () => {
  for (const tool of [native, wasm]) {
    const { settings, database } = await prepare(15, 'CREATE TABLE locked (n int)');
    const locker = await connect(settings);
    await underSnapshot(settings, async request => {
      await locker.query('BEGIN; LOCK TABLE public.locked IN ACCESS EXCLUSIVE MODE');
      const head = readArchiveHead({ ...request, tool });
      const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      const killing = (async () => {
        while ((await query(database.url, kill)).length === 0) await delay(20);
      })();
      await assert.rejects(head, { code: 'CONNECTION_LOST' });
      await killing;
    });
    await locker.end();
  }
});
