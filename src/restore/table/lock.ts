import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import type { TableTarget } from './target.ts';

/** How long others are waited for, while whoever else writes to these tables waits behind us. */
const LOCK_WAIT_S = 60;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Keeps writers out of tables until the transaction ends: they wait. Readers go on.
 *
 * @param replaced TABLE DATA entries of tables that are there.
 * @throws TidemarkError LOCK_WAIT where others keep one of them locked.
 */
export async function lockReplaced(target: TableTarget, replaced: readonly ArchiveEntry[]): Promise<void> {
  if (replaced.length === 0) return;
  const names = replaced.map(entry => `ONLY ${quoteQualified(entry.namespace, entry.tag)}`).join(', ');
  const { session } = target;
  const [before] = await session.query("select pg_catalog.current_setting('client_encoding') as encoding");
  await session.run(`SET LOCAL lock_timeout = '${LOCK_WAIT_S}s'`);
  await session.run(`SET LOCAL client_encoding = '${target.encoding}'`);
  try {
    await target.run(`LOCK TABLE ${names} IN SHARE ROW EXCLUSIVE MODE`);
  } catch (error) {
    if (!(error instanceof PostgresError) || error.code !== LOCK_NOT_AVAILABLE) throw error;
    throw new TidemarkError(
      'LOCK_WAIT',
      `a table that is to be replaced was locked by others for ${LOCK_WAIT_S} s`,
      'pg_locks shows by whom; run this again when they are done; the database is as it was before',
      { cause: error },
    );
  }
  await session.run(`SET LOCAL lock_timeout = 0; SET LOCAL client_encoding = '${before!.encoding!}'`);
}
