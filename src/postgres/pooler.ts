/** Finds out whether a connection is a pooler's, and whether that keeps the server session for us. */
import { isMainThread } from 'node:worker_threads';
import type { Client } from 'pg';
import { TidemarkError } from '../base/errors.ts';
import type { ConnectionSettings } from './settings/connectionSettings.ts';
import { describeHost, type HostAddress } from './settings/hosts.ts';
import { describeSettings } from './settings/settings.ts';

/** Where sessions are known to last, so that each of several does not ask for a second connection to find out. */
const lasting = new Set<string>();
const transactionPooled = new WeakSet<Client>();

/** Whether each transaction of the client may have another server session; known once `connect` has returned it. */
export function isTransactionPooled(client: Client): boolean {
  return transactionPooled.has(client);
}

/**
 * A pooler makes up the process id it announces; one in transaction mode gives a second client the server session that
 * the first one is idle on. Workers are opened where the main thread has looked already.
 * @param another opens a second connection of the same kind; it is ended here
 */
export async function findTransactionPooler(
  client: Client,
  pid: string,
  place: { settings: ConnectionSettings; host: HostAddress },
  another: () => Promise<Client>,
): Promise<boolean> {
  if (Number(pid) === announcedPid(client) || !isMainThread) return false;
  const { database, user } = place.settings;
  const key = JSON.stringify([describeHost(place.host), database, user]);
  if (lasting.has(key)) return false;
  const other = await another();
  try {
    await other.query('BEGIN');
    const second = await backendPid(other);
    // Where the second has the first one's server session, asking the first again would wait for the second.
    const lasts = second !== pid && (await backendPid(client)) === pid;
    if (lasts) lasting.add(key);
    else transactionPooled.add(client);
    return !lasts;
  } finally {
    await other.end().catch(() => {});
  }
}

export function transactionPoolerError(settings: ConnectionSettings): TidemarkError {
  return new TidemarkError(
    'TRANSACTION_POOLER',
    `${describeSettings(settings)} is a connection pooler in transaction mode: neither a snapshot nor a setting lasts through it`,
    "use the database's direct address, or the pooler's session mode (Supabase: port 5432 instead of 6543; Neon: the host without -pooler)",
  );
}

async function backendPid(client: Client): Promise<string> {
  const { rows } = await client.query('select pg_catalog.pg_backend_pid() as pid');
  return String(rows[0].pid);
}

function announcedPid(client: Client): number {
  return (client as unknown as { processID: number }).processID;
}
