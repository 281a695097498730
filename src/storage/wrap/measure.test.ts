import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FaultyStorage } from '../../../tests/support/faultyStorage.ts';
import { openStorage } from '../index.ts';
import { LocalStorage } from '../local/storage.ts';
import { Measure, MeasuredStorage } from './measure.ts';
import { RetriedStorage } from './retry.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-measure-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('calls, bytes and listed objects are counted', async () => {
  const measure = new Measure();
  const storage = await openStorage({ spec: { kind: 'local', path: join(folder, 'counted') } }, { measure });
  await storage.put('a/1', [Buffer.alloc(100), Buffer.alloc(11)]);
  await storage.put('a/2', [Buffer.alloc(7)], { ifAbsent: true });
  await storage.get('a/1');
  await storage.get('a/1', { offset: 10, length: 5 });
  await storage.stat('a/1');
  await storage.now();
  for (const prefix of ['', 'a/', 'b/']) await Array.fromAsync(storage.list(prefix));
  await storage.remove('a/1');
  assert.deepEqual(Object.fromEntries(measure.calls), {
    put: 2,
    get: 2,
    stat: 1,
    now: 1,
    list: 3,
    remove: 1,
  });
  assert.deepEqual([measure.putBytes, measure.getBytes, measure.listedObjects], [118, 116, 4]);
  assert.equal(measure.of('region'), 0);
});

test('every attempt counts, and bytes only of those that went well', async () => {
  const measure = new Measure();
  const faulty = new FaultyStorage(new LocalStorage(join(folder, 'attempts')), [
    { at: 0, fault: 'cut', times: 2 },
    { at: 3, fault: 'lost' },
    { at: 5, fault: 'torn' },
  ]);
  const storage = new RetriedStorage(new MeasuredStorage(faulty, measure), { firstWaitMs: 1 });
  await storage.put('object', [Buffer.alloc(10)]);
  await storage.get('object');
  await Array.fromAsync(storage.list(''));
  assert.deepEqual(Object.fromEntries(measure.calls), { put: 3, get: 2, list: 2 });
  assert.deepEqual([measure.putBytes, measure.getBytes], [10, 10]);
});
