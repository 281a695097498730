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
export interface PartName {
  kind: 'rows' | 'largeObjects';
  /** Of the table, as the catalog has them, unquoted; empty for large objects. */
  schema: string;
  table: string;
  /** First heap page and the page after the last (null: to the end); for large objects, the batch's number. */
  from: number;
  to: number | null;
}

export interface Part extends PartName {
  rows: number;
  /** Plain bytes of the stream. */
  bytes: number;
}

/** Gives the bytes of a snapshot's parts, in order, each checked; a damaged or missing byte throws, never shortens. */
export interface PartSource {
  read(part: Part, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}
