import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FAULTS, type FaultPlan, FaultyStorage } from '../../../tests/support/faultyStorage.ts';
import { TidemarkError } from '../../base/errors.ts';
import { refuses } from '../laws.ts';
import { LocalStorage } from '../local/storage.ts';
import { storageContract } from '../storage.contract.ts';
import type { StoredObject } from '../storage.ts';
import { RetriedStorage, type RetryOptions } from './retry.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-retry-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const newPlace = (): LocalStorage => new LocalStorage(mkdtempSync(join(folder, 'place-')));

/** A storage that fails as planned, and what is repeated of it. */
function make(plan: FaultPlan, options: RetryOptions = {}) {
  const inner = newPlace();
  const faulty = new FaultyStorage(inner, plan);
  const waits: number[] = [];
  const storage = new RetriedStorage(faulty, {
    firstWaitMs: 1,
    waiting: (_call, _error, waitMs) => waits.push(waitMs),
    ...options,
  });
  return { inner, faulty, storage, waits };
}

/** A storage that is away and says until when. Nobody waits longer than 100 ms for it. */
function saying(afterMs: number | undefined, options: RetryOptions) {
  class Saying extends LocalStorage {
    override async stat(): Promise<StoredObject | undefined> {
      throw new TidemarkError('SLOW_DOWN', 'too much at once', 'wait', { retry: { afterMs } });
    }
  }
  const stop = new AbortController();
  const waits: number[] = [];
  const storage = new RetriedStorage(new Saying(folder), {
    signal: stop.signal,
    waiting: (_call, _error, waitMs) => {
      waits.push(waitMs);
      if (waitMs > 100) stop.abort();
    },
    ...options,
  });
  return { storage, waits };
}

test('waits double, at random within the second half of each, and end after eight attempts', async () => {
  const { storage, faulty, waits } = make({ at: 0, fault: 'error', times: 100 });
  await refuses('STORAGE_UNAVAILABLE', 'failed', storage.put('object', []));
  assert.equal(faulty.calls, 8);
  assert.equal(waits.length, 7);
  for (const [i, waitMs] of waits.entries())
    assert.ok(waitMs >= 2 ** i / 2 && waitMs <= 2 ** i, `wait ${i}: ${waitMs} ms`);
});

test('no wait is longer than half a minute', async () => {
  const { storage, waits } = saying(undefined, { firstWaitMs: 1_000_000 });
  await assert.rejects(storage.stat('object'), { name: 'AbortError' });
  assert.ok(waits[0]! >= 15_000 && waits[0]! <= 30_000, `${waits}`);
});

test('a server’s word counts where it is longer, up to two minutes', async () => {
  const patient = saying(90, { firstWaitMs: 1, attempts: 3 });
  const started = performance.now();
  await refuses('SLOW_DOWN', 'failed', patient.storage.stat('object'));
  assert.deepEqual(patient.waits, [90, 90]);
  assert.ok(performance.now() - started >= 170);
  const hasty = saying(1, { firstWaitMs: 100, attempts: 2 });
  await refuses('SLOW_DOWN', 'failed', hasty.storage.stat('object'));
  assert.ok(hasty.waits[0]! >= 50);
  const { storage, waits } = saying(3_600_000, { firstWaitMs: 1 });
  await assert.rejects(storage.stat('object'), { name: 'AbortError' });
  assert.deepEqual(waits, [120_000]);
});

test('what is permanent is not repeated', async () => {
  const { storage, faulty } = make({ at: 0, fault: 'permanent', times: 100 });
  await refuses('STORAGE_DENIED', 'failed', storage.put('object', []));
  await refuses('STORAGE_DENIED', 'failed', storage.list('')[Symbol.asyncIterator]().next());
  assert.equal(faulty.calls, 2);
});

test('every call bears every fault that passes', async () => {
  for (const fault of FAULTS.filter(each => each !== 'permanent' && each !== 'stale')) {
    for (let at = 0; at < 6; at++) {
      const { storage, inner, faulty } = make({ at, fault });
      await storage.put('object', [Buffer.from('x')]);
      assert.equal((await storage.get('object')).toString(), 'x');
      assert.equal((await storage.stat('object'))?.sizeBytes, 1);
      assert.ok((await storage.now()) instanceof Date);
      assert.deepEqual(await names(storage), ['object']);
      await storage.remove('object');
      assert.deepEqual(await names(inner), []);
      assert.equal(faulty.hit.length, 1, `${fault} at ${at}`);
    }
  }
});

test('a put that must not replace anything finds what it wrote itself, where only the answer was lost', async () => {
  const { storage, inner } = make({ at: 0, fault: 'lost' });
  await storage.put('object', [Buffer.from('ours')], { ifAbsent: true });
  assert.equal((await inner.get('object')).toString(), 'ours');
});

test('it does so even where looking fails at first', async () => {
  // The answer to the put is lost, the second put finds the object, and reading it fails.
  const inner = newPlace();
  const looking = new FaultyStorage(inner, { at: 2, fault: 'cut' });
  const storage = new RetriedStorage(new FaultyStorage(looking, { at: 0, fault: 'lost' }), {
    firstWaitMs: 1,
  });
  await storage.put('object', [Buffer.from('ours')], { ifAbsent: true });
  assert.deepEqual(
    looking.hit.map(call => call.method),
    ['get'],
  );
});

test('a put that must not replace anything takes nothing of others for its own', async () => {
  const first = make({ at: 0, fault: 'lost' });
  await first.inner.put('object', [Buffer.from('theirs')]);
  await refuses(
    'OBJECT_EXISTS',
    'failed',
    first.storage.put('object', [Buffer.from('ours')], { ifAbsent: true }),
  );
  // Not even if it is the same, when nothing of ours can have arrived.
  await first.inner.put('same', [Buffer.from('ours')]);
  await refuses(
    'OBJECT_EXISTS',
    'failed',
    first.storage.put('same', [Buffer.from('ours')], { ifAbsent: true }),
  );
  // Somebody else came first, after our first attempt had failed.
  const second = make(
    { at: 0, fault: 'cut' },
    { waiting: () => void second.inner.put('object', [Buffer.from('theirs')]), firstWaitMs: 40 },
  );
  await refuses(
    'OBJECT_EXISTS',
    'failed',
    second.storage.put('object', [Buffer.from('ours')], { ifAbsent: true }),
  );
  assert.equal((await second.inner.get('object')).toString(), 'theirs');
});

test('a list that fails midway gives each object once', async () => {
  for (const fault of ['cut', 'torn', 'lost'] as const) {
    for (const times of [1, 2, 5]) {
      const { storage, inner, waits } = make({ at: 0, fault, times });
      for (let i = 0; i < 20; i++) await inner.put(`packs/${i % 3}/${i}`, [Buffer.from('x')]);
      const all = await names(storage);
      assert.equal(all.length, 20);
      assert.equal(new Set(all).size, 20);
      assert.equal(waits.length, times);
    }
  }
});

test('a list that gets further each time goes on', async () => {
  const inner = newPlace();
  for (let i = 0; i < 15; i++) await inner.put(`${i}`, []);
  let limit = 0;
  class Short extends LocalStorage {
    override async *list(): AsyncIterable<StoredObject> {
      let given = 0;
      limit++;
      for await (const object of inner.list('')) {
        if (given++ === limit) throw new TidemarkError('AWAY', 'away', 'wait', { retry: {} });
        yield object;
      }
    }
  }
  const storage = new RetriedStorage(new Short(folder), { firstWaitMs: 1 });
  assert.equal((await names(storage)).length, 15);
});

test('whoever stops reading a list ends it', async () => {
  const { storage, inner, faulty } = make({ at: 5, fault: 'error' });
  for (let i = 0; i < 5; i++) await inner.put(`${i}`, []);
  for await (const object of storage.list('')) {
    assert.ok(object.name);
    break;
  }
  assert.equal(faulty.calls, 1);
});

storageContract('a storage of which every seventh call fails in one way or another', async place => {
  const passing = FAULTS.filter(each => each !== 'permanent' && each !== 'stale');
  const plans = Array.from({ length: 500 }, (_, i) => ({
    at: i * 7 + 3,
    fault: passing[i % passing.length]!,
  }));
  const faulty = new FaultyStorage(new LocalStorage(join(folder, place)), plans);
  return new RetriedStorage(faulty, { firstWaitMs: 1 });
});

async function names(storage: { list(prefix: string): AsyncIterable<StoredObject> }): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of storage.list('')) found.push(name);
  return found;
}
