import { TidemarkError, usageError } from '../../base/errors.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteName, Session } from '../../postgres/session.ts';
import { type ConnectionSettings, describeSettings, withDatabase } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** Databases that every server has; the first that lets us in is where databases are created from. */
const MAINTENANCE = ['postgres', 'template1'];

/** A session from which databases of the server can be created, renamed and dropped. */
export async function openMaintenance(settings: ConnectionSettings): Promise<Session> {
  let failure: unknown;
  for (const database of MAINTENANCE) {
    try {
      return await Session.open(withDatabase(settings, database));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** DATABASE_EXISTS where there is one of that name. */
export async function refuseExisting(session: Session, name: string): Promise<void> {
  const found = await session.query('select 1 from pg_catalog.pg_database where datname = $1', [name]);
  if (found.length === 0) return;
  throw usageError(
    'DATABASE_EXISTS',
    `there is a database ${name} already`,
    'choose another name, or restore over it with --in-place or --to … --clean',
  );
}

/** Refuses a database that holds anything, or empties it if it may. */
export async function requireEmpty(settings: ConnectionSettings, clean: boolean): Promise<void> {
  const session = await Session.open(settings);
  try {
    const contents = await session.query(sqlFile('target_contents'));
    if (contents.length === 0) return;
    if (!clean) {
      const things = contents.slice(0, 3).map(row => row.thing);
      throw usageError(
        'TARGET_NOT_EMPTY',
        `${describeSettings(settings)} is not empty: it holds ${things.join(', ')}${contents.length > 3 ? ', …' : ''}`,
        'restore into a new database with --new NAME, or say --clean to remove everything in it first',
      );
    }
    await session.run(sqlFile('clean_database'));
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    throw new TidemarkError(
      'CLEAN_FAILED',
      `can't empty ${describeSettings(settings)}: ${error.message}`,
      'nothing was removed; it takes the owner of all that is in the database',
      { cause: error },
    );
  } finally {
    await session.close();
  }
}

export async function dropDatabase(session: Session, name: string): Promise<void> {
  await session.run(`DROP DATABASE IF EXISTS ${quoteName(name)} WITH (FORCE)`);
}
