import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { Anchor } from './anchor.ts';

/**
 * What the anchor's snapshot has and the database has no more, or not so any more: `pg_proc answer`. Of the objects whose
 * definitions pg_dump does not read under the snapshot alone, and which no lock of a table protects.
 *
 * @param other A session that is in no transaction.
 */
export async function changedMeanwhile(anchor: Anchor, other: Session): Promise<string[]> {
  const sessions = [other, anchor.session] as const;
  const [digestsNow, digestsThen] = await Promise.all(sessions.map(digestsOf));
  const catalogs = [...digestsThen!].filter(([name, digest]) => digestsNow!.get(name) !== digest);
  if (catalogs.length === 0) return [];
  const names = catalogs.map(([name]) => name);
  const [now, then] = await Promise.all(sessions.map(session => stateOf(session, names)));
  return [...then!]
    .filter(([key, { version }]) => now!.get(key)?.version !== version)
    .map(([, { name }]) => name);
}

async function stateOf(
  session: Session,
  catalogs: readonly string[],
): Promise<Map<string, { name: string; version: string }>> {
  const rows = await session.query(
    `select * from (${sqlFile('catalog_state')}\n) state where catalog = any ($1::pg_catalog.text[])`,
    [`{${catalogs.join(',')}}`],
  );
  return new Map(
    rows.map(row => [
      `${row.catalog} ${row.oid}`,
      { name: `${row.catalog} ${row.name}`, version: row.version! },
    ]),
  );
}

/** Of each catalog, so that only what changed need be sent. */
async function digestsOf(session: Session): Promise<Map<string, string>> {
  const all = "pg_catalog.concat_ws(' ', oid, version)";
  const rows = await session.query(
    `select catalog, pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(${all}, 0))) as digest
     from (${sqlFile('catalog_state')}\n) state group by catalog`,
  );
  return new Map(rows.map(row => [row.catalog!, row.digest!]));
}
