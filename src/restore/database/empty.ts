import { usageError } from '../../base/errors.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import { type ConnectionSettings, describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

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
    const what = `can't empty ${describeSettings(settings)}`;
    throw error.explained({ code: 'CLEAN_FAILED', what, remedy: 'nothing was removed' });
  } finally {
    await session.close();
  }
}
