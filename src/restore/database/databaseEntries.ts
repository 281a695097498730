import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { isDatabaseEntry } from '../../postgres/archive/statements.ts';
import { quoteName } from '../../postgres/session.ts';

/**
 * What an archive says about the database itself (settings, comment, privileges, owner), as statements for the database
 * `target`, whatever the source's name was. The database's creation is not among them.
 */
export function databaseStatements(archive: Archive, target: string): { entry: ArchiveEntry; sql: string }[] {
  return archive.entries
    .filter(entry => isDatabaseEntry(entry) && entry.desc !== 'DATABASE')
    .flatMap(entry => splitSql(entry.defn ?? '').map(sql => ({ entry, sql: renamed(sql, target) })))
    .filter(({ sql }) => !/^UPDATE pg_catalog\.pg_database/i.test(sql));
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|[^\s";]+)`;
/** Where statements about a database name it (pg_dump.c, dumpDatabase and dumpDatabaseConfig; dumputils.c). */
const PLACES = [
  new RegExp(`^(ALTER DATABASE )${NAME}`, 's'),
  new RegExp(`^(ALTER ROLE ${NAME} IN DATABASE )${NAME}`, 's'),
  new RegExp(`^(COMMENT ON DATABASE )${NAME}`, 's'),
  new RegExp(`^(SECURITY LABEL FOR ${NAME} ON DATABASE )${NAME}`, 's'),
  new RegExp(`^((?:GRANT|REVOKE) [A-Z, ]+? ON DATABASE )${NAME}`, 's'),
  new RegExp(`^(REVOKE GRANT OPTION FOR [A-Z, ]+? ON DATABASE )${NAME}`, 's'),
];

function renamed(sql: string, target: string): string {
  for (const place of PLACES) {
    if (place.test(sql)) return sql.replace(place, (_all, before: string) => before + quoteName(target));
  }
  return sql;
}

/** Statements without dollar quotes, cut at their semicolons. */
function splitSql(sql: string): string[] {
  const pieces = sql.match(/(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n]*|[^"';])+;?/g) ?? [];
  return pieces.map(piece => piece.trim()).filter(piece => piece !== '' && piece !== ';');
}
