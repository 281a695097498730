import { TidemarkError } from '../../base/errors.ts';
import { isLockRefused, PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { explainCaptureError } from './explain.ts';
import { lacksLockRoom, readLockRoom } from './lockRoom.ts';
import type { LockPatience } from './tableLocks.ts';

/** Times the set of tables may change between listing and locking before we give up. */
const LOCK_ATTEMPTS = 20;

export interface SourceTable {
  oid: string;
  schema: string;
  name: string;
  kind: 'r' | 'p';
  accessMethod: string;
  readable: boolean;
  hidesRows: boolean;
  mainBytes: number;
  tableBytes: number;
  columns: string;
  condition: string | null;
}

export interface ServerFacts {
  database: string;
  serverVersion: string;
  serverVersionNum: number;
  encoding: string;
  collate: string;
  ctype: string;
  localeProvider: string;
  icuLocale: string | null;
  sizeBytes: number;
  tables: number;
  /** Of the list of large objects. */
  largeObjectsBytes: number;
  inRecovery: boolean;
  superuser: boolean;
  role: string;
}

/** The transaction that everything is read under: its snapshot is exported, its locks keep the tables as they are. */
export interface Anchor {
  session: Session;
  facts: ServerFacts;
  snapshot: string;
  tables: SourceTable[];
}

/**
 * What pg_dump sets in its own sessions (pg_dump.c, setup_connection) beside what every session of ours has; bytes in one
 * form, whatever the database or the role prefers, since large objects are read again (part.ts); and parallel plans off,
 * so that a page range comes in the order of its pages. Rows come in the encoding that their COPY names.
 */
export const CAPTURE_SETTINGS = [
  'SET DateStyle = ISO',
  'SET IntervalStyle = POSTGRES',
  'SET extra_float_digits = 3',
  'SET bytea_output = hex',
  'SET synchronize_seqscans = off',
  "SELECT pg_catalog.set_config(name, 'view, foreign-table', false) FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
  'SET max_parallel_workers_per_gather = 0',
].join(';\n');

/** With the settings that rows are read under; it ends with the capture. */
export async function openCaptureSession(
  settings: ConnectionSettings,
  signal: AbortSignal,
): Promise<Session> {
  const session = await Session.open(settings, 'tidemark backup', signal);
  signal.addEventListener('abort', () => session.destroy(), { once: true });
  if (signal.aborted) session.destroy();
  await session.run(CAPTURE_SETTINGS);
  return session;
}

/** Locks first, snapshot second, so that nothing can change a table between the two. */
export async function lockAnchor(
  session: Session,
  facts: ServerFacts,
  wanted: (schema: string, table: string) => boolean,
  patience: LockPatience,
): Promise<Anchor> {
  try {
    const tables = await lockTables(session, wanted, patience);
    const [exported] = await session.query('select pg_catalog.pg_export_snapshot() as id');
    return { session, facts, snapshot: exported!.id!, tables };
  } catch (error) {
    throw explainCaptureError(error, describeSettings(session.settings));
  }
}

async function lockTables(
  session: Session,
  wanted: (schema: string, table: string) => boolean,
  patience: LockPatience,
): Promise<SourceTable[]> {
  const isWanted = (table: SourceTable) => wanted(table.schema, table.name) && table.readable;
  let missed: SourceTable | undefined;
  for (let attempt = 1; attempt <= LOCK_ATTEMPTS; ) {
    const before = (await listTables(session, [])).filter(isWanted);
    const refused = lacksLockRoom(before.length, await readLockRoom(session));
    if (refused) throw refused;
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      if (!(await patience.lock(session, before))) continue; // as often as the patience allows
      // The transaction's snapshot is taken by this query.
      const locked = new Set(before.map(table => table.oid));
      const tables = await listTables(session, locked);
      missed = tables.find(table => isWanted(table) && !locked.has(table.oid));
      if (!missed) return tables;
    } catch (error) {
      if (attempt === LOCK_ATTEMPTS || !isGone(error)) throw error;
    }
    await session.run('ROLLBACK');
    attempt++;
  }
  throw new TidemarkError(
    'TABLES_UNSTEADY',
    `tables are created faster than they can be locked, e.g. ${missed?.schema}.${missed?.name}`,
    'run the backup when no job creates tables, or exclude them with --exclude-table',
  );
}

/** Whether a table or a schema may have gone since it was listed, or an index is being changed. */
function isGone(error: unknown): boolean {
  if (isLockRefused(error)) return true;
  return error instanceof PostgresError && ['42P01', '3F000'].includes(error.code);
}

async function listTables(session: Session, locked: Iterable<string>): Promise<SourceTable[]> {
  const rows = await session.query(sqlFile('dump_tables'), [`{${[...locked].join(',')}}`]);
  return rows.map(row => ({
    oid: row.oid!,
    schema: row.schema!,
    name: row.name!,
    kind: row.kind as 'r' | 'p',
    accessMethod: row.access_method!,
    readable: row.readable === 't',
    hidesRows: row.hides_rows === 't',
    mainBytes: Number(row.main_bytes),
    tableBytes: Number(row.table_bytes),
    columns: row.columns!,
    condition: row.condition ?? null,
  }));
}

export async function readFacts(session: Session): Promise<ServerFacts> {
  const [row] = await session.query(sqlFile('server_facts'));
  return {
    database: row!.database!,
    serverVersion: row!.server_version!,
    serverVersionNum: Number(row!.server_version_num),
    encoding: row!.encoding!,
    collate: row!.collate!,
    ctype: row!.ctype!,
    localeProvider: row!.locale_provider!,
    icuLocale: row!.icu_locale ?? null,
    sizeBytes: Number(row!.size_bytes),
    tables: Number(row!.tables),
    largeObjectsBytes: Number(row!.large_objects_bytes),
    inRecovery: row!.in_recovery === 't',
    superuser: row!.superuser === 't',
    role: row!.role!,
  };
}
