import type { PartSubject } from '../../capture/logical/part.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';

/** What of a snapshot can't be restored, as a person names it. */
export interface Lost {
  /** Nothing of it can be restored: its manifest, its table of contents or its list of parts can't be read. */
  everything: boolean;
  /** What else than tables: `the table of contents`, `the list of parts`, `the roles`, `large objects`. */
  other: string[];
  /** By name; with `everything`, those that are known to have been in it. */
  tables: LostTable[];
}

export interface LostTable {
  /** `schema.table`, as it can be typed after --table. */
  table: string;
  /** So many of its rows at the most: those of the parts that can't be read whole; null where nobody knows. */
  rows: number | null;
  /** Of so many. */
  ofRows: number | null;
}

/** The streams that every snapshot has, as they are called where tables are listed. */
export const STREAM_NAMES = {
  archive: 'the table of contents',
  globals: 'the roles',
  parts: 'the list of parts',
} as const;

export type StreamName = keyof typeof STREAM_NAMES;

const LARGE_OBJECTS = 'large objects';

/** Nobody knows what was in it. */
export const ALL_LOST: Lost = { everything: true, other: [], tables: [] };

/** What a part is of, as a person names it. */
export function nameOfPart({ kind, schema, table }: Pick<PartSubject, 'kind' | 'schema' | 'table'>): string {
  return kind === 'rows' ? quoteQualified(schema, table) : LARGE_OBJECTS;
}

export interface FoundParts {
  /** The streams that can't be read. */
  streams: readonly StreamName[];
  /** Of all parts, as far as they are known. */
  parts: readonly { name: string; kind: PartSubject['kind']; rows: number; lost: boolean }[];
  /** Tables with rows by the table of contents: what there is to name where the list of parts is lost. */
  listed: readonly string[];
}

/** Sums up by table what can't be read. */
export function lostOf({ streams, parts, listed }: FoundParts): Lost {
  const everything = streams.includes('archive') || streams.includes('parts');
  const other = streams.map(stream => STREAM_NAMES[stream] as string);
  if (parts.some(part => part.kind === 'largeObjects' && (part.lost || everything)))
    other.push(LARGE_OBJECTS);
  const tables = new Map<string, LostTable>();
  for (const { name, kind, rows, lost } of parts) {
    if (kind !== 'rows') continue;
    const known = tables.get(name) ?? { table: name, rows: 0, ofRows: 0 };
    known.rows! += lost || everything ? rows : 0;
    known.ofRows! += rows;
    tables.set(name, known);
  }
  const hurt = new Set(parts.filter(part => part.lost).map(part => part.name));
  const named = [...tables.values()].filter(({ table }) => everything || hurt.has(table));
  for (const table of everything ? listed : [])
    if (!tables.has(table)) named.push({ table, rows: null, ofRows: null });
  named.sort((a, b) => (a.table < b.table ? -1 : 1));
  return { everything, other, tables: named };
}

/** Whether all of it can be restored. */
export function isWholeStill({ everything, other, tables }: Lost): boolean {
  return !everything && other.length === 0 && tables.length === 0;
}
