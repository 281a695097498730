/**
 * What belongs to the database itself, applied to one that exists. Its settings come before its objects, and sessions
 * are opened anew after them, as `pg_restore --create` does: they change how text becomes a value, and what views,
 * checks and indexes compute.
 */
import { TidemarkError } from '../../base/errors.ts';
import type { SessionSetting } from '../../capture/logical/globals.ts';
import type { Archive } from '../../postgres/archive/entry.ts';
import { encodingStatement } from '../../postgres/archive/statements.ts';
import { encodeText } from '../../postgres/encoding.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, Session } from '../../postgres/session.ts';
import { FIXED_SETTINGS } from '../../postgres/sessionStart.ts';
import type { Deviation } from '../deviation.ts';
import {
  type DatabaseDefinition,
  type DatabaseStatement,
  type DatabaseStatementKind,
  encodedName,
  LAST_SETTINGS,
  settingName,
  statementFor,
} from './definition.ts';

export interface DatabaseRequest {
  archive: Archive;
  definition: DatabaseDefinition;
  /** Roles of the target. */
  roles: ReadonlySet<string>;
}

const REASONS: Record<string, string> = {
  '42501': 'this role may not do that',
  '42704': 'this server does not know it',
  '22023': 'this server does not take its value',
  '55P02': 'it is only taken when the server starts',
  '42P01': 'this server does not know it',
};

/** Runs the statements of these kinds on the session's database. Resolves to what was refused. */
export async function applyToDatabase(
  session: Session,
  { archive, definition, roles }: DatabaseRequest,
  kinds: readonly DatabaseStatementKind[],
): Promise<Deviation[]> {
  const wanted = definition.statements.filter(statement => kinds.includes(statement.kind));
  if (wanted.length === 0) return [];
  const name = await encodedName(session, session.settings.database, archive);
  const refused: Deviation[] = [];
  const refuse = (reason: string, statement: DatabaseStatement) =>
    refused.push({ kind: 'property', statement, reason });
  await session.run(encodingStatement(archive));
  for (const statement of wanted) {
    if (statement.role !== null && !roles.has(statement.role)) {
      refuse('the role is missing', statement);
      continue;
    }
    try {
      const { notices } = await session.run(statementFor(statement, name, archive.text));
      const ignored = notices.find(({ code }) => NOT_GRANTED.has(code));
      if (ignored) refuse(ignored.message, statement);
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      refuse(statement.assignment === null ? error.message : reasonOf(error), statement);
    }
  }
  await session.run("SET client_encoding = 'UTF8'");
  return refused;
}

/** privilege_not_granted and privilege_not_revoked: warnings, where the role may not grant. */
const NOT_GRANTED = new Set(['01007', '01006']);

/** Why a server refused a statement, without its own words, which may repeat a secret value. */
export function reasonOf({ code }: PostgresError): string {
  return REASONS[code] ?? `SQLSTATE ${code}`;
}

/**
 * After the `access` statements: where a library that sessions are to load is not there, nobody can connect any more.
 * Then such settings are taken back, by `session`, which began before; resolves to what was.
 */
export async function requireOpenable(
  session: Session,
  { archive, definition }: DatabaseRequest,
): Promise<Deviation[]> {
  const loading = definition.statements.filter(
    ({ kind, assignment }) =>
      kind === 'access' && assignment !== null && settingName(assignment).endsWith('_preload_libraries'),
  );
  if (loading.length === 0) return [];
  try {
    await (await Session.open(session.settings, 'tidemark restore')).close();
    return [];
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const name = await encodedName(session, session.settings.database, archive);
    for (const { assignment, before } of loading) {
      const reset = ` RESET ${quoteName(settingName(assignment!))}`;
      await session.run(Buffer.concat([Buffer.from(before), name, Buffer.from(reset)]));
    }
    const reason = 'this server lacks a library that it names';
    return loading.map(statement => ({ kind: 'property', statement, reason }));
  }
}

/** Settings of other sessions than a restore's, or that its own preamble or every session of ours decides. */
const NOT_FOR_US = new Set(['client_encoding', ...LAST_SETTINGS, ...FIXED_SETTINGS]);

export interface LoadingSettings {
  /** For every session that creates objects and loads rows, before the archive's preamble. */
  session: string[];
  /** Before materialized views are refreshed. */
  refresh: string[];
  /** The same, for what was not taken since it names an object that is not there yet; `takenNow` tells. */
  late: string[];
  notes: string[];
}

/** Its value is the name of an object of the database. */
const NAMES_OBJECT = 'default_text_search_config';

/**
 * The settings under which the source's values were written and computed, as far as this server takes them; tried on
 * `session`, which is of no further use. The database's own are among them, since a role's settings, or those that a
 * database had before, would win over them.
 */
export async function loadingSettings(
  session: Session,
  { archive, definition }: DatabaseRequest,
  captured: readonly SessionSetting[],
): Promise<LoadingSettings> {
  const [me] = await session.query('select session_user as login');
  const computing = captured
    .filter(({ ofRole }) => !ofRole)
    .map(({ name, value }) => ({ name, sql: setStatement(name, value) }));
  const own = definition.statements
    .filter(({ kind, role }) => kind === 'setting' || (kind === 'roleSetting' && role === me!.login))
    .map(({ assignment }) => ({ name: settingName(assignment!), sql: `SET ${assignment}` }));
  await session.run(encodingStatement(archive));
  const taken: { name: string; sql: string }[] = [];
  const late: string[] = [];
  const notes: string[] = [];
  for (const setting of [...computing, ...own]) {
    if (NOT_FOR_US.has(setting.name.toLowerCase())) continue;
    if (await takes(session, encodeText(setting.sql, archive.text))) taken.push(setting);
    else if (setting.name === NAMES_OBJECT) late.push(setting.sql);
    else if (computing.includes(setting) && hasMatviews(archive))
      notes.push(
        `materialized views are computed under this server's ${setting.name}: it does not take the source's`,
      );
  }
  const money = captured.find(({ name }) => name === 'lc_monetary');
  const asWritten = money ? [setStatement(money.name, money.value)] : [];
  const monetary = taken.filter(({ name }) => name === 'lc_monetary').slice(-1);
  const usable = asWritten.length > 0 && (await takes(session, Buffer.from(asWritten[0]!)));
  return {
    session: [encodingStatement(archive), ...taken.map(({ sql }) => sql), ...(usable ? asWritten : [])],
    refresh: money?.ofRole ? monetary.map(({ sql }) => sql) : [],
    ...{ late, notes },
  };
}

/** What a session needs to read the snapshot's rows and definitions as they were written, whatever its database sets. */
export async function readAsWritten(session: Session, captured: readonly SessionSetting[]): Promise<void> {
  const money = captured.find(({ name }) => name === 'lc_monetary');
  if (money) await takes(session, Buffer.from(setStatement(money.name, money.value)));
}

/** Those of the statements that a session takes. */
export async function takenNow(session: Session, archive: Archive, statements: string[]): Promise<string[]> {
  await session.run(encodingStatement(archive));
  const taken: string[] = [];
  for (const sql of statements) if (await takes(session, encodeText(sql, archive.text))) taken.push(sql);
  return taken;
}

function setStatement(name: string, value: string): string {
  return `SET ${quoteName(name)} TO ${quoteLiteral(value)}`;
}

async function takes(session: Session, sql: Buffer): Promise<boolean> {
  try {
    await session.run(sql);
    return true;
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    return false;
  }
}

function hasMatviews(archive: Archive): boolean {
  return archive.entries.some(entry => entry.desc === 'MATERIALIZED VIEW');
}
