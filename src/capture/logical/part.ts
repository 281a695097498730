import { TidemarkError } from '../../base/errors.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { quoteName } from '../../postgres/session.ts';

/** What a snapshot of kind `logical` says in its own sections: docs/format.md, "Of kind logical". */

/** What was asked for: patterns as written, empty `tables` means all of them. */
export interface Scope {
  tables: string[];
  excludeTables: string[];
  schemaOnly: boolean;
  dataOnly: boolean;
  rolePasswords: boolean;
  /** Only where less was asked for by hand than the plan captures. */
  narrowed?: true;
}

export interface SourceFacts {
  database: string;
  host: string;
  serverVersion: string;
  serverVersionNum: number;
  encoding: string;
  collate: string;
  ctype: string;
  localeProvider: string;
  icuLocale: string | null;
  sizeBytes: number;
  /** The program that wrote the table of contents, and its version. */
  pgDump: string;
  /** Tables with rows, and how many rows. */
  tables: number;
  rows: number;
  largeObjects: number;
  /** Entries of the archive (dumpIds) that need a table that was left out, each with its name; a restore leaves them out. */
  needsExcluded?: [dumpId: number, needs: string][];
}

export interface LogicalFacts {
  scope: Scope;
  source: SourceFacts;
}

/**
 * A part: one named byte stream inside a snapshot. Parts are the unit of parallel work on the way in and out.
 *
 * `rows`: COPY text of one table (or one page range of it): whole rows, each ending in `\n`, columns in the order of
 * the TABLE DATA entry's COPY statement; no `\.` at the end.
 *
 * `largeObjects`: COPY text too, one row a piece: `oid \t offset \t \\xHEX \n` (the data column is a bytea in hex, so
 * its text starts with two backslashes and an x). Pieces of one object follow each other by offset; an empty object has
 * one row with offset 0 and empty data.
 */
export interface PartSubject {
  kind: 'rows' | 'largeObjects';
  /** Of the table; the archive's TABLE DATA entry has it too. Empty for large objects. */
  oid: string;
  /** Of the table, as the catalog has them, unquoted; empty for large objects. */
  schema: string;
  table: string;
  /** First heap page and the page after the last (null: to the end); for large objects, the batch's number. */
  from: number;
  to: number | null;
}

export interface Part extends PartSubject {
  rows: number;
  /** Plain bytes of the stream. */
  bytes: number;
}

/** Gives the bytes of a snapshot's parts, in order, each checked; a damaged or missing byte throws, never shortens. */
export interface PartSource {
  read(part: Part, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** @throws TidemarkError FORMAT_TOO_NEW where another kind of capture made the snapshot. */
export function logicalFacts(manifest: {
  kind: string;
  snapshot: string;
  scope: object;
  source: object;
}): LogicalFacts {
  if (manifest.kind === 'logical') return manifest as unknown as LogicalFacts;
  throw new TidemarkError(
    'FORMAT_TOO_NEW',
    `snapshot ${manifest.snapshot} is of kind ${manifest.kind}, which this tidemark does not know`,
    'use a newer tidemark',
    { kind: 'fault' },
  );
}

interface RowsFacts {
  kind: 'rows';
  oid: string;
  schema: string;
  table: string;
}

type PartFacts = RowsFacts | { kind: 'largeObjects'; batch: number };

/** A part's name in the repository. Batches of large objects overlap with their neighbours. */
export function partName({ kind, schema, table, from, to }: PartSubject): {
  group: string;
  from: number;
  to: number | null;
} {
  if (kind === 'largeObjects') return { group: 'large objects', from: from * 2, to: from * 2 + 3 };
  return { group: `rows ${quoteName(schema)}.${quoteName(table)}`, from, to };
}

/** What the repository keeps of a part without knowing what it means. */
export function partFacts({ kind, oid, schema, table, from }: PartSubject): PartFacts {
  return kind === 'rows' ? { kind, oid, schema, table } : { kind, batch: from };
}

/** The part that a repository kept. */
export function partOf(record: {
  from: number;
  to: number | null;
  rows: number;
  bytes: number;
  facts: object;
}): Part {
  const facts = record.facts as PartFacts;
  const { rows, bytes } = record;
  if (facts.kind === 'rows') return { ...facts, from: record.from, to: record.to, rows, bytes };
  return { kind: facts.kind, oid: '', schema: '', table: '', from: facts.batch, to: null, rows, bytes };
}

/** What a part is of, for people. */
export function describePart({ kind, schema, table }: PartSubject): string {
  return kind === 'rows' ? `table ${quoteQualified(schema, table)}` : 'the large objects';
}
