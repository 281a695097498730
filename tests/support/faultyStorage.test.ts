import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TidemarkError } from '../../src/base/errors.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { FAULTS, type Fault, type FaultPlan, FaultyStorage, RecentWrites } from './faultyStorage.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-faulty-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const bytes = [Buffer.from('bytes')];

/** What is truly there, and what is seen through the faults. */
function make(plan?: FaultPlan, recent?: RecentWrites) {
  const inner = new LocalStorage(mkdtempSync(join(folder, 'place-')));
  return { inner, storage: new FaultyStorage(inner, plan, recent) };
}

async function names(storage: LocalStorage | FaultyStorage): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of storage.list('')) found.push(name);
  return found.sort();
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => {
      assert.ok(error instanceof TidemarkError, String(error));
      assert.equal(
        error.retry !== undefined,
        error.code !== 'STORAGE_DENIED' && error.code !== 'OBJECT_MISSING',
      );
      return error.code;
    },
  );

test('without a plan nothing happens, and calls are counted', async () => {
  const { storage } = make();
  await storage.put('a', bytes);
  await storage.get('a');
  await storage.stat('a');
  await storage.now();
  assert.deepEqual(await names(storage), ['a']);
  await storage.remove('a');
  await assert.rejects(storage.get('a'));
  assert.deepEqual([storage.calls, storage.hit], [7, []]);
});

test('a fault happens at its position, so many times, and nowhere else', async () => {
  const { inner, storage } = make({ at: 1, fault: 'error', times: 2 });
  const puts = [];
  for (const name of ['a', 'b', 'c', 'd']) puts.push(await codeOf(storage.put(name, bytes)));
  assert.deepEqual(puts, ['done', 'STORAGE_UNAVAILABLE', 'STORAGE_UNAVAILABLE', 'done']);
  assert.deepEqual(await names(inner), ['a', 'd']);
  assert.deepEqual(
    storage.hit.map(call => [call.method, call.name]),
    [
      ['put', 'b'],
      ['put', 'c'],
    ],
  );
});

test('what a fault does to a put, and to the object that was there before', async () => {
  const outcomes: Record<Fault, [string, string]> = {
    error: ['STORAGE_UNAVAILABLE', 'before'],
    permanent: ['STORAGE_DENIED', 'before'],
    timeout: ['STORAGE_TIMEOUT', 'before'],
    cut: ['STORAGE_LOST', 'before'],
    torn: ['STORAGE_LOST', 'before'],
    lost: ['STORAGE_LOST', 'after'],
    stale: ['done', 'after'],
  };
  for (const fault of FAULTS) {
    const { inner, storage } = make({ at: 0, fault });
    await inner.put('object', [Buffer.from('before')]);
    const code = await codeOf(storage.put('object', [Buffer.from('after')]));
    assert.deepEqual([code, (await inner.get('object')).toString()], outcomes[fault], fault);
  }
});

test('a remove is done, or not, as the fault says', async () => {
  for (const fault of FAULTS) {
    const { inner, storage } = make({ at: 0, fault });
    await inner.put('object', bytes);
    await codeOf(storage.remove('object'));
    assert.equal((await inner.stat('object')) === undefined, fault === 'lost' || fault === 'stale', fault);
  }
});

test('a list fails at its start, halfway or at its end', async () => {
  for (const [fault, count] of [
    ['cut', 0],
    ['torn', 2],
    ['lost', 3],
  ] as const) {
    const { inner, storage } = make({ at: 0, fault });
    for (const name of ['a', 'b', 'c']) await inner.put(name, bytes);
    const seen = new Set<string>();
    const reading = (async () => {
      for await (const { name } of storage.list('')) seen.add(name);
    })();
    assert.equal(await codeOf(reading), 'STORAGE_LOST');
    assert.equal(seen.size, count, fault);
    assert.equal((await names(storage)).length, 3);
  }
});

test('a stale answer leaves out what was written last, and nothing else', async () => {
  const { storage } = make({ at: 4, fault: 'stale', times: 3 }, new RecentWrites(2));
  for (const name of ['a', 'b', 'c']) await storage.put(name, bytes);
  assert.deepEqual(await names(storage), ['a', 'b', 'c']);
  assert.deepEqual(await names(storage), ['a']);
  assert.equal(await storage.stat('c'), undefined);
  assert.equal(await codeOf(storage.get('b')), 'OBJECT_MISSING');
  assert.equal((await storage.get('b')).toString(), 'bytes');
  assert.deepEqual(await names(storage), ['a', 'b', 'c']);
  assert.deepEqual(
    storage.hit.map(call => call.method),
    ['list', 'stat', 'get'],
  );
});

test('a stale answer about what was there before is none', async () => {
  const { inner, storage } = make({ at: 0, fault: 'stale', times: 9 });
  await inner.put('old', bytes);
  assert.deepEqual(await names(storage), ['old']);
  assert.equal((await storage.stat('old'))?.sizeBytes, 5);
  assert.equal((await storage.get('old')).toString(), 'bytes');
  await storage.now();
  assert.deepEqual(storage.hit, []);
});

test('what others wrote in the last moments is missed too, where they share them', async () => {
  const recent = new RecentWrites();
  const { inner, storage } = make(undefined, recent);
  await storage.put('object', bytes);
  const other = new FaultyStorage(inner, { at: 0, fault: 'stale' }, recent);
  assert.deepEqual(await names(other), []);
  assert.deepEqual(await names(other), ['object']);
});
