/** The program as a whole with a repository on Azure Blob storage. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clientOf } from '../support/azureContainer.ts';
import { azurite } from '../support/azurite.ts';
import { tidemark } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const FILL = `create table notes as
  select i, md5(i::text) || md5((i * 7)::text) as text from generate_series(1, 300000) i`;

test('backups go to a container, are verified there and come back, and no output shows the key', async t => {
  const { account, accountKey, endpoint } = await azurite();
  const container = await clientOf('program');
  await container.createIfNotExists();
  const database = await freshDatabase(await server(15));
  await query(database.url, FILL);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-azure-'));
  t.after(() => rm(folder, { recursive: true }));
  const storage = `azure://${account}/program/main?endpoint=${endpoint}`;
  await writeFile(join(folder, '.env'), `ACCOUNT_KEY=${accountKey}\n`);
  await writeFile(
    join(folder, 'tidemark.yaml'),
    `databases: { db: { url: ${JSON.stringify(database.url)} } }
repositories:
  main:
    storage: ${JSON.stringify(storage)}
    credentials: { account_key: "\${ACCOUNT_KEY}" }
    key: { file: ./tidemark.key }
`,
  );
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tidemark(folder, args);
    assert.equal(code, 0, stdout + stderr);
    assert.ok(!(stdout + stderr).includes(accountKey));
    return stdout;
  };
  await run('init');
  await run('backup', 'db');
  const second = JSON.parse(await run('backup', 'db', '--json'));
  assert.ok(second.bytesAdded < 10_000, 'nothing has changed');
  assert.equal(JSON.parse(await run('verify', '--all', '--json')).ok, true);
  const restored = `${database.name}_restored`;
  await run('restore', 'db', '--new', restored);
  const rows = 'select count(*), sum(hashtext(text)) from notes';
  assert.deepEqual(
    await query(database.url.replace(database.name, restored), rows),
    await query(database.url, rows),
  );
  const first = container.listBlobsFlat({ prefix: 'main/packs/' });
  const { value: pack } = await first.next();
  await container.deleteBlob(pack.name);
  const damaged = await tidemark(folder, ['verify', '--all']);
  assert.equal(damaged.code, 3, damaged.stdout + damaged.stderr);
});
