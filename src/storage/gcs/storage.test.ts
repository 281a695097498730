import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { insert } from '../../../tests/support/gcs/buckets.ts';
import { GcsServer, type Seen } from '../../../tests/support/gcsServer.ts';
import { parseStorage } from '../address.ts';
import { openStorage } from '../index.ts';
import type { StorageSettings } from '../kind.ts';
import { refuses, storageContract } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';

const MB = 1024 * 1024;

const server = await GcsServer.start();
after(() => server.stop());

async function open(bucket: string, settings: StorageSettings = {}, query = ''): Promise<Storage> {
  const credentials = { credentials_json: server.credentials };
  const address = `gs://${bucket}/some/folder?endpoint=${server.endpoint}${query}`;
  return openStorage({ spec: parseStorage(address, { credentials, ...settings }) });
}

/** Requests that a piece of work sends, without those for tokens. */
async function seenDuring(work: () => Promise<unknown>): Promise<Seen[]> {
  const from = server.requests.length;
  await work();
  return server.requests.slice(from).filter(({ path }) => path.includes('/storage/v1/'));
}

async function listed(storage: Storage, prefix = ''): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(prefix)) names.push(name);
  return names;
}

storageContract(
  'gcs',
  async place => {
    server.bucket(place);
    return open(place);
  },
  {
    clockMs: 1000,
    plant: async (place, name) => {
      insert(server.bucket(place), { name: `some/folder/${name}` }, Buffer.from('x'), new URLSearchParams());
    },
  },
);

test('a small object goes in one request, a large one in parts, each with its MD5', async () => {
  const bucket = server.bucket('uploads');
  const storage = await open('uploads');
  const small = await seenDuring(() => storage.put('small', [randomBytes(100)]));
  assert.deepEqual(
    small.map(({ query }) => query.get('uploadType')),
    ['multipart'],
  );
  const data = [randomBytes(20 * MB), randomBytes(17 * MB + 5)];
  const large = await seenDuring(() => storage.put('large', data));
  assert.deepEqual(
    large.map(({ method, headers }) => [method, headers['content-range']]),
    [
      ['POST', undefined],
      ['PUT', `bytes 0-${32 * MB - 1}/${37 * MB + 5}`],
      ['PUT', `bytes ${32 * MB}-${37 * MB + 4}/${37 * MB + 5}`],
    ],
  );
  const { resource, bytes } = bucket.objects.get('some/folder/large')!;
  assert.ok(bytes.equals(Buffer.concat(data)));
  assert.equal(resource.contentType, 'application/octet-stream');
  assert.equal(resource.cacheControl, 'no-store');
  assert.ok((await storage.get('large')).equals(bytes));
  assert.equal(server.sessions.open, 0);
});

test('a large object with ifAbsent leaves what is there alone', async () => {
  server.bucket('absent');
  const storage = await open('absent');
  await storage.put('object', [Buffer.from('first')]);
  const large = [randomBytes(9 * MB)];
  await refuses('OBJECT_EXISTS', 'failed', storage.put('object', large, { ifAbsent: true }));
  await storage.put('other', large, { ifAbsent: true });
  await refuses('OBJECT_EXISTS', 'failed', storage.put('other', [Buffer.from('x')], { ifAbsent: true }));
  assert.ok((await storage.get('other')).equals(large[0]!));
});

test('lists page by page, and what is not ours is passed over', async () => {
  const bucket = server.bucket('pages');
  const storage = await open('pages');
  const names = Array.from({ length: 25 }, (_, i) => `packs/a/${i}`).sort();
  await Promise.all(names.map(name => storage.put(name, [Buffer.from(name)])));
  // What the console makes for an empty folder, what an upload of somebody else leaves, and what lies beside us.
  const [any] = bucket.objects.values();
  for (const name of ['some/folder/', 'some/folder/packs/', 'some/folder/.hidden', 'some/folder2/x', 'x'])
    bucket.objects.set(name, { ...any!, resource: { ...any!.resource, name } });
  server.pageObjects = 7;
  const pages = await seenDuring(async () => assert.deepEqual((await listed(storage)).sort(), names));
  server.pageObjects = 1000;
  assert.equal(pages.length, 4);
  assert.deepEqual((await listed(storage, 'packs/a/')).sort(), names);
  const whole = await openStorage({
    spec: parseStorage(`gs://pages?endpoint=${server.endpoint}`, {
      credentials: { credentials_json: server.credentials },
    }),
  });
  assert.ok((await listed(whole)).includes('some/folder2/x'));
});

test('data lies in the class that is asked for, else in that of the bucket', async () => {
  const bucket = server.bucket('classes', { defaultClass: 'NEARLINE' });
  const storage = await open('classes', { storageClass: 'ARCHIVE' });
  await storage.put('cold', [randomBytes(10)], { storageClass: 'ARCHIVE' });
  await storage.put('large', [randomBytes(9 * MB)], { storageClass: 'COLDLINE' });
  await storage.put('plain', [randomBytes(10)]);
  const classOf = (name: string) => bucket.objects.get(`some/folder/${name}`)?.resource.storageClass;
  assert.deepEqual(
    [classOf('cold'), classOf('large'), classOf('plain')],
    ['ARCHIVE', 'COLDLINE', 'NEARLINE'],
  );
  assert.equal((await storage.get('cold')).length, 10);
});

test('a KMS key and a project to bill go with every request that needs them', async () => {
  const bucket = server.bucket('billed');
  const keyId = 'projects/p/locations/eu/keyRings/r/cryptoKeys/k';
  const storage = await open('billed', { encryption: { mode: 'kms', keyId } }, '&project=payer');
  const seen = await seenDuring(async () => {
    await storage.put('small', [randomBytes(10)]);
    await storage.put('large', [randomBytes(9 * MB)]);
    await storage.get('small');
    await listed(storage);
    await storage.remove('small');
  });
  assert.ok(seen.every(({ query }) => query.get('userProject') === 'payer'));
  const { resource } = bucket.objects.get('some/folder/large')!;
  assert.equal(resource.kmsKeyName, `${keyId}/cryptoKeyVersions/1`);
  const plain = await open('billed', { encryption: { mode: 'provider' } });
  await plain.put('plain', [randomBytes(1)]);
  assert.equal(bucket.objects.get('some/folder/plain')?.resource.kmsKeyName, undefined);
});

test('the region is that of the bucket, and has to be the one that is asked for', async () => {
  server.bucket('western', { location: 'EUROPE-WEST1' });
  server.bucket('wide', { location: 'EU' });
  assert.equal(await (await open('western')).region!(), 'europe-west1');
  assert.equal(await (await open('wide')).region!(), 'eu');
  assert.equal(await (await open('western', { region: 'Europe-West1' })).region!(), 'europe-west1');
  const elsewhere = await open('western', { region: 'us-east1' });
  await refuses('STORAGE_REGION', 'usage', elsewhere.region!());
});

test('one access token serves many calls, and another is fetched once it is accepted no more', async () => {
  server.bucket('tokens');
  const storage = await open('tokens');
  const before = server.tokens.count;
  await Promise.all(
    Array.from({ length: 10 }, (_, i) => storage.put(`object-${i}`, [randomBytes(i * 300_000)])),
  );
  assert.equal(server.tokens.count, before + 1);
  server.tokens.revoke();
  assert.equal((await storage.get('object-3')).length, 900_000);
  server.tokens.revoke();
  await storage.put('object-9', [randomBytes(9 * MB)]);
});
