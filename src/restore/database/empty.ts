import { usageError } from '../../base/errors.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** Things named before the rest is left to an ellipsis. */
const NAMED = 3;

/** TARGET_NOT_EMPTY where the database holds more than extensions. */
export async function requireEmpty(settings: ConnectionSettings): Promise<void> {
  const things = await contentsOf(settings);
  if (things.length === 0) return;
  throw usageError(
    'TARGET_NOT_EMPTY',
    `${describeSettings(settings)} is not empty: it holds ${things.slice(0, NAMED).join(', ')}${things.length > NAMED ? ', …' : ''}`,
    'restore into a new database with --new NAME, or say --clean to remove everything in it first',
  );
}

/** What is in a database, but for extensions and what belongs to them: `table public.orders`. */
export async function contentsOf(settings: ConnectionSettings): Promise<string[]> {
  const session = await Session.open(settings);
  try {
    const rows = await session.query(sqlFile('removable_objects'));
    const counted = rows.filter(row => row.kind !== 'extension' && row.kind !== 'foreign key');
    return counted.map(row => `${row.kind} ${row.name}`);
  } finally {
    await session.close();
  }
}
