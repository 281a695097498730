/**
 * Leaves out of a table of contents what servers keep for themselves. Minor releases of November 2026 (15.20, 17.12) store
 * a column option `pg_attver`, another number in each database, which other releases refuse; a pg_dump older than they
 * are writes it down.
 */
import type { Archive, ArchiveEntry } from './entry.ts';
import { readQualified } from './quote.ts';
import { splitStatements } from './sqlText.ts';

/** Kinds whose definition sets options of columns (pg_dump.c, dumpTableSchema). */
const WITH_COLUMNS = new Set(['TABLE', 'FOREIGN TABLE', 'MATERIALIZED VIEW', 'VIEW']);
const OPTION = /(?:^|, )pg_attver='?\d+'?(?=,|$)/g;

/** The archive itself where there is nothing to leave out. */
export function withoutInternalOptions(archive: Archive): Archive {
  let changed = false;
  const entries = archive.entries.map((entry): ArchiveEntry => {
    if (!WITH_COLUMNS.has(entry.desc) || !entry.defn?.includes('pg_attver=')) return entry;
    const defn = withoutOptions(entry.defn);
    changed ||= defn !== entry.defn;
    return { ...entry, defn };
  });
  return changed ? { ...archive, entries } : archive;
}

/** The same of one definition, which may be several statements. */
export function withoutOptions(definition: string): string {
  return splitStatements(definition).map(withoutOption).join('');
}

/** `ALTER TABLE ONLY a.b ALTER COLUMN c SET (…);` without the option, or nothing where no other is set. */
function withoutOption(statement: string): string {
  const start = /^ALTER (?:FOREIGN )?TABLE (?:ONLY )?/.exec(statement);
  const table = start && readQualified(statement, start[0].length);
  if (!table || !statement.startsWith(' ALTER COLUMN ', table.end)) return statement;
  const column = readQualified(statement, table.end + ' ALTER COLUMN '.length);
  if (!column || !statement.startsWith(' SET (', column.end)) return statement;
  const from = column.end + ' SET ('.length;
  const to = statement.lastIndexOf(');');
  const kept = statement.slice(from, to).replace(OPTION, '').replace(/^, /, '');
  return kept === '' ? '' : statement.slice(0, from) + kept + statement.slice(to);
}
