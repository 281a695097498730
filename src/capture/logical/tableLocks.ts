/** The locks of a capture: none is waited for while others are held, and no wait is without a limit and a word. */

import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { isLockRefused } from '../../postgres/postgresError.ts';
import { quoteName, type Row, type Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** As long as a capture waits for tables that others keep locked, unless `--lock-wait` says otherwise. */
export const LOCK_WAIT_MS = 10 * 60 * 1000;
/** One lock is asked for no longer than this, since what is held already keeps others waiting. */
const LOCK_TRY_MS = 300;
const POLL_MS = 200;
/** A wait is shown after this, and again and again. */
const SHOWN_AFTER_MS = 5000;
const SHOWN_EVERY_MS = 30_000;
/** Bytes of one LOCK statement. */
const BATCH_BYTES = 100_000;

export interface TableName {
  oid: string;
  schema: string;
  name: string;
}

/** LOCK TABLE of all of them, in statements of a bounded size; children are locked by themselves. */
export function* lockStatements(tables: readonly TableName[], nowait = false): Iterable<string> {
  let names: string[] = [];
  let bytes = 0;
  const statement = () => `LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE${nowait ? ' NOWAIT' : ''}`;
  for (const table of tables) {
    const name = lockName(table);
    if (bytes + name.length > BATCH_BYTES) {
      yield statement();
      names = [];
      bytes = 0;
    }
    names.push(name);
    bytes += name.length + 2;
  }
  if (names.length > 0) yield statement();
}

export function lockName(table: Pick<TableName, 'schema' | 'name'>): string {
  return `ONLY ${quoteName(table.schema)}.${quoteName(table.name)}`;
}

/** How long is waited for locks over a whole capture, and who is told of it. */
export class LockPatience {
  readonly #limitMs: number;
  readonly #note: (line: string) => void;
  readonly #signal: AbortSignal;
  #startedMs: number | undefined;
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(limitMs: number, note: (line: string) => void, signal: AbortSignal) {
    this.#limitMs = limitMs;
    this.#note = note;
    this.#signal = signal;
  }

  /**
   * Asks for all locks in the session's transaction. Where one is refused, the transaction is rolled back, and the call
   * returns false when whoever kept it is gone: with the wait over its limit, LOCK_WAIT.
   */
  async lock(session: Session, tables: readonly TableName[]): Promise<boolean> {
    try {
      await session.run(`SET LOCAL lock_timeout = ${this.#limitMs === 0 ? 1 : LOCK_TRY_MS}`);
      for (const statement of lockStatements(tables)) await session.run(statement);
      return true;
    } catch (error) {
      if (!isLockRefused(error)) throw error;
    }
    await session.run('ROLLBACK');
    await this.wait(session, tables);
    return false;
  }

  /** Holding nothing, until nobody keeps these tables from being read. */
  async wait(session: Session, tables: readonly TableName[]): Promise<void> {
    this.#startedMs ??= performance.now();
    const oids = `{${tables.map(table => table.oid).join(',')}}`;
    for (;;) {
      this.#signal.throwIfAborted();
      const holders = await session.query(sqlFile('lock_holders'), [oids]);
      const waitedMs = performance.now() - this.#startedMs;
      if (waitedMs >= this.#limitMs) throw lockWait(holders[0], waitedMs);
      await delay(POLL_MS, undefined, { signal: this.#signal });
      if (holders.length === 0) return;
      if (waitedMs > SHOWN_AFTER_MS && waitedMs - this.#shownMs > SHOWN_EVERY_MS) {
        this.#shownMs = waitedMs;
        const seconds = Math.round(waitedMs / 1000);
        this.#note(`waiting for ${describeHolder(holders[0]!)} (${seconds} s so far)`);
      }
    }
  }
}

function describeHolder(row: Row): string {
  const verb = row.granted === 't' ? 'held' : 'asked for';
  return `the lock of table ${quoteQualified(row.schema!, row.name!)}, ${verb} by ${whoHolds(row)}`;
}

function whoHolds(row: Row): string {
  const since = row.since === null ? '' : `, since ${row.since} UTC`;
  if (row.prepared !== null) return `the prepared transaction ${row.prepared} of role ${row.role}${since}`;
  const application = row.application ? `${row.application}, ` : '';
  return `pid ${row.pid} (${application}role ${row.role ?? 'unknown'}${row.state ? `, ${row.state}` : ''})${since}`;
}

function lockWait(holder: Row | undefined, waitedMs: number): TidemarkError {
  const waited = `after ${Math.round(waitedMs / 1000)} s`;
  const longer = 'wait longer with --lock-wait 1h (lock_wait in the plan), or run the backup when it is done';
  if (!holder) return new TidemarkError('LOCK_WAIT', `tables are locked again and again, ${waited}`, longer);
  const end =
    holder.prepared !== null
      ? `COMMIT or ROLLBACK PREPARED '${holder.prepared}'`
      : `end that session (SELECT pg_terminate_backend(${holder.pid}))`;
  return new TidemarkError(
    'LOCK_WAIT',
    `waited for ${describeHolder(holder)}, and gave up ${waited}`,
    `${end}, or ${longer}`,
  );
}
