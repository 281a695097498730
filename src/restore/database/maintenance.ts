import { type TidemarkError, usageError } from '../../base/errors.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteName, Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings, withDatabase } from '../../postgres/settings/settings.ts';

/** Databases that every server has; the first that lets us in is where databases are created, renamed and dropped from. */
const MAINTENANCE = ['postgres', 'template1'];
/** How long a statement of ours waits for whoever else changes the same database. */
const LOCK_WAIT_MS = 30_000;
/** Bytes of a name in PostgreSQL (NAMEDATALEN less one); a longer one is cut without an error. */
const NAME_BYTES = 63;
/** Times a database is tried to be dropped: a consumer of one of its slots may be connected for a moment. */
const DROP_ATTEMPTS = 10;
const DROP_PAUSE_MS = 300;

const IN_USE = '55006';

/**
 * A session from which databases of the server can be created, renamed and dropped.
 *
 * @param except a database that it must not be in, since it is to be renamed or dropped.
 */
export async function openMaintenance(settings: ConnectionSettings, except?: string): Promise<Session> {
  let failure: unknown;
  for (const database of MAINTENANCE.filter(name => name !== except)) {
    try {
      const session = await Session.open(withDatabase(settings, database));
      await session.run(`SET lock_timeout = ${LOCK_WAIT_MS}`);
      return session;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** NAME_TOO_LONG where the server would cut the name, DATABASE_EXISTS where there is a database of that name. */
export async function requireFree(session: Session, name: string): Promise<void> {
  const [row] = await session.query(
    'select $1::pg_catalog.text::pg_catalog.name::pg_catalog.text as kept, exists (select from pg_catalog.pg_database where datname operator(pg_catalog.=) $1) as found',
    [name],
  );
  if (row!.kept !== name) {
    throw usageError(
      'NAME_TOO_LONG',
      `${JSON.stringify(name)} is too long for the name of a database: PostgreSQL keeps ${NAME_BYTES} bytes, ${JSON.stringify(row!.kept)}`,
      'choose a shorter name',
    );
  }
  if (row!.found !== 't') return;
  throw usageError(
    'DATABASE_EXISTS',
    `there is a database ${name} already`,
    'choose another name; --to URL --clean empties and fills a database that is there',
  );
}

/** Drops a database whatever it is marked as and whoever is connected; nothing where there is none. */
export async function dropDatabase(session: Session, name: string): Promise<void> {
  const [found] = await session.query(
    'select datistemplate as template from pg_catalog.pg_database where datname operator(pg_catalog.=) $1',
    [name],
  );
  if (!found) return;
  if (found.template === 't') await session.run(`ALTER DATABASE ${quoteName(name)} IS_TEMPLATE false`);
  for (let attempt = 1; ; attempt++) {
    try {
      await session.run(`DROP DATABASE IF EXISTS ${quoteName(name)} WITH (FORCE)`);
      return;
    } catch (error) {
      const again = error instanceof PostgresError && error.code === IN_USE && attempt < DROP_ATTEMPTS;
      if (!again) throw error;
      await new Promise(resolve => setTimeout(resolve, DROP_PAUSE_MS));
    }
  }
}

/** What the server said, in one line; other failures as they are. */
export function serverMessage(error: unknown): string {
  return PostgresError.of(error)?.said() ?? (error as Error).message;
}

/** Refuses what a role without CREATEDB can't do, before anything is done. */
export function createdbMissing(settings: ConnectionSettings, role: string, why: string): TidemarkError {
  return usageError(
    'CREATEDB_MISSING',
    `the role ${role} may not create databases, which ${why} takes, on ${describeSettings(settings)}`,
    `restore with --to URL --clean, which empties and fills the database that is there; or let the role create databases: ALTER ROLE ${quoteName(role)} CREATEDB`,
  );
}
