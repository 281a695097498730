import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { azureSpec } from '../../../tests/support/azureContainer.ts';
import { azurite } from '../../../tests/support/azurite.ts';
import { TcpProxy } from '../../../tests/support/tcpProxy.ts';
import type { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { refuses } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';
import { openAzure } from './open.ts';
import type { AzureSpec } from './spec.ts';
import type { AzureStorage } from './storage.ts';

/** What networks do to requests and answers on their way, done to real connections to a real server. */
let proxy: TcpProxy;
before(async () => {
  proxy = await TcpProxy.to((await azurite()).port);
});
afterEach(() => {
  proxy.rule = undefined;
  proxy.cutAll(); // connections that are kept would remember what has passed
});

const SILENCE_MS = 400;

async function freshSpec(): Promise<AzureSpec> {
  return azureSpec(`fresh/${randomUUID()}`, { port: proxy.port });
}

async function fresh(): Promise<AzureStorage> {
  return openAzure(await freshSpec(), { silenceMs: SILENCE_MS });
}

/** As the program opens it, repeating calls; `waits` gets why it waited. */
async function repeating(waits: string[]): Promise<Storage> {
  const waiting = (_call: unknown, error: TidemarkError): void => void waits.push(error.code);
  return openStorage({ spec: await freshSpec() }, { retry: { firstWaitMs: 10, waiting } });
}

async function refusesForNow(code: string, call: Promise<unknown>): Promise<void> {
  await refuses(code, 'failed', call);
  const error = (await call.catch(caught => caught)) as TidemarkError;
  assert.ok(error.retry, 'the same call may succeed later');
}

/** The start of a request to write blocks or their list, or a whole blob. */
const isBlock = (bytes: Buffer): boolean => /^PUT \S+[?&]comp=block&/.test(bytes.toString('latin1', 0, 2000));
const isList = (bytes: Buffer): boolean =>
  /^PUT \S+[?&]comp=blocklist/.test(bytes.toString('latin1', 0, 2000));
const isPut = (bytes: Buffer): boolean => bytes.toString('latin1', 0, 4) === 'PUT ';

test('a connection that is cut while an object is read never gives fewer bytes', async () => {
  const storage = await fresh();
  const bytes = randomBytes(2_000_000);
  await storage.put('object', [bytes]);
  proxy.rule = (direction, passing, passed) => (direction === 'down' && passed > 300_000 ? 'cut' : passing);
  await refusesForNow('STORAGE_UNREACHABLE', storage.get('object'));
  await refusesForNow('STORAGE_UNREACHABLE', storage.get('object', { offset: 5, length: 1_000_000 }));
  // The other way to end too early: as if that were all.
  proxy.rule = (direction, passing, passed) => (direction === 'down' && passed > 300_000 ? 'end' : passing);
  await refusesForNow('STORAGE_UNREACHABLE', storage.get('object'));
  proxy.rule = undefined;
  assert.ok((await storage.get('object')).equals(bytes));
});

test('what was cut is read again, and comes whole', async () => {
  const waits: string[] = [];
  const storage = await repeating(waits);
  const bytes = randomBytes(2_000_000);
  await storage.put('object', [bytes]);
  let cuts = 0;
  proxy.rule = (direction, passing, passed) => {
    if (direction === 'up' || passed < 300_000 || cuts === 2) return passing;
    cuts++;
    return 'cut';
  };
  assert.ok((await storage.get('object')).equals(bytes));
  assert.deepEqual(waits, ['STORAGE_UNREACHABLE', 'STORAGE_UNREACHABLE']);
});

test('a connection that is cut while an object is written leaves none', async () => {
  const storage = await fresh();
  proxy.rule = (direction, passing, passed) => (direction === 'up' && passed > 300_000 ? 'cut' : passing);
  await refusesForNow('STORAGE_UNREACHABLE', storage.put('object', [randomBytes(2_000_000)]));
  proxy.rule = undefined;
  assert.equal(await storage.stat('object'), undefined);
});

test('an answer that is lost after an object was written: the object counts, of whatever tier', async () => {
  for (const storageClass of [undefined, 'Archive']) {
    for (const ifAbsent of storageClass ? [false] : [false, true]) {
      const waits: string[] = [];
      const storage = await repeating(waits);
      let lost = false;
      let writes = 0;
      proxy.rule = (direction, passing) => {
        if (direction === 'up' && isPut(passing)) writes++;
        if (direction === 'up' || writes === 0 || lost) return passing;
        lost = true;
        return 'cut';
      };
      await storage.put('object', [Buffer.from('once')], { ifAbsent, storageClass });
      assert.deepEqual([writes, waits], [2, ['STORAGE_UNREACHABLE']]);
      assert.equal((await storage.stat('object'))?.sizeBytes, 4);
    }
  }
});

test('a block that is lost on its way is sent again, and nothing else', async () => {
  const storage = await openAzure(await freshSpec());
  const bytes = randomBytes(40_000_000);
  let lost = false;
  let blocks = 0;
  proxy.rule = (direction, passing) => {
    if (direction === 'down' || !isBlock(passing)) return passing;
    blocks++;
    if (blocks !== 3 || lost) return passing;
    lost = true;
    return 'cut';
  };
  await storage.put('large', [bytes]);
  assert.deepEqual([lost, blocks], [true, 6]);
  assert.ok((await storage.get('large')).equals(bytes));
});

test('a page of a list that is lost on its way is asked for again, and nothing else', async () => {
  const storage = await openAzure(await freshSpec(), { pageObjects: 2 });
  const expected = ['a', 'b', 'c', 'd', 'e'];
  for (const name of expected) await storage.put(name, [Buffer.from(name)]);
  let pages = 0;
  proxy.rule = (direction, passing) => {
    const isPage = direction === 'up' && /^GET \S+[?&]comp=list/.test(passing.toString('latin1', 0, 2000));
    return isPage && ++pages === 2 ? 'cut' : passing;
  };
  const names: string[] = [];
  for await (const { name } of storage.list('')) names.push(name);
  assert.deepEqual(names, expected);
  assert.equal(pages, 4);
});

test('blocks without their list are no object', async () => {
  const storage = await openAzure(await freshSpec());
  const bytes = randomBytes(40_000_000);
  proxy.rule = (direction, passing) => (direction === 'up' && isList(passing) ? 'cut' : passing);
  await refusesForNow('STORAGE_UNREACHABLE', storage.put('large', [bytes]));
  proxy.rule = undefined;
  assert.equal(await storage.stat('large'), undefined);
  await refuses('OBJECT_MISSING', 'fault', storage.get('large'));
  for await (const { name } of storage.list('')) assert.fail(name);
  await storage.put('large', [bytes], { ifAbsent: true });
  assert.ok((await storage.get('large')).equals(bytes));
});

test('a byte that changes on its way to the server is noticed there', async () => {
  const storage = await fresh();
  const flip = (passing: Buffer): Buffer => {
    passing[passing.length - 1]! ^= 1;
    return passing;
  };
  proxy.rule = (direction, passing, passed) =>
    direction === 'up' && passed > 100_000 && passed < 150_000 ? flip(passing) : passing;
  await assert.rejects(storage.put('object', [randomBytes(500_000)]));
  proxy.rule = (direction, passing, passed) =>
    direction === 'up' && passed > 100_000 && passed < 150_000 && !isPut(passing) ? flip(passing) : passing;
  await assert.rejects(storage.put('large', [randomBytes(40_000_000)]));
  proxy.rule = undefined;
  assert.equal(await storage.stat('object'), undefined);
  assert.equal(await storage.stat('large'), undefined);
});

test('every call ends where the server falls silent', async () => {
  const storage = await fresh();
  await storage.put('object', [randomBytes(1_000_000)]);
  await storage.put('frozen', [randomBytes(10)], { storageClass: 'Archive' });
  proxy.rule = direction => (direction === 'down' ? 'silent' : Buffer.alloc(0));
  const list = async () => {
    for await (const { name } of storage.list('')) assert.fail(name);
  };
  const from = Date.now();
  const lock = { mode: 'governance', until: new Date(Date.now() + 1e7) } as const;
  await Promise.all(
    [
      storage.get('object'),
      storage.get('object', { offset: 0, length: 5 }),
      storage.put('new', [randomBytes(100_000)]),
      storage.stat('object'),
      storage.remove('object'),
      storage.now(),
      list(),
      storage.freezer.state('frozen'),
      storage.freezer.thaw('frozen', 1),
      storage.locks.until('object'),
      storage.locks.extend('object', lock),
    ].map(call => refusesForNow('STORAGE_TIMEOUT', call)),
  );
  assert.ok(Date.now() - from < 20 * SILENCE_MS, 'within the time limit, and some for a busy machine');
});

test('a server that falls silent in the middle of an object ends the call too', async () => {
  const storage = await fresh();
  await storage.put('object', [randomBytes(2_000_000)]);
  proxy.rule = (direction, passing, passed) =>
    direction === 'down' && passed > 300_000 ? 'silent' : passing;
  await refusesForNow('STORAGE_TIMEOUT', storage.get('object'));
});

test('what is slow, but moves, takes its time', async () => {
  const silenceMs = 3000; // the system takes some megabytes at once, which then are under way for as long
  const storage = await openAzure(await freshSpec(), { silenceMs });
  const bytes = randomBytes(12_000_000);
  proxy.rule = async (_direction, passing) => {
    await delay(passing.length / 3000);
    return passing;
  };
  const times: number[] = [];
  for (const call of [() => storage.put('object', [bytes]), () => storage.get('object')]) {
    const from = Date.now();
    await call();
    times.push(Date.now() - from);
  }
  assert.ok(
    times.every(ms => ms > silenceMs),
    `${times}`,
  );
  proxy.rule = undefined;
  assert.ok((await storage.get('object')).equals(bytes));
});

test('a server that is not there', async () => {
  const closed = await TcpProxy.to(1);
  const spec = await azureSpec('x', { port: closed.port });
  await closed.close();
  await refusesForNow('STORAGE_UNREACHABLE', (await openAzure(spec)).stat('object'));
});
