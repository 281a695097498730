import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { GcsServer, type Seen, type Trouble } from '../../../tests/support/gcsServer.ts';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import { refuses } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';
import { RetriedStorage } from '../wrap/retry.ts';
import { openGcs } from './open.ts';
import type { GcsSpec } from './spec.ts';

const MB = 1024 * 1024;
const GRAIN = 256 * 1024;

const server = await GcsServer.start();
after(() => server.stop());

let made = 0;

/** An empty bucket, its name and a storage on it that repeats nothing by itself. */
async function fresh(silenceMs?: number): Promise<{ name: string; storage: Storage }> {
  const name = `bucket-${++made}`;
  server.bucket(name);
  return { name, storage: await openGcs(specOf(name), silenceMs) };
}

function specOf(name: string): GcsSpec {
  const credentials = { credentials_json: server.credentials };
  return parseStorage(`gs://${name}?endpoint=${server.endpoint}`, { credentials }) as GcsSpec;
}

/** The same, with retries as the product has them, but for their patience; and what they waited for. */
function retried(storage: Storage): { storage: Storage; waits: [string, number][] } {
  const waits: [string, number][] = [];
  const waiting = (_: unknown, error: TidemarkError, waitMs: number) => waits.push([error.code, waitMs]);
  return { storage: new RetriedStorage(storage, { firstWaitMs: 10, waiting }), waits };
}

const isUpload = ({ path }: Seen) => path.startsWith('/upload/');
const isPart = ({ method, headers }: Seen) => method === 'PUT' && !headers['content-range']?.includes('*');
const isDownload = ({ query }: Seen) => query.get('alt') === 'media';

/** The ranges that parts of an upload were sent with. */
function rangesSince(from: number): (string | undefined)[] {
  return server.requests
    .slice(from)
    .filter(({ method }) => method === 'PUT')
    .map(({ headers }) => headers['content-range']);
}

async function temporary(code: string, call: Promise<unknown>, afterMs?: number): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.equal(error.code, code);
    assert.deepEqual(error.retry, afterMs === undefined ? {} : { afterMs });
    return true;
  });
}

test('an upload that is cut goes on where it was cut', async () => {
  const { name, storage: bare } = await fresh();
  const { storage, waits } = retried(bare);
  const data = [randomBytes(6 * MB), randomBytes(14 * MB)];
  const sizeBytes = 20 * MB;
  server.trouble(isPart, { cutRequestAt: 3 * MB + 100 });
  server.trouble(isPart, { cutRequestAt: 10 * MB });
  const from = server.requests.length;
  await storage.put('object', data);
  assert.ok(server.bucket(name).objects.get('object')!.bytes.equals(Buffer.concat(data)));
  const ranges = rangesSince(from);
  assert.equal(ranges[0], `bytes 0-${sizeBytes - 1}/${sizeBytes}`);
  assert.deepEqual(
    waits.map(([code]) => code),
    ['STORAGE_UNREACHABLE', 'STORAGE_UNREACHABLE'],
  );
  assert.deepEqual(ranges.filter(range => range === `bytes */${sizeBytes}`).length, 2);
  const starts = ranges.flatMap(range => /^bytes (\d+)-/.exec(range ?? '')?.[1] ?? []).map(Number);
  assert.ok(starts[1]! >= 3 * MB && starts[1]! % GRAIN === 0 && starts[1]! < 4 * MB, String(starts));
  assert.ok(starts[2]! >= starts[1]! + 9 * MB && starts[2]! % GRAIN === 0, String(starts));
});

test('a part that is answered 503 is not lost, and the word on when is kept', async () => {
  const { name, storage: bare } = await fresh();
  const data = [randomBytes(40 * MB)];
  let parts = 0;
  server.trouble(seen => isPart(seen) && ++parts === 2, { answer: 503, headers: { 'retry-after': '1' } });
  const from = server.requests.length;
  const { storage, waits } = retried(bare);
  await storage.put('object', data, { ifAbsent: true });
  assert.equal(waits.length, 1);
  assert.ok(waits[0]![1] >= 1000);
  assert.deepEqual(rangesSince(from), [
    `bytes 0-${32 * MB - 1}/${40 * MB}`,
    `bytes ${32 * MB}-${40 * MB - 1}/${40 * MB}`,
    `bytes */${40 * MB}`,
    `bytes ${32 * MB}-${40 * MB - 1}/${40 * MB}`,
  ]);
  assert.ok(server.bucket(name).objects.get('object')!.bytes.equals(data[0]!));
});

test('an upload whose answer was lost is found to be done', async () => {
  const { storage: bare } = await fresh();
  const { storage } = retried(bare);
  for (const [object, bytes] of [
    ['small', randomBytes(1000)],
    ['large', randomBytes(9 * MB)],
  ] as const) {
    server.trouble(seen => isUpload(seen) && (object === 'small' || isPart(seen)), { loseAnswer: true });
    await storage.put(object, [bytes], { ifAbsent: true });
    assert.ok((await storage.get(object)).equals(bytes));
  }
  await refuses('OBJECT_EXISTS', 'failed', storage.put('small', [randomBytes(10)], { ifAbsent: true }));
});

test('an upload that the server has forgotten starts over', async () => {
  const { storage: bare } = await fresh();
  const { storage, waits } = retried(bare);
  const bytes = randomBytes(9 * MB);
  server.trouble(isPart, { cutRequestAt: 2 * MB });
  await temporary('STORAGE_UNREACHABLE', bare.put('object', [bytes]));
  server.sessions.forget();
  await storage.put('object', [bytes]);
  assert.deepEqual(
    waits.map(([code]) => code),
    ['STORAGE_UPLOAD_ENDED'],
  );
  assert.ok((await storage.get('object')).equals(bytes));
});

test('what is put after a cut upload under the same name is another upload', async () => {
  const { storage } = await fresh();
  server.trouble(isPart, { cutRequestAt: 2 * MB });
  await temporary('STORAGE_UNREACHABLE', storage.put('object', [randomBytes(9 * MB)]));
  const other = randomBytes(9 * MB);
  await storage.put('object', [other]);
  assert.ok((await storage.get('object')).equals(other));
});

test('bytes that change on the way make no object, and are sent again', async () => {
  const { storage: bare, name } = await fresh();
  for (const sizeBytes of [1000, 9 * MB]) {
    const bytes = randomBytes(sizeBytes);
    server.trouble(seen => isUpload(seen) && (sizeBytes === 1000 || isPart(seen)), { damage: true });
    await temporary('STORAGE_TRANSFER', bare.put(`object-${sizeBytes}`, [bytes]));
    assert.equal(server.bucket(name).objects.size, sizeBytes === 1000 ? 0 : 1);
    await bare.put(`object-${sizeBytes}`, [bytes]);
    assert.ok((await bare.get(`object-${sizeBytes}`)).equals(bytes));
  }
});

test('every method tells what may succeed later from what will not', async () => {
  const { storage } = await fresh();
  await storage.put('object', [randomBytes(1000)]);
  const calls: (() => Promise<unknown>)[] = [
    () => storage.put('other', [randomBytes(10)]),
    () => storage.put('large', [randomBytes(9 * MB)]),
    () => storage.get('object'),
    () => storage.get('object', { offset: 10, length: 10 }),
    () => storage.get('object', { offset: 10, length: 0 }),
    () => storage.stat('object'),
    () => storage.now(),
    () => storage.region!(),
    () => storage.locks!.until('object'),
    () => storage.remove('object'),
  ];
  const api = ({ path }: Seen) => path.includes('/storage/v1/');
  const troubles: [Trouble, string, number?][] = [
    [{ answer: 503 }, 'STORAGE_BUSY'],
    [{ answer: 500, headers: { 'retry-after': '7' } }, 'STORAGE_BUSY', 7000],
    [{ answer: 408 }, 'STORAGE_BUSY'],
    [{ answer: 429, reason: 'rateLimitExceeded' }, 'STORAGE_BUSY'],
    [{ answer: 403, reason: 'userRateLimitExceeded' }, 'STORAGE_BUSY'],
    [{ loseAnswer: true }, 'STORAGE_UNREACHABLE'],
  ];
  for (const [trouble, code, afterMs] of troubles) {
    // Of what changes something, the answer alone is lost: that is another test's.
    for (const call of 'loseAnswer' in trouble ? calls.slice(2, -1) : calls) {
      server.trouble(api, trouble);
      await temporary(code, call(), afterMs);
    }
  }
  for (const [trouble, code] of [
    [{ answer: 403, reason: 'forbidden' }, 'STORAGE_DENIED'],
    [{ answer: 400, reason: 'invalid' }, 'STORAGE'],
  ] as const)
    for (const call of calls) {
      server.trouble(api, trouble);
      await refuses(code, 'failed', call());
    }
});

async function list(storage: Storage): Promise<number> {
  let count = 0;
  for await (const _ of storage.list('')) count++;
  return count;
}

test('a server that says nothing is given up, whatever it was asked', async () => {
  const { storage } = await fresh(2000);
  await storage.put('object', [randomBytes(1000)]);
  const calls = [
    () => storage.put('other', [randomBytes(10)]),
    () => storage.put('large', [randomBytes(9 * MB)]),
    () => storage.get('object'),
    () => storage.stat('object'),
  ];
  server.trouble(({ path }) => path.includes('/storage/v1/'), { silent: true }, calls.length);
  await Promise.all(calls.map(call => temporary('STORAGE_TIMEOUT', call())));
  server.trouble(({ path }) => path.endsWith('/token'), { silent: true });
  const other = await openGcs(specOf('bucket-1'), 2000);
  await temporary('STORAGE_TIMEOUT', other.stat('object'));
  assert.equal(await other.stat('none'), undefined);
});

test('a download that is cut is never taken for the object', async () => {
  const { storage: bare } = await fresh();
  const { storage, waits } = retried(bare);
  const bytes = randomBytes(3 * MB);
  await storage.put('object', [bytes]);
  for (const range of [undefined, { offset: 5, length: 2 * MB }]) {
    server.trouble(isDownload, { cutAnswerAt: 1 * MB });
    await temporary('STORAGE_UNREACHABLE', bare.get('object', range));
    server.trouble(isDownload, { cutAnswerAt: 0 });
    const read = await storage.get('object', range);
    assert.ok(read.equals(range ? bytes.subarray(5, 5 + 2 * MB) : bytes));
  }
  assert.equal(waits.length, 2);
});

test('a server that answers before it has read everything is heard, or taken for one that went away', async () => {
  const { storage } = await fresh(20_000);
  for (const sizeBytes of [6 * MB, 9 * MB]) {
    server.trouble(seen => isUpload(seen) && (sizeBytes < 8 * MB || isPart(seen)), { answerEarly: 503 });
    await assert.rejects(storage.put('object', [randomBytes(sizeBytes)]), (error: unknown) => {
      assert.ok(error instanceof TidemarkError && error.retry);
      assert.ok(['STORAGE_BUSY', 'STORAGE_UNREACHABLE'].includes(error.code), error.code);
      return true;
    });
  }
});

test('a page of a list that fails is asked for again, and nothing else', async () => {
  const { storage } = await fresh();
  const names = ['a', 'b', 'c', 'd', 'e'];
  for (const name of names) await storage.put(name, [randomBytes(1)]);
  server.pageObjects = 2;
  const isPage = ({ query }: Seen) => query.has('maxResults');
  server.trouble(({ query }) => query.has('pageToken'), { loseAnswer: true });
  const from = server.requests.length;
  const listed: string[] = [];
  for await (const { name } of storage.list('')) listed.push(name);
  assert.deepEqual(listed, names);
  assert.equal(server.requests.slice(from).filter(isPage).length, 4);
  server.pageObjects = 1000;
  server.trouble(isPage, { answer: 503 }, 3);
  await temporary('STORAGE_BUSY', list(storage));
  server.trouble(isPage, { answer: 403, reason: 'forbidden' });
  await refuses('STORAGE_DENIED', 'failed', list(storage));
});

test('a bucket that is not there is an error everywhere, unlike an object', async () => {
  const storage = await openGcs(specOf('nowhere'));
  for (const call of [
    storage.put('object', [randomBytes(10)]),
    storage.put('large', [randomBytes(9 * MB)]),
    storage.get('object'),
    storage.get('object', { offset: 0, length: 0 }),
    storage.stat('object'),
    list(storage),
    storage.remove('object'),
    storage.now(),
    storage.region!(),
    storage.locks!.until('object'),
  ].map(each => refuses('STORAGE_MISSING', 'failed', each)))
    await call;
});

test('a missing permission is named, with a role that has it', async () => {
  const { storage } = await fresh();
  await storage.put('object', [randomBytes(10)]);
  for (const [permission, role, call] of [
    ['storage.objects.create', 'storage.objectUser', () => storage.put('other', [randomBytes(10)])],
    ['storage.objects.delete', 'storage.objectUser', () => storage.put('object', [randomBytes(10)])],
    ['storage.objects.delete', 'storage.objectUser', () => storage.remove('object')],
    ['storage.objects.get', 'storage.objectUser', () => storage.get('object')],
    ['storage.objects.list', 'storage.objectUser', () => list(storage)],
    ['storage.buckets.get', 'storage.bucketViewer', () => storage.region!()],
  ] as [string, string, () => Promise<unknown>][]) {
    server.denied.add(permission);
    await assert.rejects(call(), (error: unknown) => {
      assert.ok(error instanceof TidemarkError);
      assert.equal(error.code, 'STORAGE_DENIED');
      assert.ok(error.message.includes(permission), error.message);
      assert.ok(error.hint.includes(role), error.hint);
      return true;
    });
    server.denied.clear();
  }
});
