import { type TidemarkError, usageError } from '../../base/errors.ts';
import { quoteLiteral, quoteName, type Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { createdbMissing } from './maintenance.ts';
import { leftoverPattern } from './workingName.ts';

/** Named in full before the rest is only counted. */
const NAMED = 10;

export interface Subscription {
  name: string;
  /** Its slot on the publisher, if it has one. */
  slot: string | null;
  enabled: boolean;
}

/** What hangs on a database outside of it. */
export interface DatabaseUses {
  prepared: { id: string; detail: string }[];
  /** Logical replication slots. */
  slots: string[];
  subscriptions: Subscription[];
  /** Sessions that can be ended when it comes to that. */
  sessions: number;
  /** Databases beside it that a restore which was cut off left, or that one which is running works in. */
  leftovers: string[];
  /** What the role may not end or change, in words. */
  beyond: string[];
}

export async function readUses(session: Session, database: string): Promise<DatabaseUses> {
  const rows = await session.query(sqlFile('database_uses'), [database, leftoverPattern(database)]);
  const of = (kind: string) => rows.filter(row => row.kind === kind);
  return {
    prepared: of('prepared transaction').map(row => ({ id: row.name!, detail: row.detail! })),
    slots: of('slot').map(row => row.name!),
    subscriptions: of('subscription').map(row => ({
      name: row.name!,
      slot: row.detail ?? null,
      enabled: row.active === 't',
    })),
    sessions: of('session').length,
    leftovers: of('leftover').map(row => row.name!),
    beyond: rows
      .filter(row => row.removable === 'f' && row.kind !== 'prepared transaction')
      .map(row => (row.kind === 'session' ? row.detail! : `subscription ${row.name}`)),
  };
}

/**
 * Whether the database can be replaced by another one that takes its name. Everything that would make it fail at the end
 * is looked for here, before the work is begun.
 *
 * @param session to another database of the server.
 */
export async function requireReplaceable(
  session: Session,
  settings: ConnectionSettings,
): Promise<DatabaseUses> {
  const where = describeSettings(settings);
  const [found] = await session.query(sqlFile('replaced_database'), [settings.database]);
  if (!found) {
    throw usageError(
      'DATABASE_MISSING',
      `there is no database ${where} to be replaced`,
      `create it with --new ${settings.database}`,
    );
  }
  if (found.creates_databases !== 't') throw createdbMissing(settings, found.role!, 'a restore in place');
  if (found.owned !== 't') {
    throw usageError(
      'DATABASE_NOT_OWNED',
      `the role ${found.role} may not rename ${where}, which belongs to ${found.owner}`,
      `connect as ${found.owner} or as a superuser, or restore with --new NAME`,
    );
  }
  if (found.allows_connections !== 't') {
    throw usageError(
      'CONNECTIONS_REFUSED',
      `${where} allows no connections, so no safety snapshot of it can be taken`,
      `ALTER DATABASE ${quoteName(settings.database)} ALLOW_CONNECTIONS true`,
    );
  }
  const uses = await readUses(session, settings.database);
  refusePrepared(uses, where, 'replaced');
  if (uses.beyond.length > 0) throw notEndable(found.role!, uses.beyond, where);
  return uses;
}

/** A prepared transaction holds its locks and its database until somebody ends it. */
export function refusePrepared({ prepared }: DatabaseUses, where: string, done: string): void {
  if (prepared.length === 0) return;
  const named = prepared.slice(0, NAMED).map(({ id, detail }) => `${quoteLiteral(id)} ${detail}`);
  const first = quoteLiteral(prepared[0]!.id);
  throw usageError(
    'PREPARED_TRANSACTIONS',
    `${where} can't be ${done}: it has prepared transactions: ${list(named, prepared.length)}`,
    `end each, connected to that database: COMMIT PREPARED ${first}, or ROLLBACK PREPARED ${first}`,
  );
}

function notEndable(role: string, beyond: string[], where: string): TidemarkError {
  return usageError(
    'SESSIONS_NOT_ENDABLE',
    `the role ${role} may not end what uses ${where}: ${list(beyond.slice(0, NAMED), beyond.length)}`,
    'close these sessions, drop these subscriptions, or connect as a superuser; or restore with --new NAME',
  );
}

export function list(named: string[], total: number): string {
  return named.join('; ') + (total > named.length ? `; and ${total - named.length} more` : '');
}
