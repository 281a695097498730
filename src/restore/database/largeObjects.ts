import type { Session } from '../../postgres/session.ts';

/**
 * Fills large objects that exist already, empty, from a part's rows (`src/capture/logical/part.ts`): the rows go into a temporary
 * table as they are, and the server writes them where they belong. Resolves to the number of rows. For a transaction
 * that is open; `loadLargeObjects` is one of its own.
 */
export async function putLargeObjects(session: Session, rows: AsyncIterable<Uint8Array>): Promise<number> {
  await session.run(
    'CREATE TEMPORARY TABLE tidemark_pieces (object pg_catalog.oid, piece pg_catalog.int8, bytes pg_catalog.bytea) ON COMMIT DROP',
  );
  const count = await session.copyIn('COPY pg_temp.tidemark_pieces FROM STDIN', rows);
  await session.run(
    'SELECT pg_catalog.lo_put(object, piece, bytes) FROM pg_temp.tidemark_pieces; DROP TABLE pg_temp.tidemark_pieces',
  );
  return count;
}

export async function loadLargeObjects(session: Session, rows: AsyncIterable<Uint8Array>): Promise<number> {
  await session.run('BEGIN');
  try {
    const count = await putLargeObjects(session, rows);
    await session.run('COMMIT');
    return count;
  } catch (error) {
    await session.run('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Which of these are there. */
export async function existingLargeObjects(session: Session, oids: readonly string[]): Promise<Set<string>> {
  const rows = await session.query(
    'select m.oid from pg_catalog.pg_largeobject_metadata m where m.oid = any ($1::pg_catalog.oid[])',
    [oids],
  );
  return new Set(rows.map(row => row.oid!));
}

/** Takes the bytes of large objects away; their owners, privileges and comments stay. For a transaction that is open. */
export async function emptyLargeObjects(session: Session, oids: readonly string[]): Promise<void> {
  await session.query(
    `select pg_catalog.lo_close(emptied.fd) from (
       select opened.fd, pg_catalog.lo_truncate(opened.fd, 0) as done from (
         select pg_catalog.lo_open(n.oid, 131072) as fd from pg_catalog.unnest($1::pg_catalog.oid[]) as n(oid) offset 0
       ) opened offset 0
     ) emptied where emptied.done = 0`,
    [oids],
  );
}
