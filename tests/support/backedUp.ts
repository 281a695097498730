import type { TestContext } from 'node:test';
import { makeSite, type Site } from './cli.ts';
import { freshDatabase, pgDumpText, psql } from './databases.ts';
import { type Major, server } from './servers.ts';

/** A database with its first snapshot, on which table restores are tried. */
export interface BackedUp {
  url: string;
  name: string;
  site: Site;
  snapshot: string;
  /** Restores tables of the first snapshot in place; resolves to the notes. */
  tables(...patterns: string[]): Promise<string[]>;
  sql(text: string): Promise<string>;
  dump(): Promise<string>;
}

export async function backedUp(t: TestContext, sql: string, major: Major = 15): Promise<BackedUp> {
  const database = await freshDatabase(await server(major));
  await psql(database.url, [], sql);
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop');
  return {
    url: database.url,
    name: database.name,
    site,
    snapshot,
    async tables(...patterns) {
      const options = patterns.flatMap(pattern => ['--table', pattern]);
      const result = await site.json<{ notes: string[] }>(
        ...['restore', snapshot, '--in-place', '--yes', ...options],
      );
      return result.notes;
    },
    sql: text => psql(database.url, ['-At', '-c', text]),
    dump: () => pgDumpText(database.url),
  };
}
