/** Empties a database, so that it is like a new one: looks whether all can be removed, then removes it in batches. */
import { TidemarkError, usageError } from '../../base/errors.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { type DatabaseUses, list, readUses, refusePrepared } from './replaced.ts';

/**
 * Objects removed in one transaction. A table takes some six locks with its indexes, its sequence and what is out of line,
 * and a server has room for 6400 unless its owner changed that.
 */
const BATCH = 200;
/** How long a removal waits for a lock that somebody holds. */
const LOCK_WAIT_MS = 30_000;
/** What is removed may take others along, or leave some: it is listed anew. */
const ROUNDS = 4;
/** Named in full before the rest is only counted. */
const NAMED = 10;

const OUT_OF_SHARED_MEMORY = '53200';
const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

interface Removal {
  kind: string;
  name: string;
  statement: string;
  owner: string | null;
}

/** What emptying a database does and does not. */
export interface CleanPlan {
  removals: Removal[];
  /** Extensions that the role may not drop, and schemas that they live in. */
  kept: string[];
  /** Statements that make what initdb made as it was. */
  resets: { what: string; statement: string }[];
  uses: DatabaseUses;
}

/** What is in the way is an error, before anything is removed. */
export async function planClean(session: Session): Promise<CleanPlan> {
  const plan = await listClean(session);
  await refuseLocked(session, describeSettings(session.settings));
  return plan;
}

async function listClean(session: Session): Promise<CleanPlan> {
  const where = describeSettings(session.settings);
  const uses = await readUses(session, session.settings.database);
  refusePrepared(uses, where, 'emptied');
  const rows = await session.query(sqlFile('removable_objects'));
  const kept: string[] = [];
  const forbidden: string[] = [];
  const removals: Removal[] = [];
  const staying = new Set<string>();
  for (const row of rows) {
    const what = `${row.kind} ${row.name}`;
    const extensions = row.extensions?.split(', ').filter(name => staying.has(name)) ?? [];
    if (extensions.length > 0) kept.push(what);
    else if (row.removable === 't')
      removals.push({
        kind: row.kind!,
        name: row.name!,
        statement: row.statement!,
        owner: row.owner ?? null,
      });
    else if (row.kind === 'extension') {
      staying.add(unquoted(row.name!));
      kept.push(what);
    } else forbidden.push(row.owner == null ? what : `${what} of ${row.owner}`);
  }
  if (forbidden.length > 0) {
    throw usageError(
      'CLEAN_NOT_ALLOWED',
      `the role ${session.settings.user} may not remove all that ${where} holds: ${list(forbidden.slice(0, NAMED), forbidden.length)}`,
      'nothing was removed; connect as a role that owns them or as a superuser, or restore into another database with --new or --to',
    );
  }
  const settings = await session.query(sqlFile('removable_settings'));
  const resets = settings
    .filter(row => row.removable === 't')
    .map(row => ({ what: `${row.kind} ${row.name}`, statement: row.statement!.replace(/^; /, '') }));
  // Privileges on the server's own objects change nothing of what is restored.
  for (const row of settings)
    if (row.removable !== 't' && row.kind !== 'privilege') kept.push(`${row.kind} ${row.name}`);
  return { removals, kept, resets, uses };
}

/** Somebody in a transaction would make the removal wait. */
async function refuseLocked(session: Session, where: string): Promise<void> {
  const sessions = (await session.query(sqlFile('locking_sessions'))).map(row => row.session!);
  if (sessions.length === 0) return;
  throw usageError(
    'TARGET_IN_USE',
    `${where} is in use: ${list(sessions.slice(0, NAMED), sessions.length)}`,
    'nothing was removed; end these sessions, or wait for their transactions to end',
  );
}

/**
 * Empties the database. Resolves to what stays, in words. CLEAN_FAILED says what was removed and that it can be gone on with:
 * removing is done in batches, each a transaction, since a server's lock table may be too small for all at once.
 */
export async function cleanDatabase(settings: ConnectionSettings, signal: AbortSignal): Promise<string[]> {
  const session = await Session.open(settings, 'tidemark restore');
  let removed = 0;
  try {
    await session.run(`SET lock_timeout = ${LOCK_WAIT_MS}; SET client_min_messages = error`);
    let plan = await planClean(session);
    for (let round = 1; plan.removals.length > 0; round++) {
      const before = plan.removals.length;
      await removeAll(session, plan.removals, count => {
        removed += count;
        signal.throwIfAborted();
      });
      plan = await listClean(session);
      if (plan.removals.length > 0 && (round === ROUNDS || plan.removals.length >= before))
        throw stuck(plan, describeSettings(settings));
    }
    await session.run(
      'CREATE SCHEMA IF NOT EXISTS public; CREATE EXTENSION IF NOT EXISTS plpgsql SCHEMA pg_catalog',
    );
    plan = await listClean(session);
    return [...plan.kept, ...(await resetAll(session, plan))];
  } catch (error) {
    const server = PostgresError.of(error);
    throw server ? await explain(session, server, removed) : error;
  } finally {
    await session.close();
  }
}

/** Resolves to what this role may not change. */
async function resetAll(session: Session, { resets }: CleanPlan): Promise<string[]> {
  const kept: string[] = [];
  for (const { what, statement } of resets) {
    try {
      await session.run(statement);
    } catch (error) {
      if (!(error instanceof PostgresError) || error.code !== INSUFFICIENT_PRIVILEGE) throw error;
      kept.push(what);
    }
  }
  return kept;
}

function stuck({ removals }: CleanPlan, where: string): TidemarkError {
  const left = removals.slice(0, NAMED).map(({ kind, name }) => `${kind} ${name}`);
  return new TidemarkError(
    'CLEAN_FAILED',
    `can't empty ${where}: these stay: ${list(left, removals.length)}`,
    'drop them by hand and run this again, or restore into another database with --new or --to',
  );
}

/** In batches; one that is too big for the server's lock table is halved. */
async function removeAll(
  session: Session,
  removals: readonly Removal[],
  removed: (count: number) => void,
): Promise<void> {
  let size = BATCH;
  for (let at = 0; at < removals.length; ) {
    const batch = removals.slice(at, at + size);
    try {
      await session.run(batch.map(({ statement }) => statement).join(';\n'));
      removed(batch.length);
      at += batch.length;
    } catch (error) {
      const tooMany = error instanceof PostgresError && error.code === OUT_OF_SHARED_MEMORY;
      if (!tooMany || batch.length === 1) throw error;
      size = Math.ceil(batch.length / 2);
    }
  }
}

async function explain(session: Session, error: PostgresError, removed: number): Promise<TidemarkError> {
  const where = describeSettings(session.settings);
  const state =
    removed === 0
      ? 'nothing was removed'
      : `${removed} objects are removed; run this again to go on, the rest is as it was`;
  const holders =
    error.code === LOCK_NOT_AVAILABLE
      ? (await session.query(sqlFile('locking_sessions')).catch(() => [])).map(row => row.session!)
      : [];
  const remedy =
    holders.length > 0
      ? `end what holds locks there: ${list(holders.slice(0, NAMED), holders.length)}`
      : error.code === OUT_OF_SHARED_MEMORY
        ? 'raise max_locks_per_transaction on that server and restart it'
        : undefined;
  return error.explained({
    code: 'CLEAN_FAILED',
    what: `can't empty ${where}`,
    remedy,
    otherwise: state,
  });
}

function unquoted(identity: string): string {
  return /^".*"$/s.test(identity) ? identity.slice(1, -1).replaceAll('""', '"') : identity;
}
