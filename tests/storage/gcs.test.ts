import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidemark } from '../support/cli.ts';
import { freshDatabase, pgDumpText, query } from '../support/databases.ts';
import { GcsServer, type Seen } from '../support/gcsServer.ts';
import { server } from '../support/servers.ts';

const MB = 1024 * 1024;

test('a backup to Google Cloud Storage outlives what networks do, and comes back as it was', async t => {
  const google = await GcsServer.start();
  const bucket = google.bucket('backups', { location: 'EUROPE-WEST1' });
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table item as
       select i, md5(i::text) || md5((-i)::text) as a, md5((i * 7)::text) || md5((i * 11)::text) as b
         from generate_series(1, 300000) i`,
  );
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-gcs-'));
  t.after(async () => {
    await rm(folder, { recursive: true, force: true });
    await database.drop();
    await google.stop();
  });
  await writeFile(
    join(folder, 'tidemark.yaml'),
    `databases:
  shop: { url: ${JSON.stringify(database.url)} }
repositories:
  main:
    storage: "gs://backups/shop?endpoint=${google.endpoint}"
    key: { file: ./tidemark.key }
    class: NEARLINE
    residency: [eu]
    credentials: { credentials_json: "\${GOOGLE_KEY}" }
`,
  );
  const run = async (...args: string[]) => {
    const ran = await tidemark(folder, [...args, '--json'], { GOOGLE_KEY: google.credentials });
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    return JSON.parse(ran.stdout);
  };

  await run('init');
  const isPart = ({ method, headers }: Seen) =>
    method === 'PUT' && headers['content-range']?.startsWith('bytes 0-') === true;
  google.trouble(isPart, { cutRequestAt: 2 * MB });
  google.trouble(({ query }) => query.get('uploadType') === 'multipart', { answer: 503 });
  google.trouble(({ query }) => query.get('uploadType') === 'multipart', { loseAnswer: true });
  const { snapshot, bytesAdded } = await run('backup', 'shop');
  assert.ok(google.requests.some(({ headers }) => headers['content-range']?.startsWith('bytes */')));
  assert.ok(bytesAdded > 8 * MB);

  const classes = new Map<string, number>();
  for (const [name, { resource }] of bucket.objects) {
    const key = `${name.split('/')[1]} ${resource.storageClass}`;
    classes.set(key, (classes.get(key) ?? 0) + 1);
  }
  assert.ok(
    classes.has('packs NEARLINE') && classes.get('snapshots STANDARD') === 1,
    String([...classes.keys()]),
  );
  assert.equal((await run('verify', '--all')).ok, true);
  assert.equal((await run('list')).snapshots[0].snapshot, snapshot);

  google.trouble(({ query }) => query.get('alt') === 'media', { cutAnswerAt: 1000 }, 3);
  const restored = await freshDatabase(await server(15));
  t.after(() => restored.drop());
  await run('restore', snapshot, '--to', restored.url, '--yes');
  assert.equal(await pgDumpText(restored.url), await pgDumpText(database.url));
  await run('forget', snapshot, '--even-last', '--yes');
  assert.ok((await run('prune', '--yes')).repositories.length === 1);
});
