import { TidemarkError } from '../../base/errors.ts';
import { LOCKS_HINT } from '../../postgres/pgDump/failure.ts';
import { PostgresError } from '../../postgres/postgresError.ts';

/** What a server's refusal means for a capture, and the cure. */
export function explainCaptureError(error: unknown, where: string): unknown {
  const code = (error as { code?: string }).code ?? '';
  const server = PostgresError.of(error);
  const known = REMEDIES[server && isAboutSnapshot(server) ? 'snapshot' : code];
  if (server) return server.explained({ code: known?.[0], what: where, remedy: known?.[1] });
  if (error instanceof TidemarkError && code !== 'CONNECTION_LOST') return error;
  if (!known) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TidemarkError(known[0], `${where}: ${message}`, known[1], { cause: error });
}

/** invalid_parameter_value and object_not_in_prerequisite_state of SET TRANSACTION SNAPSHOT, among other things of theirs. */
function isAboutSnapshot({ code, message }: PostgresError): boolean {
  return (code === '22023' || code === '55000') && /snapshot/.test(message);
}

const REMEDIES: Record<string, [code: string, hint: string]> = {
  '42501': [
    'PRIVILEGE_MISSING',
    'let the role read everything: GRANT pg_read_all_data TO the role of the connection, or run as the owner',
  ],
  '53200': ['LOCKS_EXHAUSTED', LOCKS_HINT],
  '55P03': ['LOCK_WAIT', 'another session holds a lock on the table; run the backup again when that is done'],
  '57014': ['CANCELED', 'somebody or a timeout canceled the query; run the backup again'],
  '57P01': [
    'SNAPSHOT_LOST',
    'the server ended the session (a restart or pg_terminate_backend); run the backup again',
  ],
  '57P02': ['SNAPSHOT_LOST', 'the server crashed; look at its log, then run the backup again'],
  CONNECTION_LOST: [
    'SNAPSHOT_LOST',
    'the connection broke, and with it the snapshot; run the backup again. If it happens at the same point, see whether a proxy or the server cuts long or idle connections',
  ],
  ECONNRESET: ['SNAPSHOT_LOST', 'the connection broke, and with it the snapshot; run the backup again'],
  snapshot: [
    'SNAPSHOT_LOST',
    'the exported snapshot is gone: the connection that held it ended, or a load balancer sent a worker to another server; connect to one server directly',
  ],
  '40001': [
    'STANDBY_CONFLICT',
    'recovery on the standby removed rows the snapshot needs; set hot_standby_feedback = on or raise max_standby_streaming_delay, or back up from the primary',
  ],
  '58030': [
    'SERVER_IO',
    "the server could not read its own files; look at the server's log and disks at once",
  ],
  XX001: [
    'SOURCE_DAMAGED',
    "the server's data is damaged; restore from an earlier snapshot or repair the table before anything else",
  ],
  XX002: ['SOURCE_DAMAGED', 'an index of the server is damaged; REINDEX it, then run the backup again'],
};
