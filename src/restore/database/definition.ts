import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { readQualified } from '../../postgres/archive/quote.ts';
import { archiveEncoding, isDatabaseEntry } from '../../postgres/archive/statements.ts';
import { encodeText } from '../../postgres/encoding.ts';
import { quoteName, type Session } from '../../postgres/session.ts';

export type DatabaseStatementKind =
  /** ALTER DATABASE … SET: in force in the sessions that are opened afterwards. */
  | 'setting'
  /** ALTER ROLE … IN DATABASE … SET. */
  | 'roleSetting'
  | 'description'
  | 'privilege'
  /** CONNECTION LIMIT, IS_TEMPLATE, and LAST_SETTINGS: what would get in the way of the restore, so it comes last. */
  | 'access';

/** Settings by which sessions begin as another role, or with libraries without which they don't begin at all. */
export const LAST_SETTINGS: ReadonlySet<string> = new Set([
  'role',
  'session_authorization',
  'session_preload_libraries',
  'local_preload_libraries',
]);

/** One statement about the database, in two halves, between which its name belongs. */
export interface DatabaseStatement {
  kind: DatabaseStatementKind;
  entry: ArchiveEntry;
  /** What it is about; never a value, since a setting may be a secret. */
  what: string;
  before: string;
  /** Null where the statement does not name the database. */
  after: string | null;
  /** `name TO value` of a setting. */
  assignment: string | null;
  role: string | null;
}

/** What an archive says about the database itself. */
export interface DatabaseDefinition {
  owner: string | null;
  /** The clauses of CREATE DATABASE, as SQL: `ENCODING` → `'UTF8'`. Empty where the archive has none. */
  clauses: ReadonlyMap<string, string>;
  /** The tablespace's name; null where it is the server's default. */
  tablespace: string | null;
  statements: DatabaseStatement[];
}

export function databaseDefinition(archive: Archive): DatabaseDefinition {
  const create = archive.entries.find(entry => entry.desc === 'DATABASE');
  const clauses = clausesOf(create?.defn ?? '');
  const tablespace = clauses.get('TABLESPACE');
  return {
    owner: create?.owner || null,
    clauses,
    tablespace: tablespace === undefined ? null : (readQualified(tablespace, 0)?.parts[0] ?? null),
    statements: archive.entries
      .filter(entry => isDatabaseEntry(entry) && entry.desc !== 'DATABASE')
      .flatMap(entry => splitSql(entry.defn ?? '').map(sql => statementOf(entry, sql)))
      .filter(statement => !/^UPDATE pg_catalog\.pg_database/i.test(statement.before)),
  };
}

/** `CREATE DATABASE name WITH KEY = value …;` as pg_dump writes it (pg_dump.c, dumpDatabase). */
function clausesOf(create: string): Map<string, string> {
  const tokens: string[] = create.match(/"(?:[^"]|"")*"|E?'(?:[^']|'')*'|=|[^\s"'=;]+/g) ?? [];
  const clauses = new Map<string, string>();
  for (let at = tokens.indexOf('WITH') + 1; at > 0 && at + 2 < tokens.length; at += 3) {
    if (tokens[at + 1] === '=') clauses.set(tokens[at]!, tokens[at + 2]!);
  }
  return clauses;
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|[^\s";]+)`;
/** Where statements about a database name it (pg_dump.c, dumpDatabase and dumpDatabaseConfig; dumputils.c). */
const FORMS: [DatabaseStatementKind, RegExp][] = [
  ['setting', new RegExp(`^(ALTER DATABASE )${NAME}( SET (.*))$`, 's')],
  ['access', new RegExp(`^(ALTER DATABASE )${NAME}( .*)$`, 's')],
  ['roleSetting', new RegExp(`^(ALTER ROLE (?<role>${NAME}) IN DATABASE )${NAME}( SET (.*))$`, 's')],
  ['description', new RegExp(`^(COMMENT ON DATABASE )${NAME}( .*)$`, 's')],
  ['description', new RegExp(`^(SECURITY LABEL FOR ${NAME} ON DATABASE )${NAME}( .*)$`, 's')],
  ['privilege', new RegExp(`^((?:GRANT|REVOKE) [A-Z, ]+? ON DATABASE )${NAME}( .*)$`, 's')],
];

function statementOf(entry: ArchiveEntry, sql: string): DatabaseStatement {
  const plain = sql.replace(/;$/, '');
  for (const [kind, form] of FORMS) {
    const match = form.exec(plain);
    if (!match) continue;
    const halves = match.slice(1).filter((_, at) => !(match.groups && at === 1));
    const [before, after, assignment] = halves;
    const role = match.groups?.role ? readQualified(match.groups.role, 0)!.parts[0]! : null;
    const isLast = assignment !== undefined && LAST_SETTINGS.has(settingName(assignment));
    return {
      ...{ kind: isLast ? 'access' : kind, entry, before: before!, after: after!, role },
      assignment: assignment ?? null,
      what: describe(kind, before!, after!, assignment, role),
    };
  }
  const kind = entry.desc === 'ACL' ? 'privilege' : 'description';
  return {
    ...{ kind, entry, before: plain, after: null, assignment: null, role: null },
    what: `${kind} of the database`,
  };
}

function describe(
  kind: DatabaseStatementKind,
  before: string,
  after: string,
  assignment: string | undefined,
  role: string | null,
): string {
  if (kind === 'setting') return `setting ${settingName(assignment!)}`;
  if (kind === 'roleSetting') return `setting ${settingName(assignment!)} of role ${role}`;
  if (kind === 'description') return before.startsWith('COMMENT') ? 'comment' : 'security label';
  return kind === 'access' ? after.trim() : `${before}…${after}`;
}

/** The setting of `name TO value`. */
export function settingName(assignment: string): string {
  return readQualified(assignment, 0)?.parts.join('.') ?? 'unknown';
}

/** The statement as bytes of the archive's encoding, which must be the session's; `name` likewise (`encodedName`). */
export function statementFor(statement: DatabaseStatement, name: Buffer, text: Archive['text']): Buffer {
  if (statement.after === null) return encodeText(statement.before, text);
  return Buffer.concat([encodeText(statement.before, text), name, encodeText(statement.after, text)]);
}

/**
 * A database's name, quoted, in the bytes for a session whose client_encoding is the archive's. Names of databases have no
 * encoding of their own: they are the bytes that were sent when they were given, ours in UTF-8, and are found where no
 * conversion comes in between.
 */
export async function encodedName(session: Session, name: string, archive: Archive): Promise<Buffer> {
  const quoted = quoteName(name);
  const encoding = archiveEncoding(archive);
  if (encoding === 'UTF8' || !/[^\x20-\x7e]/.test(name)) return Buffer.from(quoted);
  const [own] = await session.query('select pg_catalog.getdatabaseencoding() as encoding');
  if (own!.encoding === encoding) return Buffer.from(quoted);
  const [row] = await session.query(
    "select pg_catalog.encode(pg_catalog.convert_to($1, $2), 'hex') as bytes",
    [quoted, encoding],
  );
  return Buffer.from(row!.bytes!, 'hex');
}

/** Statements without dollar quotes, cut at their semicolons. */
function splitSql(sql: string): string[] {
  const pieces = sql.match(/(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n]*|[^"';])+;?/g) ?? [];
  return pieces.map(piece => piece.trim()).filter(piece => piece !== '' && piece !== ';');
}
