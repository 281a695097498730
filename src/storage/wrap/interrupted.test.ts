import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { LocalStorage } from '../local/storage.ts';
import type { StoredObject } from '../storage.ts';
import { LimitedStorage } from './limit.ts';
import { RetriedStorage } from './retry.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-interrupted-'));
after(() => rmSync(folder, { recursive: true }));

test('who was interrupted can still clean up, however fast bytes may pass', async () => {
  const interrupt = new AbortController();
  const storage = await openStorage(
    { spec: { kind: 'local', path: folder }, limits: { connections: 2, bytesPerSecond: 10 } },
    { signal: interrupt.signal },
  );
  await storage.put('leases/a/1', [Buffer.alloc(1000)]); // the next bytes may pass in 100 s
  const waiting = storage.put('packs/a', [Buffer.alloc(1000)]);
  interrupt.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  const names: string[] = [];
  for await (const { name } of storage.list('leases/')) names.push(name);
  assert.deepEqual(names, ['leases/a/1']);
  await storage.now();
  await storage.remove('leases/a/1');
  assert.equal(await storage.stat('leases/a/1'), undefined);
});

test('an interruption ends the waiting for another attempt, and what failed is not tried again', async () => {
  let attempts = 0;
  class Away extends LocalStorage {
    override async stat(): Promise<StoredObject | undefined> {
      attempts++;
      throw new TidemarkError('AWAY', 'away', 'wait', { retry: { afterMs: 60_000 } });
    }
  }
  const interrupt = new AbortController();
  const storage = new RetriedStorage(new Away(folder), {
    signal: interrupt.signal,
    waiting: () => setImmediate(() => interrupt.abort()),
  });
  await assert.rejects(storage.stat('object'), { name: 'AbortError' });
  await assert.rejects(storage.stat('object'), { name: 'AbortError' });
  assert.equal(attempts, 2);
});

test('a place that becomes free goes to one call, whoever comes at that moment', async () => {
  for (let moment = 0; moment < 12; moment++) {
    let running = 0;
    let most = 0;
    const ends: (() => void)[] = [];
    class Counting extends LocalStorage {
      override async stat(): Promise<StoredObject | undefined> {
        most = Math.max(most, ++running);
        await new Promise<void>(end => ends.push(end));
        running--;
        return undefined;
      }
    }
    const storage = new LimitedStorage(new Counting(folder), { connections: 1 });
    const calls = [storage.stat('first'), storage.stat('second')];
    await new Promise(setImmediate);
    ends.shift()!();
    for (let i = 0; i < moment; i++) await null;
    calls.push(storage.stat('third'));
    for (let ended = 0; ended < 2; ended++) {
      await new Promise(setImmediate);
      ends.shift()!();
    }
    await Promise.all(calls);
    assert.equal(most, 1, `a call that comes ${moment} steps later`);
  }
});
