/**
 * Tables as CSV: a folder with one file a table, `schema.table.csv`, its first line the column names, in the encoding of
 * the database. The rows are what `COPY … TO … (FORMAT csv, HEADER)` gives (csvRows.ts): NULL is an empty field, an
 * empty text `""`. Generated columns, large objects, sequences' values and definitions are not in it.
 *
 * In file names, dots and characters that file systems don't take are percent-encoded; a name that would be too long, or
 * that differs from another one only by case, ends in `~` and the entry's number.
 */
import { faultError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified, readQualified } from '../../postgres/archive/quote.ts';
import { csvLine, csvRows } from './csvRows.ts';
import { encode, selectedEntries } from './entries.ts';
import type { ExportInput, FileSink, FolderFormat } from './format.ts';
import { rowsOf } from './rows.ts';

/** Of the 255 bytes file systems give a name, what is left for a table's. */
const NAME_BYTES = 200;

export const csv: FolderFormat = {
  name: 'csv',
  summary: 'one CSV file a table, for everything else; rows only',
  rowsOnly: true,
  shape: 'folder',
  async write(input, sink) {
    const taken = new Set<string>();
    for (const entry of selectedEntries(input)) {
      if (entry.desc !== 'TABLE DATA') continue;
      await sink.file(fileName(entry, taken), file => writeTable(input, entry, file));
    }
  },
};

async function writeTable(input: ExportInput, entry: ArchiveEntry, sink: FileSink): Promise<void> {
  const columns = copiedColumns(entry);
  await sink.write(encode(input.archive, columns.length > 0 ? csvLine(columns) : '\n'));
  const rows = rowsOf(input, entry);
  // Rows without columns are empty lines, and stay so.
  for await (const bytes of columns.length > 0 ? csvRows(rows, columns.length) : rows)
    await sink.write(bytes);
}

/** Names in `COPY public.t (a, "b c") FROM stdin;`. */
export function copiedColumns(entry: ArchiveEntry): string[] {
  const statement = entry.copyStmt ?? '';
  const table = statement.startsWith('COPY ') ? readQualified(statement, 'COPY '.length) : null;
  const odd = faultError(
    'ARCHIVE_UNREADABLE',
    `the rows of ${quoteQualified(entry.namespace, entry.tag)} were not dumped by COPY: ${statement.trim()}`,
    'export as plain, custom or directory',
  );
  if (!table) throw odd;
  const rest = statement.slice(table.end);
  if (/^ +FROM stdin;\s*$/.test(rest)) return [];
  if (!rest.startsWith(' (')) throw odd;
  const names: string[] = [];
  for (let at = table.end + 2; ; at += 2) {
    const name = readQualified(statement, at);
    if (name?.parts.length !== 1) throw odd;
    names.push(name.parts[0]!);
    at = name.end;
    if (statement[at] === ')') return names;
    if (!statement.startsWith(', ', at)) throw odd;
  }
}

function fileName(entry: ArchiveEntry, taken: Set<string>): string {
  const encoded = (name: string) =>
    name.replace(
      /[%./\\:*?"<>|\u0000-\u001f\u007f]|(?<![\ud800-\udbff])[\udc80-\udcff]/g,
      character => `%${hex(character)}`,
    );
  let name = `${encoded(entry.namespace ?? '')}.${encoded(entry.tag)}`;
  const isTooLong = Buffer.byteLength(name) > NAME_BYTES;
  if (isTooLong)
    name = Buffer.from(name)
      .subarray(0, NAME_BYTES)
      .toString()
      .replace(/\ufffd|%.?$/g, '');
  if (isTooLong || taken.has(name.toLowerCase())) name += `~${entry.dumpId}`;
  taken.add(name.toLowerCase());
  return `${name}.csv`;
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}
