import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { type Anchor, openCaptureSession } from './anchor.ts';

/**
 * What the anchor's snapshot has and the database has no more, or not so any more: `pg_proc answer`. Of the objects whose
 * definitions pg_dump does not read under the snapshot alone, and which no lock of a table protects.
 */
export async function changedMeanwhile(anchor: Anchor, signal: AbortSignal): Promise<string[]> {
  const session = await openCaptureSession(anchor.session.settings, signal);
  try {
    if ((await digestOf(session)) === (await digestOf(anchor.session))) return [];
    const now = await stateOf(session);
    const then = await stateOf(anchor.session);
    return [...then]
      .filter(([key, { version }]) => now.get(key)?.version !== version)
      .map(([, { name }]) => name);
  } finally {
    await session.close();
  }
}

async function stateOf(session: Session): Promise<Map<string, { name: string; version: string }>> {
  const rows = await session.query(sqlFile('catalog_state'));
  return new Map(
    rows.map(row => [
      `${row.catalog} ${row.oid}`,
      { name: `${row.catalog} ${row.name}`, version: row.version! },
    ]),
  );
}

/** Of all of it, so that it need not be sent where nothing changed. */
async function digestOf(session: Session): Promise<string> {
  const all = "pg_catalog.concat_ws(' ', catalog, oid, version)";
  const [row] = await session.query(
    `select pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(${all}, 0))) as digest
     from (${sqlFile('catalog_state')}\n) state`,
  );
  return row!.digest!;
}
