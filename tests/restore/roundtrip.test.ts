/** The one equality that decides whether a restore is right: what stock tools see in both databases. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSite } from '../support/cli.ts';
import { type Database, freshDatabase, pgDumpText } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { clientOnPath, DEBIAN_15, MAJORS, type Major, server, serverLacks } from '../support/servers.ts';
import { loadZoo, loadZooGlobals, UNORDERED_TABLES } from '../support/zoo.ts';

interface Restored {
  tables: { name: string; rows: number }[];
  notes: string[];
  check: { unchecked: unknown[] };
}

let zoos = 0;

/** Databases are left to the server, which goes with this process. */
async function zoo(major: Major): Promise<Database> {
  const database = await freshDatabase(await server(major), `a "zoo" ${++zoos}`);
  await loadZoo(database.url);
  return database;
}

test('a restored zoo gives the same pg_dump output as one restored by stock tools', async t => {
  const shared = await server(15);
  const source = await zoo(15);
  const site = await makeSite({ zoo: source.url });
  t.after(() => site.remove());
  await site.json('backup', 'zoo');
  const restored = await site.json<Restored>('restore', 'zoo', '--new', 'by tidemark');
  assert.deepEqual(restored.notes, []);
  const archive = join(site.folder, 'zoo.dump');
  stock('pg_dump', ['-Fc', '-f', archive, '-d', source.url]);
  const byStock = await freshDatabase(shared, 'by stock tools', { encoding: 'UTF8', locale: 'C' });
  stock('pg_restore', ['-e', '-d', byStock.url, archive]);
  const except = UNORDERED_TABLES.flatMap(pattern => ['--exclude-table-data', pattern]);
  const mine = await pgDumpText(shared.url('by tidemark'), except);
  const theirs = await pgDumpText(byStock.url, except);
  assert.equal(difference(theirs, mine), '');
  assert.equal(difference(await fingerprint(source.url), await fingerprint(shared.url('by tidemark'))), '');
});

/** Debian's 15 has lz4, the other servers don't; none attaches the index of an exclusion constraint, nor does pg_restore. */
const EXPECTED_NOTES = [/column compression lz4/, /^index zoo\.parted_of_17\S+ stands by itself/];
const settled = (line: string) => !/^INDEX ATTACH \| zoo \| parted_of_17_/.test(line);

for (const from of MAJORS) {
  for (const to of MAJORS.filter(major => major >= from)) {
    test(`the zoo of PostgreSQL ${from} restores on ${to}`, { skip: serverLacks(from, to) }, async t => {
      const source = await zoo(from);
      const target = await server(to);
      await loadZooGlobals(target.url());
      const into = await freshDatabase(target, `the target ${zoos}`, { encoding: 'UTF8', locale: 'C' });
      // A server of 19 is beyond the WebAssembly pg_dump.
      const env: Record<string, string> = to === 19 ? clientOnPath(19) : {};
      const site = await makeSite({ zoo: source.url }, '', [], env);
      t.after(() => site.remove());
      await site.json('backup', 'zoo');
      const { notes, check } = await site.json<Restored>(
        ...['restore', 'zoo', '--to', into.url, '--check', 'exact'],
      );
      assert.deepEqual(check.unchecked, []);
      assert.deepEqual(
        notes.filter(note => !EXPECTED_NOTES.some(expected => expected.test(note))),
        [],
      );
      // Between major versions the same thing may be said in other words: then names, owners and rows are compared.
      const seen = { definitions: from === to, client: to === 19 ? to : undefined };
      const [before, after] = [await fingerprint(source.url, seen), await fingerprint(into.url, seen)];
      assert.equal(difference(before.filter(settled), after.filter(settled)), '');
    });
  }
}

function stock(program: string, args: string[]): void {
  const ran = spawnSync(join(DEBIAN_15, program), args, { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`${program} ended with ${ran.status}: ${ran.stderr}`);
}
