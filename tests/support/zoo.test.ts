import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshDatabase, pgDumpText, psql, query } from './databases.ts';
import { MAJORS, server, serverLacks } from './servers.ts';
import { loadZoo, loadZooGlobals, zooFiles } from './zoo.ts';

for (const major of MAJORS) {
  test(`the zoo loads on PostgreSQL ${major}`, { skip: serverLacks(major) }, async () => {
    const database = await freshDatabase(await server(major), 'a zoo');
    await loadZoo(database.url);
    const [counted] = await query<{ n: string; version: string }>(
      database.url,
      `select (select count(*) from pg_class) as n, current_setting('server_version') as version`,
    );
    assert.ok(Number(counted!.n) > 500);
    assert.equal(Number.parseInt(counted!.version, 10), major);
    await database.drop();
  });
}

test('psql loads the zoo too, with the same result', async () => {
  const shared = await server(15);
  await loadZooGlobals(shared.url());
  const [byPsql, byPg] = [await freshDatabase(shared), await freshDatabase(shared)];
  for (const file of zooFiles(15)) await psql(byPsql.url, ['-f', file]);
  await loadZoo(byPg.url);
  // Where rows lie depends on what was one transaction, so the lines are compared whatever their order.
  const lines = async (url: string): Promise<string> => (await pgDumpText(url)).split('\n').sort().join('\n');
  assert.ok((await lines(byPsql.url)) === (await lines(byPg.url)), 'the dumps are equal');
  await byPsql.drop();
  await byPg.drop();
});
