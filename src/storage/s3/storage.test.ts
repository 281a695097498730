import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import {
  GetBucketVersioningCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { KMS_KEY, radosgw } from '../../../tests/support/radosgw.ts';
import { makeBucket, specOf, stockClient, type Written } from '../../../tests/support/s3Buckets.ts';
import { S3Proxy } from '../../../tests/support/s3Proxy.ts';
import { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { refuses, storageContract } from '../storage.contract.ts';
import { openS3, type S3Storage } from './storage.ts';

const HOUR_MS = 3600_000;
const FAST_RETRY = { firstWaitMs: 20 };
/** Short enough to wait for in a test. */
const PATIENCE = { connectMs: 2000, silenceMs: 800 };

let stock: S3Client;
let proxy: S3Proxy;

before(async () => {
  const { endpoint, user } = await radosgw();
  stock = await stockClient();
  proxy = await S3Proxy.start(endpoint, user);
  await makeBucket('contract');
  await makeBucket('objects');
  await makeBucket('locking', { locks: true });
});

after(() => {
  stock.destroy();
  proxy.close();
});

/** A storage without wrappers, so that its own errors show. */
async function bare(place: string, written?: Written): Promise<S3Storage> {
  return openS3(await specOf(place, written), PATIENCE);
}

/** The same, through the proxy and its interference. */
async function troubled(place: string, written: Written = {}) {
  const spec = await specOf(place, { endpoint: proxy.endpoint, ...written });
  return openStorage({ spec }, { retry: FAST_RETRY });
}

async function head(key: string, Bucket = 'objects') {
  return stock.send(new HeadObjectCommand({ Bucket, Key: key }));
}

storageContract(
  'radosgw',
  async place => openStorage({ spec: await specOf(`contract/${place}`) }, { retry: FAST_RETRY }),
  {
    clockMs: 1000,
    plant: async (place, name) => {
      const Key = `${place}/${name}`;
      await stock.send(new PutObjectCommand({ Bucket: 'contract', Key, Body: 'x' }));
    },
  },
);

test('a bucket as a whole, a folder with odd characters in it, and objects of others', async () => {
  await makeBucket('whole');
  const whole = await bare('whole');
  const odd = await bare('whole/a folder/+%C3%A4%25');
  await odd.put('packs/1', [Buffer.from('x')]);
  await whole.put('packs/2', [Buffer.from('y')]);
  assert.equal((await odd.get('packs/1')).toString(), 'x');
  assert.deepEqual(
    (await Array.fromAsync(odd.list(''))).map(object => object.name),
    ['packs/1'],
  );
  assert.deepEqual(
    (await Array.fromAsync(odd.list('packs/'))).map(object => object.name),
    ['packs/1'],
  );
  assert.deepEqual(
    (await Array.fromAsync(whole.list(''))).map(object => object.name),
    ['packs/2'],
  );
  await odd.remove('packs/1');
  assert.deepEqual(await Array.fromAsync(odd.list('')), []);
});

test('lists more than a page', async () => {
  const storage = await bare('objects/pages');
  const names = Array.from({ length: 1100 }, (_, i) => `packs/${i}`);
  for (let at = 0; at < names.length; at += 50)
    await Promise.all(names.slice(at, at + 50).map(name => storage.put(name, [])));
  const listed = (await Array.fromAsync(storage.list('packs/'))).map(object => object.name);
  assert.deepEqual(listed.sort(), names.sort());
});

test('the region is what the server says', async () => {
  assert.equal(await (await bare('objects')).region(), 'default');
});

test('a large object goes in parts', async () => {
  const storage = await bare('objects/parts', { query: '&part_size=5MiB' });
  const pieces = Array.from({ length: 40 }, (_, i) => randomBytes(i % 3 === 0 ? 700_001 : 600_000));
  const bytes = Buffer.concat(pieces);
  await storage.put('large', pieces);
  assert.ok((await storage.get('large')).equals(bytes));
  assert.deepEqual(
    await storage.get('large', { offset: 5_242_870, length: 20 }),
    bytes.subarray(5_242_870, 5_242_890),
  );
  assert.match((await head('parts/large')).ETag!, /-5"$/);
  await storage.put('exact', [bytes.subarray(0, 20 << 20)]);
  assert.ok((await storage.get('exact')).equals(bytes.subarray(0, 20 << 20)));
  assert.match((await head('parts/exact')).ETag!, /-4"$/);
});

test('a part that is cut is sent again, and no other', async () => {
  const storage = await troubled('objects/again', { query: '&part_size=5MiB' });
  const bytes = randomBytes(21 << 20);
  proxy.seen.length = 0;
  proxy.interfere(({ path }) => path.includes('partNumber=3'), { kind: 'cutRequest' });
  proxy.interfere(({ path }) => path.includes('partNumber=2'), { kind: 'corruptRequest' });
  await storage.put('large', [bytes]);
  assert.ok((await storage.get('large')).equals(bytes));
  const sent = proxy.seen.flatMap(({ path }) => /partNumber=(\d+)/.exec(path)?.[1] ?? []).sort();
  assert.deepEqual(sent, ['1', '2', '2', '3', '3', '4', '5']);
});

test('an upload in parts that fails leaves nothing', async () => {
  const storage = await troubled('objects/aborted', { query: '&part_size=5MiB' });
  const answer = { kind: 'answer', status: 403, body: xml('AccessDenied', 'Access Denied') } as const;
  proxy.interfere(({ path }) => path.includes('partNumber=4'), answer);
  await refuses('STORAGE_DENIED', 'failed', storage.put('large', [randomBytes(21 << 20)]));
  assert.equal(await storage.stat('large'), undefined);
  const uploads = await stock.send(new ListMultipartUploadsCommand({ Bucket: 'objects' }));
  assert.deepEqual(uploads.Uploads ?? [], []);
});

test('an upload whose last answer is lost is done again and leaves nothing else', async () => {
  const storage = await troubled('objects/lost', { query: '&part_size=5MiB' });
  const bytes = randomBytes(11 << 20);
  proxy.interfere(({ method, path }) => method === 'POST' && path.includes('uploadId='), {
    kind: 'loseAnswer',
  });
  await storage.put('large', [bytes]);
  assert.ok((await storage.get('large')).equals(bytes));
  const uploads = await stock.send(new ListMultipartUploadsCommand({ Bucket: 'objects' }));
  assert.deepEqual(uploads.Uploads ?? [], []);
});

test('an answer that is cut is an error, and read again', async () => {
  const bytes = randomBytes(3_000_000);
  await (await bare('objects/cut')).put('object', [bytes]);
  const direct = await bare('objects/cut', { endpoint: proxy.endpoint });
  proxy.interfere(({ method }) => method === 'GET', { kind: 'cutAnswer' }, 2);
  await assert.rejects(direct.get('object'), isTemporary('STORAGE_UNREACHABLE'));
  const storage = await troubled('objects/cut');
  assert.ok((await storage.get('object')).equals(bytes));
  proxy.interfere(({ method }) => method === 'GET', { kind: 'cutAnswer' }, 2);
  assert.deepEqual(
    await storage.get('object', { offset: 10, length: 2_000_000 }),
    bytes.subarray(10, 2_000_010),
  );
  proxy.interfere(({ path }) => path.includes('list-type'), { kind: 'cutAnswer' });
  assert.equal((await Array.fromAsync(storage.list(''))).length, 1);
});

test('a server that falls silent does not hold a call for ever', async () => {
  const bytes = randomBytes(2_000_000);
  await (await bare('objects/silent')).put('object', [bytes]);
  const storage = await bare('objects/silent', { endpoint: proxy.endpoint });
  proxy.interfere(({ method }) => method === 'GET', { kind: 'silentAnswer' });
  await assert.rejects(storage.get('object'), isTemporary('STORAGE_TIMEOUT'));
  proxy.interfere(({ method }) => method === 'PUT', { kind: 'noAnswer' });
  await assert.rejects(storage.put('object', [bytes]), isTemporary('STORAGE_TIMEOUT'));
  const mute = net.createServer();
  await once(mute.listen(0, '127.0.0.1'), 'listening');
  const endpoint = `127.0.0.1:${(mute.address() as { port: number }).port}`;
  for (const scheme of ['http', 'https']) {
    const silent = await bare('objects/silent', { endpoint: `${scheme}://${endpoint}` });
    await assert.rejects(silent.get('object'), isTemporary('STORAGE_TIMEOUT'));
    await silent.close();
  }
  mute.close();
});

test('requests have what every server takes: a length, a signed hash, and no newer checksums', async () => {
  const storage = await bare('objects/headers', { endpoint: proxy.endpoint, query: '&part_size=5MiB' });
  proxy.seen.length = 0;
  const bodies = [Buffer.alloc(0), randomBytes(10), randomBytes(3 << 20)];
  for (const [i, body] of bodies.entries()) await storage.put(`object-${i}`, [body, Buffer.alloc(0)]);
  await storage.put('large', [randomBytes(11 << 20)]);
  await storage.get('object-1');
  for (const { method, path, headers } of proxy.seen) {
    const names = Object.keys(headers).join(' ');
    assert.doesNotMatch(
      names,
      /expect|transfer-encoding|checksum|content-encoding|trailer/,
      `${method} ${path}`,
    );
    if (method === 'PUT') assert.match(headers['content-length']!, /^\d+$/);
  }
  for (const [i, body] of bodies.entries()) {
    const { headers } = proxy.seen.find(({ path }) => path.includes(`object-${i}`))!;
    assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'));
  }
});

test('bytes that change on the way are refused by the server, and sent again', async () => {
  const bytes = randomBytes(2_000_000);
  const direct = await bare('objects/corrupt', { endpoint: proxy.endpoint });
  proxy.interfere(({ method }) => method === 'PUT', { kind: 'corruptRequest' }, 2);
  await assert.rejects(direct.put('object', [bytes]), isTemporary('STORAGE_DAMAGED_UPLOAD'));
  assert.equal(await direct.stat('object'), undefined);
  const storage = await troubled('objects/corrupt');
  await storage.put('object', [bytes]);
  assert.ok((await storage.get('object')).equals(bytes));
});

test('a put with ifAbsent whose answer is lost has put what it put', async () => {
  const storage = await troubled('objects/lease');
  await storage.put('first', [Buffer.from('makes the probe')], { ifAbsent: true });
  proxy.interfere(({ method, path }) => method === 'PUT' && path.includes('/second'), { kind: 'loseAnswer' });
  await storage.put('second', [Buffer.from('ours')], { ifAbsent: true });
  assert.equal((await storage.get('second')).toString(), 'ours');
});

test('classes are set, and one that the server lacks is named', async () => {
  const storage = await bare('objects/classes');
  for (const storageClass of ['STANDARD', 'STANDARD_IA', 'GLACIER_IR', 'GLACIER']) {
    await storage.put(storageClass, [Buffer.from('x')], { storageClass });
    const { StorageClass = 'STANDARD' } = await head(`classes/${storageClass}`);
    assert.equal(StorageClass, storageClass);
    // Ceph reads everything at once.
    assert.equal(await storage.freezer.state(storageClass), 'readable');
  }
  await refuses(
    'STORAGE_CLASS_UNKNOWN',
    'failed',
    storage.put('x', [Buffer.from('x')], { storageClass: 'DEEP_ARCHIVE' }),
  );
});

test('a class in parts, and with ifAbsent', async () => {
  const storage = await bare('objects/classes2', { query: '&part_size=5MiB' });
  await storage.put('large', [randomBytes(11 << 20)], { storageClass: 'STANDARD_IA' });
  await storage.put('absent', [Buffer.from('x')], { storageClass: 'STANDARD_IA', ifAbsent: true });
  for (const name of ['large', 'absent'])
    assert.equal((await head(`classes2/${name}`)).StorageClass, 'STANDARD_IA');
});

test('the server encrypts where it is asked to, and one that does not is found out', async () => {
  const kms = await bare('objects/encrypted', {
    encryption: { mode: 'kms', keyId: KMS_KEY },
    query: '&part_size=5MiB',
  });
  await kms.put('object', [Buffer.from('secret')]);
  await kms.put('large', [randomBytes(11 << 20)]);
  for (const name of ['object', 'large']) {
    const { ServerSideEncryption, SSEKMSKeyId } = await head(`encrypted/${name}`);
    assert.deepEqual([ServerSideEncryption, SSEKMSKeyId], ['aws:kms', KMS_KEY]);
  }
  assert.equal((await kms.get('object')).toString(), 'secret');
  // Ceph 16 takes the header for AES256 and does nothing.
  const provider = await bare('objects/encrypted', { encryption: { mode: 'provider' } });
  await refuses('STORAGE_UNSUPPORTED', 'failed', provider.put('other', [Buffer.from('x')]));
  assert.equal(await provider.stat('other'), undefined);
});

test('a lock keeps an object, and is only ever extended', async () => {
  const storage = await bare('locking/a');
  const [soon, later] = [new Date(Date.now() + HOUR_MS), new Date(Date.now() + 2 * HOUR_MS)];
  await storage.put('object', [Buffer.from('x')], { lock: { mode: 'governance', until: soon } });
  assert.equal((await storage.locks.until('object'))?.getTime(), soon.getTime());
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  await storage.locks.extend('object', { mode: 'governance', until: later });
  assert.equal((await storage.locks.until('object'))?.getTime(), later.getTime());
  await storage.locks.extend('object', { mode: 'governance', until: soon });
  assert.equal((await storage.locks.until('object'))?.getTime(), later.getTime());
  await storage.locks.extend('object', { mode: 'compliance', until: soon });
  assert.equal((await storage.locks.until('object'))?.getTime(), later.getTime());
  const { ObjectLockMode } = await head('a/object', 'locking');
  assert.equal(ObjectLockMode, 'COMPLIANCE');
  assert.equal((await storage.get('object')).toString(), 'x');
});

test('in a bucket with locks, an object without one can be removed, and one can be added', async () => {
  const storage = await bare('locking/b', { query: '&part_size=5MiB' });
  await storage.put('free', [Buffer.from('x')]);
  assert.equal(await storage.locks.until('free'), undefined);
  await storage.remove('free');
  await storage.remove('free');
  assert.equal(await storage.stat('free'), undefined);
  await storage.put('object', [Buffer.from('x')]);
  await storage.locks.extend('object', { mode: 'governance', until: new Date(Date.now() + HOUR_MS) });
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  const lock = { mode: 'governance', until: new Date(Date.now() + HOUR_MS) } as const;
  await storage.put('large', [randomBytes(11 << 20)], { lock });
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('large'));
  await storage.put('absent', [Buffer.from('x')], { lock, ifAbsent: true });
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('absent'));
});

test('a lock that is over keeps nothing', async () => {
  const storage = await bare('locking/c');
  await storage.put('object', [Buffer.from('x')], {
    lock: { mode: 'governance', until: new Date(Date.now() + 2500) },
  });
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  await new Promise(done => setTimeout(done, 3500));
  await storage.remove('object');
  assert.equal(await storage.stat('object'), undefined);
});

test('a bucket without locks says so', async () => {
  const storage = await bare('objects/unlockable');
  const lock = { mode: 'governance', until: new Date(Date.now() + HOUR_MS) } as const;
  await refuses('STORAGE_NO_LOCKS', 'failed', storage.put('object', [Buffer.from('x')], { lock }));
  await storage.put('object', [Buffer.from('x')]);
  assert.equal(await storage.locks.until('object'), undefined);
  await refuses('STORAGE_NO_LOCKS', 'failed', storage.locks.extend('object', lock));
  await storage.remove('object');
});

test('in a versioned bucket what is removed is gone, and the version is still there', async () => {
  await makeBucket('versioned');
  const versioning = { Bucket: 'versioned', VersioningConfiguration: { Status: 'Enabled' as const } };
  await stock.send(new PutBucketVersioningCommand(versioning));
  assert.equal((await stock.send(new GetBucketVersioningCommand({ Bucket: 'versioned' }))).Status, 'Enabled');
  const storage = await bare('versioned');
  await storage.put('object', [Buffer.from('1')]);
  await storage.put('object', [Buffer.from('2')]);
  await storage.remove('object');
  assert.equal(await storage.stat('object'), undefined);
  await refuses('OBJECT_MISSING', 'fault', storage.get('object'));
  assert.deepEqual(await Array.fromAsync(storage.list('')), []);
  const { Versions, DeleteMarkers } = await stock.send(
    new ListObjectVersionsCommand({ Bucket: 'versioned' }),
  );
  assert.deepEqual([Versions?.length, DeleteMarkers?.length], [2, 1]);
  await storage.put('object', [Buffer.from('3')], { ifAbsent: true });
  assert.equal((await storage.get('object')).toString(), '3');
});

test('requests go through the proxy of the environment', async () => {
  const { endpoint } = await radosgw();
  const asked: string[] = [];
  const corporate = http.createServer((request, response) => {
    const { host, pathname, search } = new URL(request.url!);
    asked.push(host);
    const { hostname, port } = new URL(endpoint);
    const onward = http.request(
      { hostname, port, path: pathname + search, method: request.method, headers: request.headers },
      answer => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(onward);
  });
  await once(corporate.listen(0, '127.0.0.1'), 'listening');
  process.env.HTTP_PROXY = `http://127.0.0.1:${(corporate.address() as { port: number }).port}`;
  try {
    const far = await bare('objects/far', { endpoint: 'http://s3.example', query: '&insecure=true' });
    await far.put('object', [Buffer.from('x')]);
    assert.equal((await far.get('object')).toString(), 'x');
    assert.deepEqual(asked, ['s3.example', 's3.example']);
    await far.close();
  } finally {
    delete process.env.HTTP_PROXY;
    corporate.close();
    corporate.closeAllConnections();
  }
});

function xml(code: string, message: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

function isTemporary(code: string): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.deepEqual([error.code, error.retry !== undefined], [code, true], error.message);
    return true;
  };
}
