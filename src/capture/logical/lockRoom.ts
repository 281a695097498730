import { TidemarkError } from '../../base/errors.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** A capture leaves at least the rest of the server's lock table to others. */
const SHARE = 0.9;

/** Places in the lock table that the sessions of a server share. */
export interface LockRoom {
  /** max_locks_per_transaction, and for how many sessions that many places were made. */
  each: number;
  sessions: number;
  /** Taken by others. */
  used: number;
  /** What pg_dump locks beside tables: views, sequences and catalogs. */
  beside: number;
}

export async function readLockRoom(session: Session): Promise<LockRoom> {
  const [row] = await session.query(sqlFile('lock_room'));
  const number = (name: string) => Number(row![name]);
  // A handover has every table locked by two sessions, for which there are twice as many places as for locks.
  const used = Math.max(number('used'), Math.ceil(number('holders') / 2));
  return { each: number('each'), sessions: number('sessions'), used, beside: number('beside') };
}

/** Why a capture of so many tables is refused; undefined where it is not. */
export function lacksLockRoom(tables: number, room: LockRoom): TidemarkError | undefined {
  const { each, sessions, used, beside } = room;
  const places = each * sessions;
  const wanted = tables + beside;
  if (wanted + used <= places * SHARE) return undefined;
  const enough = Math.ceil((wanted + used) / SHARE / sessions);
  return new TidemarkError(
    'LOCKS_EXHAUSTED',
    `a backup locks ${tables} tables and ${beside} views, sequences and catalogs, and the server has room for about ${places} locks, of which ${used} are taken: the application would get none`,
    `set max_locks_per_transaction to ${enough} or more (it is ${each}) and restart the server, or leave tables out with --exclude-table`,
  );
}
