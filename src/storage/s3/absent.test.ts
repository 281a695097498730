import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { radosgw } from '../../../tests/support/radosgw.ts';
import { makeBucket, specOf } from '../../../tests/support/s3Buckets.ts';
import { S3Proxy } from '../../../tests/support/s3Proxy.ts';
import { openStorage } from '../index.ts';
import { refuses, storageContract } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';

/** Servers without If-None-Match: a real one behind a proxy that takes the header away, or refuses it. */

let proxy: S3Proxy;

before(async () => {
  const { endpoint, user } = await radosgw();
  proxy = await S3Proxy.start(endpoint, user);
  proxy.ignoresConditions = true;
  await makeBucket('unconditional');
});

after(() => proxy?.close()); // with no test chosen, it may not have started yet

async function open(place: string): Promise<Storage> {
  const spec = await specOf(`unconditional/${place}`, { endpoint: proxy.endpoint });
  return openStorage({ spec }, { retry: { firstWaitMs: 20 } });
}

storageContract('a server that ignores If-None-Match', open, { clockMs: 1000 });

test('whether the server looks at If-None-Match is tried once, before the first put that needs it', async () => {
  const storage = await open('probed');
  proxy.seen.length = 0;
  await storage.put('plain', [Buffer.from('x')]);
  assert.ok(proxy.seen.every(({ conditional }) => !conditional));
  await storage.put('first', [Buffer.from('x')], { ifAbsent: true });
  await storage.put('second', [Buffer.from('x')], { ifAbsent: true });
  assert.equal(proxy.seen.filter(({ conditional }) => conditional).length, 2);
  await storage.close();
  proxy.ignoresConditions = false;
  try {
    const honest = await open('probed');
    proxy.seen.length = 0;
    await honest.put('third', [Buffer.from('x')], { ifAbsent: true });
    await honest.put('fourth', [Buffer.from('x')], { ifAbsent: true });
    await refuses('OBJECT_EXISTS', 'failed', honest.put('first', [Buffer.from('y')], { ifAbsent: true }));
    // The probe of before is refused, and the three puts are one request each.
    assert.equal(proxy.seen.length, 4);
    await honest.close();
  } finally {
    proxy.ignoresConditions = true;
  }
});

test('a server that does not implement If-None-Match and says so', async () => {
  const storage = await open('unimplemented');
  const body = '<?xml version="1.0"?><Error><Code>NotImplemented</Code><Message>A header</Message></Error>';
  proxy.interfere(({ conditional }) => conditional, { kind: 'answer', status: 501, body }, 100);
  try {
    await storage.put('object', [Buffer.from('first')], { ifAbsent: true });
    await refuses('OBJECT_EXISTS', 'failed', storage.put('object', [Buffer.from('2nd')], { ifAbsent: true }));
    assert.equal((await storage.get('object')).toString(), 'first');
    const listed = await Array.fromAsync(storage.list(''));
    assert.deepEqual(
      listed.map(({ name }) => name),
      ['object'],
    );
  } finally {
    proxy.forget();
    await storage.close();
  }
});

test('a conflict of two conditional puts is tried again', async () => {
  proxy.ignoresConditions = false;
  const storage = await open('conflict');
  const body =
    '<?xml version="1.0"?><Error><Code>ConditionalRequestConflict</Code><Message>x</Message></Error>';
  try {
    await storage.put('makes-the-probe', [Buffer.from('x')], { ifAbsent: true });
    proxy.interfere(({ conditional }) => conditional, { kind: 'answer', status: 409, body });
    await storage.put('object', [Buffer.from('x')], { ifAbsent: true });
    assert.equal((await storage.get('object')).toString(), 'x');
  } finally {
    proxy.ignoresConditions = true;
    await storage.close();
  }
});
