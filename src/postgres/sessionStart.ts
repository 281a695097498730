/**
 * What holds for every session of ours, whatever the database or the role says (ALTER DATABASE … SET, ALTER ROLE … SET).
 * search_path above all: a database's owner could let it lead to functions and operators of his own, which our session
 * would then run with our rights (docs/decisions/0008-search-path.md).
 *
 * The settings go into the start-up packet, where they come before those of the database and the role and are in force
 * before the first statement. Some poolers refuse that, some pass it over; there they are set by the first statement.
 * Only settings that break a session or the reading of rows are here: what decides what a view, a check or a default
 * computes is the database's own.
 */
import type { Client } from 'pg';

/** Known to PostgreSQL 15, and free for everyone to set. */
const SETTINGS: Record<string, string> = {
  search_path: '',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  default_tablespace: '',
  default_table_access_method: 'heap',
  row_security: 'off',
  array_nulls: 'on',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',
  jit: 'off',
  exit_on_error: 'off',
  local_preload_libraries: '',
};

/**
 * Set by statement: newer ones; those that only a superuser may set, for all others are as they are;
 * standard_conforming_strings, whose value at the start says how the database's functions are written (server_facts.sql);
 * and what may have been looked at first.
 */
const SETTINGS_WHERE_POSSIBLE: Record<string, string> = {
  transaction_timeout: '0',
  default_transaction_read_only: 'off',
  standard_conforming_strings: 'on',
  session_replication_role: 'origin',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
  event_triggers: 'off',
  restrict_nonsystem_relation_kind: '',
};

/** What no database and no role decides for a session of ours. */
export const FIXED_SETTINGS: readonly string[] = [SETTINGS, SETTINGS_WHERE_POSSIBLE].flatMap(Object.keys);

/** What the start-up packet may leave out, for a later try or because it has to be looked at first. */
export interface StartOptions {
  /** The user's own: they stay, and ours come after them. */
  own: string | undefined;
  /** Keeps default_transaction_read_only as it is, for target_session_attrs=read-write. */
  keepReadOnly: boolean;
  /** Sends transaction_timeout too, which a server before 17 refuses. */
  transactionTimeout: boolean;
  /** Sends event_triggers too, which a server before 17 refuses, and whoever is no superuser. */
  eventTriggers: boolean;
}

/** The start-up packet's `options`. */
export function startOptions(options: StartOptions): string {
  const { own, keepReadOnly, transactionTimeout, eventTriggers } = options;
  const ours = Object.entries(SETTINGS).filter(
    ([name]) => !keepReadOnly || name !== 'default_transaction_read_only',
  );
  if (transactionTimeout) ours.push(['transaction_timeout', '0']);
  if (eventTriggers) ours.push(['event_triggers', 'off']);
  const words = ours.map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`);
  return [own ?? '', ...words].filter(Boolean).join(' ');
}

/** Whether a server (PgBouncer, RDS Proxy, one that speaks PostgreSQL's protocol only) may have refused for the options' sake. */
export function mayRefuseOptions(error: unknown): boolean {
  const { code = '', severity } = error as { code?: string; severity?: string };
  return severity !== undefined && ['08P01', '0A000', '42704', '22023'].includes(code);
}

/** Whether a server refused `event_triggers`: it does not know it, or the role is no superuser. */
export function refusesEventTriggers(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return ['42704', '42501'].includes(code) && message.includes('event_triggers');
}

/** Whether the database's or the role's transaction_timeout ended the session before we could set it. */
export function isTransactionTimeout(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === '25P04';
}

export interface SessionState {
  /** The start-up packet's settings are in force. */
  started: boolean;
  /** The server's process, which is not the announced one behind a pooler. */
  pid: string;
}

/** Safe under any search_path: no operator, no name without its schema. */
export async function sessionState(client: Client): Promise<SessionState> {
  const { rows } = await client.query(
    "select pg_catalog.current_setting('search_path') as path, pg_catalog.pg_backend_pid() as pid",
  );
  return { started: rows[0].path === '', pid: String(rows[0].pid) };
}

/** Sets everything for the session, first what makes the rest safe. */
export async function setForSession(client: Client, state: SessionState): Promise<void> {
  if (!state.started) await client.query(setAll(false));
  await client.query(OWN_ROLE);
  await client.query(SET_WHERE_POSSIBLE);
}

/**
 * Sets everything until the end of the transaction that is under way. Through a pooler in transaction mode nothing else
 * may be set: the application would get the server session with our settings.
 */
export function setForTransaction(): string {
  return `${setAll(true)}, pg_catalog.set_config('standard_conforming_strings', 'on', true)`;
}

/** Safe under any search_path. */
function setAll(local: boolean): string {
  const calls = Object.entries(SETTINGS).map(
    ([name, value]) => `pg_catalog.set_config('${name}', '${value}', ${local})`,
  );
  return `select ${calls.join(', ')}`;
}

/** A database's owner can have its sessions begin as a role of his, which a superuser's backup would lack rights as. */
const OWN_ROLE = `select pg_catalog.set_config('role', 'none', false)
  from pg_catalog.pg_roles r
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
  where r.rolname = session_user and r.rolsuper and current_user <> session_user
    and (select s.setrole from pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) as c (assignment)
      where s.setrole in (0, r.oid) and s.setdatabase in (0, d.oid)
        and pg_catalog.starts_with(c.assignment, 'role=')
      order by s.setrole = 0, s.setdatabase = 0 limit 1) = 0`;

const SET_WHERE_POSSIBLE = `select pg_catalog.set_config(s.name, w.value, false)
  from (values ${Object.entries(SETTINGS_WHERE_POSSIBLE)
    .map(([name, value]) => `('${name}', '${value}')`)
    .join(', ')}) as w (name, value)
  join pg_catalog.pg_settings s on s.name = w.name
  where s.setting <> w.value
    and (s.context = 'user' or pg_catalog.has_parameter_privilege(s.name, 'SET'))`;
