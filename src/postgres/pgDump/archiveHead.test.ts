/** The native pg_dumps and the WebAssembly one, over sessions of real servers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Database, freshDatabase, query } from '../../../tests/support/databases.ts';
import { pgDumpTool } from '../../../tests/support/fingerprint.ts';
import {
  type ClientMajor,
  clientPrograms,
  DEBIAN_15,
  debianLacks,
  type Major,
  server,
  serverLacks,
} from '../../../tests/support/servers.ts';
import type { Archive, ArchiveEntry } from '../archive/entry.ts';
import { withoutInternalOptions } from '../archive/internalOptions.ts';
import { parseArchive } from '../archive/parse.ts';
import { writeArchive } from '../archive/write.ts';
import { connect } from '../connect.ts';
import { Session } from '../session.ts';
import type { ConnectionSettings } from '../settings/connectionSettings.ts';
import { resolveSettings } from '../settings/settings.ts';
import { readArchiveHead } from './archiveHead.ts';
import { builtIn, installedPgDumps, type PgDumpTool } from './tool.ts';

const ODD_SQL = readFileSync(
  path.join(import.meta.dirname, '../../../tests/support/odd/archive.sql'),
  'utf8',
);
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

/** Runs `use` on a session that is in a transaction with a snapshot of its own. */
async function underSnapshot<T>(
  settings: ConnectionSettings,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await Session.open(settings);
  try {
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await session.query('SELECT 1');
    return await use(session);
  } finally {
    await session.close();
  }
}

const headOf = ({ settings }: Prepared, tool: PgDumpTool, args: string[] = []) =>
  underSnapshot(settings, session => readArchiveHead({ session, tool, args }));

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
    await underSnapshot(prepared.settings, async session => {
      await query(prepared.database.url, 'CREATE TABLE later (n int)');
      const tables = async (args: string[]) =>
        (await readArchiveHead({ session, tool, args })).archive.entries
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
    assert.equal(one.archive.text, encoding);
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
    const { archive, bytes } = await underSnapshot(settings, session =>
      readArchiveHead({ session, tool, args: [] }),
    );
    const tookMs = Math.round(performance.now() - startMs);
    t.diagnostic(`${tool.kind} on ${major}: ${bytes.length} bytes in ${tookMs} ms`);
    assert.equal(archive.entries.filter(entry => entry.desc === 'TABLE DATA').length, MANY_TABLES);
    await database.drop();
  }
});

test('what fails is named, and leaves the session as it was', async () => {
  const prepared = await prepare(15, "CREATE SEQUENCE private; CREATE TABLE t AS SELECT 'é' AS n");
  const { settings, database } = prepared;
  for (const tool of [native, wasm]) {
    await underSnapshot({ ...settings, user: 'odd_reader' }, async session => {
      const denied = {
        code: 'PERMISSION_DENIED',
        message: /database dätä .* permission denied for .*private/,
      };
      await assert.rejects(readArchiveHead({ session, tool, args: [] }), denied);
      await assert.rejects(readArchiveHead({ session, tool, args: [] }), denied);
    });
    await underSnapshot(settings, async session => {
      const before = await stateOf(session);
      const run = (args: string[]) => readArchiveHead({ session, tool, args });
      await assert.rejects(run(['--table=nothing']), { code: 'NOTHING_MATCHES' });
      await assert.rejects(run(['--no-such-option']), { code: 'PG_DUMP_FAILED' });
      await run([]);
      assert.deepEqual(await stateOf(session), before);
      assert.deepEqual(await session.query('SELECT n FROM public.t'), [{ n: 'é' }]);
    });
    assert.deepEqual(await otherSessions(database), []);
  }
});

/** What a session's user would notice of pg_dump having been there. */
async function stateOf(session: Session): Promise<unknown> {
  const settings = 'SELECT name, setting FROM pg_catalog.pg_settings ORDER BY name';
  const rest = `SELECT pg_catalog.pg_current_snapshot()::text AS snapshot,
    (SELECT count(*) FROM pg_catalog.pg_prepared_statements) AS prepared,
    (SELECT count(*) FROM pg_catalog.pg_cursors) AS cursors`;
  return [await session.query(settings), await session.query(rest)];
}

test('a transaction that has written sees its own, with every tool, and goes on', async () => {
  const { settings, database } = await prepare(15, 'CREATE TABLE kept (n int)');
  for (const tool of [native, wasm]) {
    const session = await Session.open(settings);
    await session.run('BEGIN; DROP TABLE public.kept; CREATE TABLE public.mine (n int)');
    const { archive } = await readArchiveHead({ session, tool, args: [] });
    const tables = archive.entries.filter(entry => entry.desc === 'TABLE').map(entry => entry.tag);
    assert.deepEqual(tables, ['mine']);
    await session.run('CREATE TABLE public.later (n int)');
    const again = await readArchiveHead({ session, tool, args: ['--schema-only'] });
    assert.equal(again.archive.entries.filter(entry => entry.desc === 'TABLE').length, 2);
    await session.run('ROLLBACK');
    await session.close();
    assert.deepEqual(await query(database.url, 'SELECT * FROM kept'), []);
  }
});

for (const [major, client] of [
  [15, 15],
  [15, 19],
  [16, 17],
  [17, 17],
  [18, 18],
  [19, 19],
] as const) {
  test(`pg_dump ${client} of PostgreSQL ${major} writes the same bytes by itself`, {
    skip: lacks(major, client),
  }, async () => {
    for (const encoding of ['UTF8', 'LATIN1'] as const) {
      const { settings, database } = await prepare(major, ODD_SQL, encoding);
      for (const args of [[], ['--schema-only'], ['--data-only', '--exclude-table=*.no*']]) {
        const alone = await pgDumpAlone(client, database, args);
        const tool = await pgDumpTool(client);
        const { bytes, archive } = await underSnapshot(settings, session =>
          readArchiveHead({ session, tool, args }),
        );
        archive.header.created = alone.header.created;
        assert.equal(archive.entries.length, alone.entries.length);
        assert.ok(bytes.length > 0 && writeArchive(archive).equals(writeArchive(alone)));
      }
    }
  });
}

/** The table of contents that pg_dump writes over a connection of its own. */
async function pgDumpAlone(client: ClientMajor, database: Database, args: string[]): Promise<Archive> {
  const options = ['--format=custom', '--compress=0', '--create', '--no-sync', ...args];
  const { stdout } = await promisify(execFile)(
    path.join(clientPrograms(client), 'pg_dump'),
    [...options, `--dbname=${database.url}`],
    { encoding: 'buffer', maxBuffer: 64 << 20 },
  );
  return withoutInternalOptions(parseArchive(stdout).archive);
}

function lacks(major: Major, client: ClientMajor): string | false {
  return serverLacks(major) || debianLacks(client);
}

test('a pg_dump that can not be started, or crashes, is an error', async () => {
  const { settings } = await prepare(15, 'SELECT 1');
  const crash = path.join(await mkdtemp(path.join(tmpdir(), 'tidemark-crash-')), 'pg_dump');
  await writeFile(crash, '#!/bin/sh\nkill -SEGV $$\n', { mode: 0o755 });
  await underSnapshot(settings, async session => {
    const run = (file: string) => readArchiveHead({ session, args: [], tool: { ...native, path: file } });
    await assert.rejects(run('/nonexistent/pg_dump'), { code: 'PG_DUMP_FAILED', message: /ENOENT/ });
    await assert.rejects(run(crash), {
      code: 'PG_DUMP_FAILED',
      message: /it ended by SIGSEGV$/,
      hint: /said nothing/,
    });
    const old: PgDumpTool = { ...wasm, major: 14 };
    await assert.rejects(readArchiveHead({ session, args: [], tool: old }), { code: 'CLIENT_TOO_OLD' });
  });
  await rm(path.dirname(crash), { recursive: true });
});

/** A lock that one of pg_dump's questions, about a view, waits for. */
const VIEWED = 'CREATE TABLE locked (n int); CREATE VIEW seen AS SELECT * FROM locked';
const LOCK = 'BEGIN; LOCK TABLE public.locked IN ACCESS EXCLUSIVE MODE';
const WAITING = `FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;

test('an abort ends it, also where it waits for a lock', async () => {
  for (const tool of [native, wasm]) {
    const { settings, database } = await prepare(15, VIEWED);
    const locker = await connect(settings);
    await underSnapshot(settings, async session => {
      await locker.query(LOCK);
      const abort = new AbortController();
      const head = readArchiveHead({ session, args: [], tool, signal: abort.signal });
      setTimeout(() => abort.abort(), 1000);
      await assert.rejects(head, { name: 'AbortError' });
      for (let triesLeft = 20; (await query(database.url, `SELECT pid ${WAITING}`)).length > 0; triesLeft--) {
        assert.ok(triesLeft > 0, 'a session still waits for the lock');
        await delay(50);
      }
    });
    await locker.end();
    assert.deepEqual(await otherSessions(database), []);
  }
});

test('it waits for a lock no longer than it may, and the session stays', async () => {
  for (const tool of [native, wasm]) {
    const { settings } = await prepare(15, VIEWED);
    const locker = await connect(settings);
    await underSnapshot(settings, async session => {
      await locker.query(LOCK);
      const head = readArchiveHead({ session, args: [], tool, lockTimeoutMs: 300 });
      await assert.rejects(head, { code: 'LOCK_TIMEOUT' });
      assert.deepEqual(await session.query('SELECT 1 AS one'), [{ one: '1' }]);
    });
    await locker.end();
  }
});

test('a server that goes away is an error', async () => {
  for (const tool of [native, wasm]) {
    const { settings, database } = await prepare(15, VIEWED);
    const locker = await connect(settings);
    await underSnapshot(settings, async session => {
      await locker.query(LOCK);
      const head = readArchiveHead({ session, args: [], tool });
      const killing = (async () => {
        while ((await query(database.url, `SELECT pg_terminate_backend(pid) ${WAITING}`)).length === 0)
          await delay(20);
      })();
      await assert.rejects(head, { code: 'CONNECTION_LOST' });
      await killing;
    });
    await locker.end();
  }
});
