import { quoteLiteral, quoteName } from '../../postgres/session.ts';
import type { ServerFacts, SourceTable } from './anchor.ts';
import type { PartSubject } from './part.ts';
import { lockName } from './tableLocks.ts';

/** A part of a big table has about this many bytes on the server, TOAST included. */
const PART_BYTES = 64 << 20;
const PAGE_BYTES = 8192;
const PART_PAGES_MIN = 64;
/** Bytes of a large object a row. */
const PIECE_BYTES = 256 << 10;

/** A part and the statement that reads it. */
export interface PartJob extends PartSubject {
  sql: string;
  /** What LOCK TABLE names, for rows. */
  lock?: string;
  /** Run after `sql`, if anything must be tidied on the server. */
  after?: string;
  /** Expected bytes on the server: what is scheduled and shown by. */
  weightBytes: number;
}

/**
 * The parts of one table: disjoint page ranges, the last without an end. Ranges start at multiples of a power of two of
 * pages, so that they are the same in the next snapshot, and what did not change is found again.
 */
export function tableParts(table: SourceTable, encoding: string): PartJob[] {
  const names = { schema: table.schema, table: table.name, lock: lockName(table) };
  const base = { kind: 'rows' as const, oid: table.oid, ...names };
  const pages = Math.ceil(table.mainBytes / PAGE_BYTES);
  const step = pagesAPart(table);
  const splits =
    table.kind === 'r' && table.accessMethod === 'heap' && table.condition === null && pages > step;
  if (!splits) {
    return [
      {
        ...base,
        from: 0,
        to: null,
        sql: wholeStatement(table) + inEncoding(encoding),
        weightBytes: table.tableBytes,
      },
    ];
  }
  const parts: PartJob[] = [];
  for (let from = 0; from < pages; from += step) {
    const to = from + step < pages ? from + step : null;
    const share = Math.min(step, pages - from) / pages;
    parts.push({
      ...base,
      from,
      to,
      sql: rangeStatement(table, from, to) + inEncoding(encoding),
      weightBytes: table.tableBytes * share,
    });
  }
  return parts;
}

/** Before anything is known but the database as a whole: there are not more parts than this. */
export function partsAtMost({ tables, largeObjectsBytes, sizeBytes }: ServerFacts): number {
  return tables + Math.ceil(largeObjectsBytes / PAGE_BYTES) + Math.floor((2 * sizeBytes) / PART_BYTES);
}

function pagesAPart(table: SourceTable): number {
  const bytesAPage = PAGE_BYTES * (table.tableBytes / Math.max(1, table.mainBytes));
  let pages = PART_BYTES / PAGE_BYTES;
  while (pages > PART_PAGES_MIN && pages * bytesAPage > PART_BYTES * 1.5) pages /= 2;
  return pages;
}

/** Statements are UTF-8, rows the server's own encoding: what is stored is what the database has. */
function inEncoding(encoding: string): string {
  return ` (ENCODING ${quoteLiteral(encoding)})`;
}

const nameOf = (table: SourceTable) => `${quoteName(table.schema)}.${quoteName(table.name)}`;

function wholeStatement(table: SourceTable): string {
  if (table.condition === null) {
    return `COPY ${nameOf(table)}${table.columns ? ` (${table.columns})` : ''} TO STDOUT`;
  }
  return `COPY (SELECT ${table.columns} FROM ONLY ${nameOf(table)} ${table.condition}) TO STDOUT`;
}

function rangeStatement(table: SourceTable, from: number, to: number | null): string {
  const end = to === null ? '' : ` AND ctid < '(${to},0)'`;
  return `COPY (SELECT ${table.columns} FROM ONLY ${nameOf(table)} WHERE ctid >= '(${from},0)'${end}) TO STDOUT`;
}

/** The part of one batch of large objects; src/capture/logical/part.ts describes its bytes. */
export function largeObjectPart(oids: string[], batch: number): PartJob {
  const list = quoteLiteral(`{${oids.join(',')}}`);
  return {
    kind: 'largeObjects',
    oid: '',
    schema: '',
    table: '',
    from: batch,
    to: null,
    // 262144 is INV_READ; the size is where the end is.
    sql: `COPY (SELECT o.oid, piece, pg_catalog.lo_get(o.oid, piece, ${PIECE_BYTES})
 FROM (SELECT oid, pg_catalog.lo_lseek64(pg_catalog.lo_open(oid, 262144), 0, 2) AS size
  FROM pg_catalog.unnest(${list}::pg_catalog.oid[]) AS oid OFFSET 0) o,
  LATERAL pg_catalog.generate_series(0, GREATEST(o.size - 1, 0), ${PIECE_BYTES}) AS piece) TO STDOUT`,
    after: `SELECT pg_catalog.lo_close(fd) FROM pg_catalog.generate_series(0, ${oids.length - 1}) AS fd`,
    weightBytes: 0,
  };
}
