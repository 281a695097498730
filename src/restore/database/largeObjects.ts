import type { Session } from '../../postgres/session.ts';

/**
 * Fills large objects that exist already, empty, from a part's rows (`src/capture/part.ts`): the rows go into a temporary
 * table as they are, and the server writes them where they belong. Resolves to the number of rows.
 */
export async function loadLargeObjects(session: Session, rows: AsyncIterable<Uint8Array>): Promise<number> {
  await session.run(
    'BEGIN; CREATE TEMPORARY TABLE tidemark_pieces (object pg_catalog.oid, piece pg_catalog.int8, bytes pg_catalog.bytea) ON COMMIT DROP',
  );
  try {
    const count = await session.copyIn('COPY pg_temp.tidemark_pieces FROM STDIN', rows);
    await session.run('SELECT pg_catalog.lo_put(object, piece, bytes) FROM pg_temp.tidemark_pieces; COMMIT');
    return count;
  } catch (error) {
    await session.run('ROLLBACK').catch(() => {});
    throw error;
  }
}
