import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteName, Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings, withDatabase } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { dropDatabase, openMaintenance, serverMessage } from './maintenance.ts';
import { readUses, refusePrepared, type Subscription } from './replaced.ts';
import { leftoverPattern, replacedName } from './workingName.ts';

/** Times the names are tried to change, some five seconds each: an application's pool reconnects at once. */
const ATTEMPTS = 5;
const END_CONNECTIONS_MS = 100;

const IN_USE = '55006';

/**
 * Gives the database `working` the name of the settings' database, which gets the name that it resolves to and is kept
 * under it. Both names change in one transaction, so that at any moment, whatever is killed, there is a whole database
 * under the name, open to all. Its sessions are ended for that, and its subscriptions disabled, so that nothing is written
 * to it afterwards. Throws SWAP_FAILED with everything as it was.
 */
export async function swapDatabases(settings: ConnectionSettings, working: string): Promise<string> {
  const name = settings.database;
  const old = replacedName(working);
  const session = await openMaintenance(settings, name);
  const disabled: Subscription[] = [];
  try {
    const uses = await readUses(session, name);
    refusePrepared(uses, describeSettings(settings), 'replaced');
    await disable(settings, uses.subscriptions, disabled);
    const rename = `BEGIN; ALTER DATABASE ${quoteName(name)} RENAME TO ${quoteName(old)}; ALTER DATABASE ${quoteName(working)} RENAME TO ${quoteName(name)}; COMMIT`;
    await alone(settings, [name, working], () => attempt(session, rename));
    return old;
  } catch (error) {
    const left = await enable(settings, disabled);
    if (error instanceof TidemarkError) {
      const { code, message, hint } = error;
      throw new TidemarkError(code, message + left, hint, { cause: error });
    }
    const there = await whoIsThere(session, settings);
    const server = PostgresError.of(error);
    const what = `can't replace ${describeSettings(settings)}${left}`;
    throw server?.explained({ code: 'SWAP_FAILED', what, otherwise: there }) ?? error;
  } finally {
    await session.close();
  }
}

/** Drops what was replaced, once nothing needs it; its subscriptions go without a word to their publishers. */
export async function dropReplaced(settings: ConnectionSettings, old: string): Promise<void> {
  const session = await openMaintenance(settings, old);
  try {
    const { subscriptions } = await readUses(session, old);
    if (subscriptions.length > 0) {
      const inside = await Session.open(withDatabase(settings, old));
      try {
        await dropSubscriptions(inside, subscriptions);
      } finally {
        await inside.close();
      }
    }
    await dropDatabase(session, old);
  } finally {
    await session.close();
  }
}

/** Without their slots on the publishers, which those who restore may not reach, or want to go on with. */
export async function dropSubscriptions(session: Session, subscriptions: Subscription[]): Promise<void> {
  for (const { name } of subscriptions) {
    const quoted = quoteName(name);
    await session.run(
      `ALTER SUBSCRIPTION ${quoted} DISABLE; ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE); DROP SUBSCRIPTION ${quoted}`,
    );
  }
}

/** Notes each in `done`, so that it can be undone. */
async function disable(
  settings: ConnectionSettings,
  subscriptions: Subscription[],
  done: Subscription[],
): Promise<void> {
  const enabled = subscriptions.filter(subscription => subscription.enabled);
  if (enabled.length === 0) return;
  const session = await Session.open(settings);
  try {
    for (const subscription of enabled) {
      await session.run(`ALTER SUBSCRIPTION ${quoteName(subscription.name)} DISABLE`);
      done.push(subscription);
    }
  } finally {
    await session.close();
  }
}

/** Resolves to what is to be said of those that could not be enabled again, or to nothing. */
async function enable(settings: ConnectionSettings, disabled: Subscription[]): Promise<string> {
  if (disabled.length === 0) return '';
  try {
    const session = await Session.open(settings);
    try {
      for (const { name } of disabled) await session.run(`ALTER SUBSCRIPTION ${quoteName(name)} ENABLE`);
      return '';
    } finally {
      await session.close();
    }
  } catch (error) {
    const names = disabled.map(({ name }) => name).join(', ');
    return `; its subscriptions ${names} are disabled and could not be enabled again: ${serverMessage(error)}`;
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
      if (!(error instanceof PostgresError) || error.code !== IN_USE || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Ends all connections to these databases, again and again while the work goes on; those that can't be ended stay. */
async function alone(
  settings: ConnectionSettings,
  names: string[],
  work: () => Promise<void>,
): Promise<void> {
  const other = await openMaintenance(settings, settings.database);
  let working = true;
  const ending = (async () => {
    while (working) {
      for (const name of names) await endSessions(other, name);
      await delay(END_CONNECTIONS_MS);
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

async function endSessions(session: Session, database: string): Promise<void> {
  const rows = await session.query(sqlFile('database_uses'), [database, leftoverPattern(database)]);
  for (const row of rows) {
    if (row.kind !== 'session' || row.removable !== 't') continue;
    // One that is not ours to end is no reason to leave the others.
    await session.query('select pg_catalog.pg_terminate_backend($1)', [row.name]).catch(error => {
      if (!(error instanceof PostgresError)) throw error;
    });
  }
}

async function whoIsThere(session: Session, { database }: ConnectionSettings): Promise<string> {
  const rows = await session
    .query(sqlFile('database_uses'), [database, leftoverPattern(database)])
    .catch(() => []);
  const sessions = rows.filter(row => row.kind === 'session').map(row => row.detail);
  const there = sessions.length > 0 ? `connected to it: ${sessions.slice(0, 5).join('; ')}\n` : '';
  return `${there}stop what connects to it and run this again, or restore with --new NAME and let the application connect there`;
}
