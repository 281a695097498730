import { query } from '../support/databases.ts';

/** What is known of a golden repository. */
export interface Expected {
  madeWith: string;
  /** Its manifest lies in `forgotten/`. */
  forgotten: string;
  /** Oldest first. */
  snapshots: { snapshot: string; tables: Record<string, { rows: number; hash: string }> }[];
}

/** Rows of each table and a hash of them in an order of their own; of large objects too. */
export async function fingerprintOf(url: string): Promise<Record<string, { rows: number; hash: string }>> {
  const tables = await query<{ name: string }>(
    url,
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1`,
  );
  const found: Record<string, { rows: number; hash: string }> = {};
  const sources = tables.map(each => each.name);
  for (const source of [...sources, '(select loid, pageno, data from pg_largeobject)']) {
    const [row] = await query<{ rows: string; hash: string }>(
      url,
      `select count(*) as rows, md5(coalesce(string_agg(t::text, '|' order by t::text collate "C"), '')) as hash from ${source} t`,
    );
    found[source] = { rows: Number(row!.rows), hash: row!.hash };
  }
  return found;
}
