import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultyStorage } from '../../../tests/support/faultyStorage.ts';
import { shareOf } from '../index.ts';
import { LocalStorage } from '../local/storage.ts';
import { storageContract } from '../storage.contract.ts';
import type { StoredObject } from '../storage.ts';
import { LimitedStorage } from './limit.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-limit-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const newPlace = (): string => mkdtempSync(join(folder, 'place-'));

/** Takes its time, and knows how many calls are under way. */
class Slow extends LocalStorage {
  running = 0;
  most = 0;
  readonly order: string[] = [];

  override async stat(name: string): Promise<StoredObject | undefined> {
    this.order.push(name);
    this.most = Math.max(this.most, ++this.running);
    await sleep(5);
    this.running--;
    return undefined;
  }
}

test('no more calls than connections run at once, first come first served, and as many as may', async () => {
  const slow = new Slow(newPlace());
  const storage = new LimitedStorage(slow, { connections: 3 });
  const names = Array.from({ length: 20 }, (_, i) => `${i}`);
  await Promise.all(names.map(name => storage.stat(name)));
  assert.equal(slow.most, 3);
  assert.deepEqual(slow.order, names);
});

test('without a limit nothing waits', async () => {
  const slow = new Slow(newPlace());
  const storage = new LimitedStorage(slow, {});
  await Promise.all(Array.from({ length: 20 }, (_, i) => storage.stat(`${i}`)));
  assert.equal(slow.most, 20);
});

test('a call that fails gives its place to the next', async () => {
  const inner = new FaultyStorage(new LocalStorage(newPlace()), { at: 0, fault: 'permanent', times: 5 });
  const storage = new LimitedStorage(inner, { connections: 1 });
  const calls = Array.from({ length: 6 }, () => storage.stat('object'));
  const settled = await Promise.allSettled(calls);
  assert.equal(settled.filter(each => each.status === 'rejected').length, 5);
});

test('whoever reads a list may ask for other things, with one connection too', async () => {
  const storage = new LimitedStorage(new LocalStorage(newPlace()), { connections: 1 });
  for (const name of ['a', 'b']) await storage.put(name, [Buffer.from(name)]);
  for await (const { name } of storage.list('')) assert.equal((await storage.get(name)).toString(), name);
});

test('bytes pass at the rate, in and out, and what is fast at first is waited for later', async () => {
  const inner = new LocalStorage(newPlace());
  const storage = new LimitedStorage(inner, { bytesPerSecond: 1_000_000 });
  const started = performance.now();
  const passed = () => performance.now() - started;
  await storage.put('a', [Buffer.alloc(60_000), Buffer.alloc(40_000)]);
  await storage.put('b', [Buffer.alloc(50_000)]); // the 100 kB before take 100 ms
  assert.ok(passed() >= 95, `${passed()} ms`);
  await storage.get('a'); // 50 ms more; its 100 kB are known only now
  assert.ok(passed() >= 145, `${passed()} ms`);
  await storage.get('b', { offset: 0, length: 1 });
  assert.ok(passed() >= 245, `${passed()} ms`);
});

test('calls at once share the rate', async () => {
  const storage = new LimitedStorage(new LocalStorage(newPlace()), { bytesPerSecond: 1_000_000 });
  const started = performance.now();
  await Promise.all(Array.from({ length: 6 }, (_, i) => storage.put(`${i}`, [Buffer.alloc(40_000)])));
  assert.ok(performance.now() - started >= 195);
});

test('time in which nothing passed is not made up for', async () => {
  const storage = new LimitedStorage(new LocalStorage(newPlace()), { bytesPerSecond: 1_000_000 });
  await storage.put('a', [Buffer.alloc(1000)]);
  await sleep(300);
  const started = performance.now();
  for (const name of ['a', 'b', 'c']) await storage.put(name, [Buffer.alloc(50_000)]);
  assert.ok(performance.now() - started >= 95);
});

test('those who use a place at once have their share of its limits, at least one connection', () => {
  const spec = { kind: 'local', path: '/x' } as const;
  assert.deepEqual(shareOf({ spec, limits: { connections: 8, bytesPerSecond: 100 } }, 4).limits, {
    connections: 2,
    bytesPerSecond: 25,
  });
  assert.deepEqual(shareOf({ spec, limits: { connections: 2 } }, 4).limits, { connections: 1 });
  assert.deepEqual(shareOf({ spec }, 4).limits, {});
});

storageContract(
  'a folder with one connection',
  async place => new LimitedStorage(new LocalStorage(join(folder, place)), { connections: 1 }),
);
