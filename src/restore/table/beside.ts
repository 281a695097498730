import { usageError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteIdentifier, quoteQualified } from '../../postgres/archive/quote.ts';

export interface BesideTable {
  create: string;
  copy: string;
}

/**
 * The statements that make a table under another name in its own schema: columns with their types, defaults that need no
 * sequence of the table's own, checks; no keys, indexes, triggers or privileges, whose names are taken.
 */
export function besideTable(table: ArchiveEntry, data: ArchiveEntry, name: string): BesideTable {
  const from = quoteQualified(table.namespace, table.tag);
  const to = quoteQualified(table.namespace, name);
  const start = /^CREATE (?:UNLOGGED )?TABLE /.exec(table.defn ?? '');
  if (!start || !table.defn!.startsWith(from, start[0].length)) {
    throw usageError(
      'BESIDE_UNSUPPORTED',
      `${table.desc} ${table.tag} can't be restored under another name`,
      'restore it into a new database: --new NAME',
    );
  }
  const lines = table.defn!.slice(start[0].length + from.length);
  const create = `${start[0]}${to}${lines}`
    .replace(/\nINHERITS \([^\n]*\)(?=[;\n])/, '')
    .replace(/\nPARTITION BY [^\n]*(?=;\n)/, '')
    .replaceAll(`\nALTER TABLE ONLY ${from} `, `\nALTER TABLE ONLY ${to} `)
    .replace(/\bCONSTRAINT (?:"(?:[^"]|"")*"|\w+) (?=CHECK|NOT NULL)/g, '');
  const copy = data.copyStmt!.replace(
    /^COPY (?:"(?:[^"]|"")*"|[\w$\u0080-\uffff])+(?:\.(?:"(?:[^"]|"")*"|[\w$\u0080-\uffff]+))?/,
    () => `COPY ${to}`,
  );
  return { create, copy };
}

/** `CREATE TABLE` made this name; also for messages. */
export function besideName(table: ArchiveEntry, name: string): string {
  return `${quoteIdentifier(table.namespace ?? '')}.${quoteIdentifier(name)}`;
}
