/** The locks of a restore into tables that are in use: no wait for one is without a limit and a word. */
import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { isLockRefused } from '../../postgres/postgresError.ts';
import { type Row, Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { TableTarget } from './target.ts';

/** As long as one lock is waited for, while others queue behind it, unless `--lock-wait` says otherwise. */
const LOCK_WAIT_MS = 60_000;
const LOOK_MS = 2000;
const SHOWN_EVERY_MS = 30_000;

/** A limit of 0 would be none to the server. */
export function lockTimeout(lockWaitMs: number | null | undefined): string {
  return `SET LOCAL lock_timeout = ${Math.max(1, lockWaitMs ?? LOCK_WAIT_MS)}`;
}

/**
 * Keeps writers out of tables until the transaction ends: they wait. Readers go on.
 *
 * @param replaced TABLE DATA entries of tables that are there.
 */
export async function lockReplaced(target: TableTarget, replaced: readonly ArchiveEntry[]): Promise<void> {
  if (replaced.length === 0) return;
  const names = replaced.map(entry => `ONLY ${quoteQualified(entry.namespace, entry.tag)}`).join(', ');
  const { session } = target;
  const [before] = await session.query("select pg_catalog.current_setting('client_encoding') as encoding");
  await session.run(`SET LOCAL client_encoding = '${target.encoding}'`);
  await target.run(`LOCK TABLE ${names} IN SHARE ROW EXCLUSIVE MODE`);
  await session.run(`SET LOCAL client_encoding = '${before!.encoding!}'`);
}

/** Looks from another session whether ours waits for a lock, and says who keeps it. */
export class LockWatch {
  readonly #session: Session;
  readonly #pid: string;
  readonly #note: (line: string) => void;
  readonly #ended = new AbortController();
  readonly #watching: Promise<void>;
  #holder: string | null = null;

  static async start(of: Session, note: (line: string) => void): Promise<LockWatch> {
    const [row] = await of.query('select pg_catalog.pg_backend_pid() as pid');
    return new LockWatch(await Session.open(of.settings, 'tidemark restore'), row!.pid!, note);
  }

  private constructor(session: Session, pid: string, note: (line: string) => void) {
    this.#session = session;
    this.#pid = pid;
    this.#note = note;
    this.#watching = this.#watch().catch(() => {}); // the end of the connection, or of the watch
  }

  /** What a refused lock means, with who kept it; any other error as it is. */
  explain(error: unknown): unknown {
    if (!isLockRefused(error)) return error;
    const holder = this.#holder ?? 'another session';
    return new TidemarkError(
      'LOCK_WAIT',
      `a lock that the restore needs was kept by ${holder}`,
      'the database is as it was before; run this again when that is done, or wait longer with --lock-wait 10m',
      { cause: error },
    );
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#watching;
    await this.#session.close();
  }

  async #watch(): Promise<void> {
    let waitsSince: number | null = null;
    let shownMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      await delay(LOOK_MS, undefined, { signal: this.#ended.signal });
      const [row] = await this.#session.query(sqlFile('lock_blockers'), [this.#pid]);
      const nowMs = performance.now();
      if (!row) {
        waitsSince = null;
        continue;
      }
      this.#holder = describe(row);
      waitsSince ??= nowMs;
      if (nowMs - shownMs < SHOWN_EVERY_MS) continue;
      shownMs = nowMs;
      const seconds = Math.round((nowMs - waitsSince + LOOK_MS) / 1000);
      this.#note(`waiting for a lock that is kept by ${this.#holder} (${seconds} s so far)`);
    }
  }
}

function describe(row: Row): string {
  const since = row.since === null ? '' : `, since ${row.since} UTC`;
  if (row.pid === '0') return 'a prepared transaction (pg_prepared_xacts)';
  const application = row.application ? `${row.application}, ` : '';
  return `pid ${row.pid} (${application}role ${row.role ?? 'unknown'}${row.state ? `, ${row.state}` : ''})${since}`;
}
