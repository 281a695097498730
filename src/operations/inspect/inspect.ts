import { asTidemarkError, TidemarkError } from '../../base/errors.ts';
import { explainCaptureError } from '../../capture/logical/explain.ts';
import { type LockRoom, readLockRoom } from '../../capture/logical/lockRoom.ts';
import { type Environment, findPgDump, type PgDumpTool } from '../../postgres/pgDump/tool.ts';
import { transactionPoolerError } from '../../postgres/pooler.ts';
import { type Row, Session } from '../../postgres/session.ts';
import { setForTransaction } from '../../postgres/sessionStart.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { detect, MARKS, poolerWarning } from '../../providers/index.ts';
import type { PoolerWarning, Provider, ServerMarks } from '../../providers/provider.ts';

/** The oldest version that is supported, and the newest that this tidemark was tried with. */
export const OLDEST_MAJOR = 15;
export const NEWEST_MAJOR = 19;

/** What a database, its server and the connected role turned out to be. */
export interface Inspection {
  /** As `shop on db.example.com:5432`. */
  where: string;
  database: string;
  serverVersion: string;
  serverMajor: number;
  sizeBytes: number;
  encoding: string;
  inRecovery: boolean;
  provider: Provider;
  rights: Rights;
  relations: Relation[];
  /** User mappings of which the role can't see the options. */
  unseenMappings: string[];
  lockRoom: LockRoom;
  /** Null where no pooler was found; else what is wrong, and where to connect instead. */
  pooler: TidemarkError | PoolerWarning | null;
  pgDump: PgDumpTool | TidemarkError;
  /** What was odd about the connection settings. */
  warnings: string[];
}

export interface Rights {
  role: string;
  superuser: boolean;
  bypassrls: boolean;
  createdb: boolean;
  replication: boolean;
  readsAll: boolean;
  readsPasswords: boolean;
  largeObjectsDenied: number;
}

/** A table or a sequence that a backup reads. */
export interface Relation {
  schema: string;
  name: string;
  kind: 'table' | 'sequence';
  obstacle: 'denied' | 'hidden' | null;
}

/**
 * Connects to a database and looks at everything that a backup depends on; changes nothing.
 *
 * @throws TidemarkError when it can't connect, and VERSION_UNSUPPORTED for servers that are too old.
 */
export async function inspectDatabase(
  settings: ConnectionSettings,
  environment: Environment,
  signal: AbortSignal,
): Promise<Inspection> {
  signal.throwIfAborted();
  const session = await Session.open(settings, 'tidemark check', signal, { transactionPooler: true });
  const stop = () => session.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    requireVersion(session, describeSettings(settings));
    return await inspect(session, environment);
  } catch (error) {
    signal.throwIfAborted();
    throw explainCaptureError(error, describeSettings(settings));
  } finally {
    signal.removeEventListener('abort', stop);
    await session.close();
  }
}

async function inspect(session: Session, environment: Environment): Promise<Inspection> {
  const { settings } = session;
  // One transaction, so that through a pooler in transaction mode everything is asked of one server session.
  await session.run(`BEGIN TRANSACTION READ ONLY; ${setForTransaction()}`);
  const [facts] = await session.query(sqlFile('server_facts'));
  const [rights] = await session.query(sqlFile('backup_rights'));
  const [marks] = await session.query(sqlFile('provider_marks'), [
    MARKS.settings,
    MARKS.roles,
    MARKS.schemas,
  ]);
  const relations = await session.query(sqlFile('backup_obstacles'));
  const mappings = await session.query(sqlFile('unseen_mappings'));
  const lockRoom = await readLockRoom(session);
  await session.run('COMMIT');
  const superuser = rights!.superuser === 't';
  const provider = detect({ addresses: settings.hosts, marks: readMarks(marks!), superuser });
  return {
    where: describeSettings(settings),
    database: facts!.database!,
    serverVersion: facts!.server_version!,
    serverMajor: session.serverMajor,
    sizeBytes: Number(facts!.size_bytes),
    encoding: facts!.encoding!,
    inRecovery: facts!.in_recovery === 't',
    provider,
    rights: readRights(rights!),
    relations: relations.map(readRelation),
    unseenMappings: mappings.map(({ name, server }) => `${name} on ${server}`),
    lockRoom,
    pooler: findPooler(session, provider),
    pgDump: await findPgDump(session.serverMajor, environment).catch(asTidemarkError),
    warnings: settings.warnings ?? [],
  };
}

function requireVersion({ serverMajor }: Session, where: string): void {
  if (serverMajor >= OLDEST_MAJOR) return;
  throw new TidemarkError(
    'VERSION_UNSUPPORTED',
    `${where} is PostgreSQL ${serverMajor}; tidemark needs ${OLDEST_MAJOR} or later`,
    `upgrade the server (pg_upgrade, or a restore of its pg_dump): ${OLDEST_MAJOR} is the oldest that is supported`,
  );
}

/** What the server does counts; what the address looks like, only where the server shows nothing. */
function findPooler(session: Session, provider: Provider): Inspection['pooler'] {
  const { hosts, user } = session.settings;
  const warning = poolerWarning(
    provider,
    hosts.map(({ host, port }) => ({ host, port, user })),
  );
  if (!session.isTransactionPooled) return warning;
  const { code, message, hint } = transactionPoolerError(session.settings);
  return new TidemarkError(code, message, warning ? `connect to ${warning.instead}` : hint);
}

function readRights(row: Row): Rights {
  return {
    role: row.role!,
    superuser: row.superuser === 't',
    bypassrls: row.bypassrls === 't',
    createdb: row.createdb === 't',
    replication: row.replication === 't',
    readsAll: row.reads_all === 't',
    readsPasswords: row.reads_passwords === 't',
    largeObjectsDenied: Number(row.largeobjects_denied),
  };
}

function readRelation(row: Row): Relation {
  return {
    schema: row.schema!,
    name: row.name!,
    kind: row.kind === 'S' ? 'sequence' : 'table',
    obstacle: row.obstacle as Relation['obstacle'],
  };
}

function readMarks(row: Row): ServerMarks {
  const names = (text: string | null | undefined) => JSON.parse(text ?? '[]') as string[];
  return { settings: names(row.settings), roles: names(row.roles), schemas: names(row.schemas) };
}
