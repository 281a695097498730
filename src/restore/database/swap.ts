import { TidemarkError } from '../../base/errors.ts';
import { quoteName, type Session } from '../../postgres/session.ts';
import { type ConnectionSettings, describeSettings } from '../../postgres/settings/settings.ts';
import { dropDatabase, openMaintenance } from './target.ts';

/** Times the names are tried to change: an application's pool reconnects at once. */
const ATTEMPTS = 5;
const END_CONNECTIONS_MS = 100;

const END_CONNECTIONS =
  'select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = any($1) and pid <> pg_catalog.pg_backend_pid()';

/**
 * Gives the database `working` the name of the settings' database, and drops the one that had it. Both names change in
 * one transaction, so that at any moment, whatever is killed, there is a whole database under the name, open to all.
 * Resolves to the name of the replaced database if it could not be dropped, which undoes nothing; else to undefined.
 */
export async function swapDatabases(
  settings: ConnectionSettings,
  working: string,
): Promise<string | undefined> {
  const name = settings.database;
  const old = `${working}_old`;
  const session = await openMaintenance(settings);
  try {
    const rename = `BEGIN; ALTER DATABASE ${quoteName(name)} RENAME TO ${quoteName(old)}; ALTER DATABASE ${quoteName(working)} RENAME TO ${quoteName(name)}; COMMIT`;
    await alone(settings, [name, working], () => attempt(session, rename));
    return await dropDatabase(session, old).then(
      () => undefined,
      () => old,
    );
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    throw new TidemarkError(
      'SWAP_FAILED',
      `can't replace ${describeSettings(settings)}: ${(error as Error).message}`,
      'it takes the owner of the database, with CREATEDB; or restore with --new and point the application there',
      { cause: error },
    );
  } finally {
    await session.close();
  }
}

/** A rename keeps new connections out and waits some seconds for the last ones to go; then it fails with object_in_use. */
async function attempt(session: Session, rename: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.run(rename);
      return;
    } catch (error) {
      await session.run('ROLLBACK');
      if ((error as { code?: string }).code !== '55006' || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Ends all connections to these databases, again and again while the work goes on. */
async function alone(
  settings: ConnectionSettings,
  names: string[],
  work: () => Promise<void>,
): Promise<void> {
  const other = await openMaintenance(settings);
  let working = true;
  const ending = (async () => {
    while (working) {
      await other.query(END_CONNECTIONS, [names]);
      await new Promise(resolve => setTimeout(resolve, END_CONNECTIONS_MS));
    }
  })();
  ending.catch(() => {});
  try {
    await work();
  } finally {
    working = false;
    await ending.catch(() => {});
    await other.close();
  }
}
