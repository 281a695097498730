import { serverAccount } from '../src/postgres/server/account.ts';
import { runnablePrograms } from '../src/postgres/server/programs.ts';
import { type Server, startServer } from '../src/postgres/server/throwaway.ts';
import { Session } from '../src/postgres/session.ts';
import { resolveSettings } from '../src/postgres/settings/settings.ts';
import { loadData } from './data.ts';

/** Debian's place for the server's programs. */
const PROGRAMS = '/usr/lib/postgresql/15/bin';

/** A small production server's settings, but for fsync, which would measure the disk; the same for all. */
const CONFIGURATION: Record<string, string> = {
  fsync: 'off',
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  maintenance_work_mem: '128MB',
  autovacuum: 'off',
  max_locks_per_transaction: '512',
};

export async function benchServer(): Promise<Server> {
  const programs = await runnablePrograms(PROGRAMS, serverAccount());
  return startServer({ programs, configuration: CONFIGURATION });
}

/** Work in a database, on a connection of its own. */
export async function within<T>(
  server: Server,
  database: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const settings = await resolveSettings({ url: server.url(database) }, {}, '/');
  const session = await Session.open(settings, 'tidemark bench');
  try {
    // Sessions of ours begin with an empty search_path.
    await session.run('SET search_path = public');
    return await work(session);
  } finally {
    await session.close();
  }
}

const statement = (server: Server, database: string, sql: string) =>
  within(server, database, async session => {
    await session.run(sql);
  });

export async function makeApplication(server: Server, database: string, size: number): Promise<void> {
  await statement(server, 'postgres', `CREATE DATABASE ${database}`);
  await within(server, database, session => loadData(session, size));
}

const TABLES_A_STATEMENT = 500;

/** Many small tables, each with a key, an index and three rows. */
export async function makeTables(server: Server, database: string, count: number): Promise<void> {
  await statement(server, 'postgres', `CREATE DATABASE ${database}`);
  await within(server, database, async session => {
    for (let from = 0; from < count; from += TABLES_A_STATEMENT) {
      const names = Array.from({ length: Math.min(TABLES_A_STATEMENT, count - from) }, (_, i) => from + i);
      const one = (n: number) =>
        `CREATE TABLE t${n} (id integer PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());` +
        `CREATE INDEX ON t${n} (name); INSERT INTO t${n} SELECT i, 'name ' || i FROM generate_series(1, 3) i;`;
      await session.run(names.map(one).join('\n'));
    }
    await session.run('VACUUM ANALYZE');
  });
}

const SMALL_ROWS = 16_000_000;

/** One table of very many short rows: about 1 GB of COPY text at size 1. */
export async function makeRows(server: Server, database: string, size: number): Promise<void> {
  await statement(server, 'postgres', `CREATE DATABASE ${database}`);
  const rows = Math.round(SMALL_ROWS * size);
  const sql = `CREATE TABLE readings (id bigint, sensor integer, at timestamptz, value numeric);
   INSERT INTO readings SELECT i, i % 997, '2024-01-01'::timestamptz + i * interval '1 second', (i::bigint * 7919 % 100003) / 100.0
    FROM generate_series(1, ${rows}) i;
   ALTER TABLE readings ADD PRIMARY KEY (id)`;
  await statement(server, database, sql);
  await statement(server, database, 'VACUUM ANALYZE');
}

export const updateNewest = (server: Server, database: string) =>
  statement(server, database, `${UPDATE} WHERE id >= (SELECT count(*) - count(*) / 100 FROM documents)`);

/** Another hundredth every round, since what was updated lies together afterwards. */
export const updateScattered = (server: Server, database: string, round: number) =>
  statement(server, database, `${UPDATE} WHERE id % 100 = ${(round * 37 + 11) % 100}`);

const UPDATE = `UPDATE documents SET version = version + 1, updated = now(),
 data = jsonb_set(data, '{metrics,views}', to_jsonb((data #>> '{metrics,views}')::integer + 1))`;

/** Nothing that one tool left to do should be charged to the next. */
export const settle = (server: Server) => statement(server, 'postgres', 'CHECKPOINT');

export const vacuum = (server: Server, database: string) => statement(server, database, 'VACUUM ANALYZE');

export const drop = (server: Server, database: string) =>
  statement(server, 'postgres', `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
