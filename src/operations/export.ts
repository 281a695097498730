import type { Writable } from 'node:stream';
import type { Reporter } from '../base/progress.ts';
import { describePart } from '../capture/logical/part.ts';
import type { ArchiveEntry } from '../postgres/archive/entry.ts';
import { anyPattern } from '../postgres/archive/pattern.ts';
import { quoteQualified } from '../postgres/archive/quote.ts';
import { selectEntries } from '../postgres/archive/select.ts';
import { readPart } from '../repository/read/partReader.ts';
import type { ExportFormat } from '../restore/export/format.ts';
import { exportTo } from '../restore/export/index.ts';
import { partsByEntry, type StoredPart } from '../restore/parts.ts';
import { holdersOfLargeObjects } from '../restore/table/lost.ts';
import type { OpenSnapshot } from './open/openSnapshot.ts';
import { requireMatches } from './open/tablePatterns.ts';

export interface ExportRequest {
  snapshot: OpenSnapshot;
  format: ExportFormat;
  target: { path: string } | { stream: Writable };
  tables: string[];
  only: 'schema' | 'data' | undefined;
  reporter: Reporter;
  signal: AbortSignal;
}

/** What `tidemark export --json` prints. */
export interface ExportResult {
  snapshot: string;
  format: string;
  target: string;
  tables: number;
  rows: number;
  bytes: number;
  seconds: number;
  leftOut: string[];
}

/** Writes a snapshot, or some of its tables, in a format that stock tools read. */
export async function exportSnapshot(request: ExportRequest): Promise<ExportResult> {
  const started = performance.now();
  const { snapshot, format, target, reporter, signal } = request;
  const tables = request.tables.length > 0 ? anyPattern(request.tables) : undefined;
  const selected = selectEntries(snapshot.archive, {
    tables,
    only: request.only,
    database: !tables,
  });
  const { leftOut } = selected;
  const entries = format.rowsOnly
    ? selected.entries.filter(entry => entry.desc === 'TABLE DATA')
    : selected.entries;
  const rows = entries.filter(entry => entry.desc === 'TABLE DATA');
  requireMatches(snapshot, request.tables);
  const partsOf = partsByEntry(snapshot.archive, snapshot.parts);
  const parts = entries.flatMap(entry => (entry.hasData ? (partsOf(entry) ?? []) : []));
  reporter.begin(
    'exporting',
    parts.reduce((sum, part) => sum + part.bytes, 0),
  );
  await exportTo(
    format,
    {
      archive: snapshot.archive,
      select: new Set(entries.map(entry => entry.dumpId)),
      parts: entry => partsOf(entry) ?? [],
      source: {
        read: (part, abort) => readPart(snapshot.reader, part as StoredPart, describePart(part), abort),
      },
      signal,
      progress: bytes => reporter.advance(bytes),
    },
    target,
  );
  reporter.end();
  return {
    snapshot: snapshot.manifest.snapshot,
    format: format.name,
    target: 'path' in target ? target.path : '-',
    tables: rows.length,
    rows: parts.reduce((sum, part) => sum + (part.kind === 'rows' ? part.rows : 0), 0),
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    seconds: (performance.now() - started) / 1000,
    leftOut: [
      ...leftOut.map(({ entry, reason }) => `${entry.desc} ${entry.tag}: ${reason}`),
      ...(tables && snapshot.manifest.source.largeObjects > 0 ? unlikeTables(snapshot, rows) : []),
      ...(format.rowsOnly ? [`${unlikeRows(selected.entries)}: ${format.name} has rows of tables only`] : []),
    ],
  };
}

/** What of these entries is no row of a table. */
function unlikeRows(entries: readonly ArchiveEntry[]): string {
  const has = (...kinds: string[]) => entries.some(entry => kinds.includes(entry.desc));
  return [
    'definitions',
    ...(has('SEQUENCE SET') ? ['values of sequences'] : []),
    ...(has('BLOBS', 'BLOB', 'BLOB METADATA') ? ['large objects'] : []),
  ].join(', ');
}

/** What rows may name, and is no part of a table. */
function unlikeTables({ archive }: OpenSnapshot, rows: readonly ArchiveEntry[]): string[] {
  const holders = holdersOfLargeObjects(archive, rows);
  if (holders.length === 0) return [];
  const names = holders.map(entry => quoteQualified(entry.namespace, entry.tag)).join(', ');
  return [
    `large objects: they are not part of a table, and rows of ${names} may name some; a whole export has them`,
  ];
}
