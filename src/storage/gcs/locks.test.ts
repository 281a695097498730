import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { GcsServer } from '../../../tests/support/gcsServer.ts';
import { parseStorage } from '../address.ts';
import { openStorage } from '../index.ts';
import { refuses } from '../storage.contract.ts';
import type { Lock, Storage } from '../storage.ts';

const server = await GcsServer.start();
after(() => server.stop());

function open(bucket: string): Promise<Storage> {
  const credentials = { credentials_json: server.credentials };
  return openStorage({
    spec: parseStorage(`gs://${bucket}?endpoint=${server.endpoint}`, { credentials }),
    limits: {},
  });
}

function lock(mode: Lock['mode'], inMs: number): Lock {
  return { mode, until: new Date(Date.now() + inMs) };
}

const HOUR = 3_600_000;

test('a locked object can be neither removed nor overwritten, and its lock only grows', async () => {
  const bucket = server.bucket('locked', { objectRetention: true });
  const storage = await open('locked');
  const governed = lock('governance', HOUR);
  await storage.put('object', [Buffer.from('kept')], { lock: governed });
  assert.deepEqual(await storage.locks!.until('object'), governed.until);
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  await refuses('OBJECT_LOCKED', 'failed', storage.put('object', [Buffer.from('other')]));
  await refuses('OBJECT_LOCKED', 'failed', storage.put('object', [randomBytes(9_000_000)]));

  const longer = lock('governance', 3 * HOUR);
  await storage.locks!.extend('object', longer);
  assert.deepEqual(await storage.locks!.until('object'), longer.until);
  await storage.locks!.extend('object', lock('governance', 2 * HOUR));
  assert.deepEqual(await storage.locks!.until('object'), longer.until);

  await storage.locks!.extend('object', lock('compliance', 2 * HOUR));
  const retention = () => bucket.objects.get('object')!.resource.retention!;
  assert.deepEqual(retention(), { mode: 'Locked', retainUntilTime: longer.until.toISOString() });
  const longest = lock('governance', 4 * HOUR);
  await storage.locks!.extend('object', longest);
  assert.deepEqual(retention(), { mode: 'Locked', retainUntilTime: longest.until.toISOString() });
  assert.equal((await storage.get('object')).toString(), 'kept');
});

test('an object without a lock gets one, and a lock that is over is none', async () => {
  const bucket = server.bucket('later', { objectRetention: true });
  const storage = await open('later');
  await storage.put('object', [randomBytes(9_000_000)]);
  assert.equal(await storage.locks!.until('object'), undefined);
  await storage.locks!.extend('object', lock('compliance', HOUR));
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  bucket.objects.get('object')!.resource.retention!.retainUntilTime = new Date(Date.now() - 1).toISOString();
  await storage.remove('object');
  assert.equal(await storage.stat('object'), undefined);
  await refuses('OBJECT_MISSING', 'fault', storage.locks!.until('object'));
  await refuses('OBJECT_MISSING', 'fault', storage.locks!.extend('object', lock('governance', HOUR)));
});

test('two that extend a lock at once end with the longer of both', async () => {
  server.bucket('raced', { objectRetention: true });
  const [one, other] = [await open('raced'), await open('raced')];
  await one.put('object', [Buffer.from('x')]);
  const longest = lock('compliance', 3 * HOUR);
  await Promise.all([
    one.locks!.extend('object', lock('compliance', HOUR)),
    other.locks!.extend('object', longest),
    one.locks!.extend('object', lock('compliance', 2 * HOUR)),
  ]);
  assert.deepEqual(await one.locks!.until('object'), longest.until);
});

test("the bucket's own retention and holds are told as locks", async () => {
  const bucket = server.bucket('policy', { retentionSeconds: 600 });
  const storage = await open('policy');
  await storage.put('object', [Buffer.from('x')]);
  const until = await storage.locks!.until('object');
  assert.ok(Math.abs(until!.getTime() - Date.now() - 600_000) < 5000);
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  bucket.retentionSeconds = 0;
  bucket.objects.get('object')!.resource.temporaryHold = true;
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
});

test('a bucket or an account that can not lock says so', async () => {
  server.bucket('unlockable');
  const storage = await open('unlockable');
  await storage.put('plain', [Buffer.from('x')]);
  for (const call of [
    () => storage.put('object', [Buffer.from('x')], { lock: lock('governance', HOUR) }),
    () => storage.put('large', [randomBytes(9_000_000)], { lock: lock('governance', HOUR) }),
    () => storage.locks!.extend('plain', lock('governance', HOUR)),
  ])
    await refuses('STORAGE_NO_LOCKS', 'failed', call());
  assert.equal(await storage.stat('object'), undefined);

  server.bucket('denied', { objectRetention: true });
  server.denied.add('storage.objects.setRetention');
  await assert.rejects(
    (await open('denied')).put('object', [Buffer.from('x')], { lock: lock('governance', HOUR) }),
    { code: 'STORAGE_DENIED', hint: /roles\/storage\.objectAdmin/ },
  );
  server.denied.clear();
});
