/**
 * Keeps a capture's snapshot, and the locks of the tables that are still to be read, in one of two sessions. Locks are
 * given back by a handover: the idle session takes the snapshot over and locks what is still needed, without waiting;
 * then the other one rolls back. See docs/decisions/0009-locks-of-a-capture.md.
 */

import { isLockRefused } from '../../postgres/postgresError.ts';
import { quoteLiteral, type Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { CopyReceiver } from '../../postgres/wire.ts';
import { type Anchor, openCaptureSession } from './anchor.ts';
import type { PartJob } from './partition.ts';
import { lockStatements, type TableName } from './tableLocks.ts';

/** Between two looks at who waits for us; a look that takes long makes the next one later. */
const WATCH_MS = 200;
const WATCH_SHARE = 20;
/** Rows on their way from a keeper to a worker, a message. */
const GIVEN_BYTES = 256 << 10;

/** A table of so many parts gets a session of its own for its lock; not more than so many tables at a time. */
const OWN_PARTS_MIN = 4;
const OWN_MAX = 2;

export interface KeeperEvents {
  /** Somebody waits to change these tables: their parts are to be read before all others, in this order. */
  hurry(oids: readonly string[]): void;
  /** The snapshot or a lock may be lost. */
  failed(error: unknown): void;
}

/** A session in a transaction with the snapshot, and the tables that it has locked. */
class Holder {
  readonly session: Session;
  readonly snapshot: string;
  readonly held: ReadonlySet<string>;
  #busy: Promise<unknown> = Promise.resolve();
  #uses = 0;

  constructor(session: Session, snapshot: string, held: ReadonlySet<string>) {
    this.session = session;
    this.snapshot = snapshot;
    this.held = held;
  }

  /** One use at a time. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    this.#uses++;
    const result = this.#busy
      .then(() => work(this.session))
      .finally(() => {
        this.#uses--;
      });
    this.#busy = result.catch(() => {});
    return result;
  }

  /** At once where it is in use, as after a failure. */
  async close(): Promise<void> {
    if (this.#uses > 0) this.session.destroy();
    await this.session.close();
  }
}

export class Keeper {
  readonly #anchor: Anchor;
  /** By oid, with the number of parts that are not read yet, and the bytes of all. */
  readonly #needed = new Map<string, { table: TableName; parts: number; bytes: number }>();
  /** Of a table of several parts that is being read: so that whoever waits for it keeps no other lock with us. */
  readonly #own = new Map<string, Holder | undefined>();
  readonly #signal: AbortSignal;
  #main: Holder;
  #spare: Session;
  /** What takes the snapshot over, one after the other. */
  #handing: Promise<unknown> = Promise.resolve();
  /** The anchor holds more than rows need: every table, and catalogs. */
  #surplus = true;
  #waited: ReadonlySet<string> = new Set();
  #wake: (() => void) | undefined;
  #watching: Promise<void> | undefined;
  #closed = false;

  /** @param spare In no transaction; it is the keeper's from here on, as the anchor's is. */
  constructor(anchor: Anchor, spare: Session, jobs: readonly PartJob[], signal: AbortSignal) {
    this.#anchor = anchor;
    this.#spare = spare;
    this.#signal = signal;
    this.#main = new Holder(anchor.session, anchor.snapshot, new Set(anchor.tables.map(({ oid }) => oid)));
    for (const { kind, oid, schema, table, weightBytes } of jobs) {
      if (kind !== 'rows') continue;
      const needed = this.#needed.get(oid) ?? { table: { oid, schema, name: table }, parts: 0, bytes: 0 };
      needed.parts += 1;
      needed.bytes += weightBytes;
      this.#needed.set(oid, needed);
    }
  }

  /** Once every reader has the anchor's snapshot; resolves when it has looked for the first time. */
  async watch(events: KeeperEvents): Promise<void> {
    await this.#inTurn(() => this.#look(events));
    this.#watching = this.#watch(events).catch(error => {
      if (!this.#closed) events.failed(error);
    });
  }

  /** A part is about to be read. */
  begun({ kind, oid }: PartJob): void {
    if (kind !== 'rows' || this.#own.has(oid) || this.#own.size >= OWN_MAX) return;
    if ((this.#needed.get(oid)?.parts ?? 0) < OWN_PARTS_MIN) return;
    this.#own.set(oid, undefined);
    void this.#inTurn(() => this.#holdAlone(oid)).catch(() => {});
  }

  /** A part has been read. */
  done({ kind, oid }: PartJob): void {
    const needed = this.#needed.get(oid);
    if (kind !== 'rows' || !needed || --needed.parts > 0) return;
    this.#needed.delete(oid);
    void this.#own.get(oid)?.close();
    this.#own.delete(oid);
    if (this.#waited.has(oid)) this.#wake?.();
  }

  /**
   * Reads a part through the session that holds its table's lock, for a reader who was refused his own; `give` takes COPY
   * text, cut anywhere. Resolves to the server's count of rows.
   */
  async read(job: PartJob, give: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<number> {
    const holder = this.#own.get(job.oid) ?? this.#main;
    return holder.use(async session => {
      const pieces = new Pieces(give);
      const rows = await session.copyOut(job.sql, pieces);
      await pieces.flush();
      return rows;
    });
  }

  /** Throws where the snapshot or the locks did not hold until now. */
  async confirm(): Promise<void> {
    await this.#inTurn(() => this.#main.use(session => session.query('select 1')));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    for (const own of this.#own.values()) await own?.close();
    await this.#main.close();
    await this.#watching;
    await this.#handing;
    await this.#main.close(); // another one by now, perhaps
    await this.#spare.close();
  }

  async #watch(events: KeeperEvents): Promise<void> {
    await this.#pause(WATCH_MS);
    while (!this.#closed) {
      const startedMs = performance.now();
      await this.#inTurn(() => this.#look(events));
      const tookMs = performance.now() - startedMs;
      await this.#pause(Math.max(WATCH_MS, tookMs * WATCH_SHARE));
    }
  }

  async #look(events: KeeperEvents): Promise<void> {
    if (this.#closed) return;
    const rows = await this.#spare.query(sqlFile('lock_waiters'));
    this.#waited = new Set(rows.map(row => row.oid!));
    const urgent = [...this.#waited].filter(oid => this.#needed.has(oid));
    const bytes = (oid: string) => this.#needed.get(oid)!.bytes;
    if (urgent.length > 0) events.hurry(urgent.sort((a, b) => bytes(a) - bytes(b)));
    const useless = [...this.#waited].some(oid => this.#main.held.has(oid) && !this.#needed.has(oid));
    if (this.#surplus || useless) await this.#handOver();
  }

  /** Nothing changes where a table can't be had, since somebody waits for it: it is read first. */
  async #handOver(): Promise<void> {
    const needed = [...this.#needed].filter(([oid]) => this.#own.get(oid) === undefined);
    const tables = needed.map(([, { table }]) => table);
    const next = await takeOver(this.#spare, this.#main.snapshot, tables);
    if (!next) return;
    const last = this.#main;
    this.#main = next;
    this.#surplus = false;
    await last.use(session => session.run('ROLLBACK'));
    this.#spare = last.session;
  }

  async #holdAlone(oid: string): Promise<void> {
    const needed = this.#needed.get(oid);
    if (!needed || this.#closed) return;
    const session = await this.#open();
    const holder = await takeOver(session, this.#main.snapshot, [needed.table]).catch(() => undefined);
    if (holder && this.#needed.has(oid)) this.#own.set(oid, holder);
    else await session.close();
  }

  #open(): Promise<Session> {
    return openCaptureSession(this.#anchor.session.settings, this.#signal);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#handing.then(work);
    this.#handing = result.catch(() => {});
    return result;
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The idle session begins a transaction with the snapshot and locks the tables; undefined where one can't be had at once. */
async function takeOver(
  session: Session,
  snapshot: string,
  tables: readonly TableName[],
): Promise<Holder | undefined> {
  await session.run(beginUnder(snapshot));
  const [exported] = await session.query('select pg_catalog.pg_export_snapshot() as id');
  try {
    for (const statement of lockStatements(tables, true)) await session.run(statement);
  } catch (error) {
    if (!isLockRefused(error)) throw error;
    await session.run('ROLLBACK');
    return undefined;
  }
  return new Holder(session, exported!.id!, new Set(tables.map(({ oid }) => oid)));
}

export function beginUnder(snapshot: string): string {
  return `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`;
}

/** Rows gathered into pieces, each given away before the next is begun. */
class Pieces implements CopyReceiver {
  readonly #give: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  #piece = new Uint8Array(GIVEN_BYTES);
  #filled = 0;
  #given: Promise<void> | undefined;

  constructor(give: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>) {
    this.#give = give;
  }

  append(buffer: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      const size = Math.min(to - at, GIVEN_BYTES - this.#filled);
      this.#piece.set(buffer.subarray(at, at + size), this.#filled);
      this.#filled += size;
      at += size;
      if (this.#filled === GIVEN_BYTES) this.#send();
    }
  }

  endRow(): void {}

  pressure(): Promise<void> | undefined {
    const given = this.#given;
    this.#given = undefined;
    return given;
  }

  async flush(): Promise<void> {
    await this.#given;
    if (this.#filled > 0) this.#send();
    await this.#given;
  }

  #send(): void {
    const piece = this.#piece.subarray(0, this.#filled);
    const before = this.#given;
    this.#given = before ? before.then(() => this.#give(piece)) : this.#give(piece);
    this.#piece = new Uint8Array(GIVEN_BYTES);
    this.#filled = 0;
  }
}
