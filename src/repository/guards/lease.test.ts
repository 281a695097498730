import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { existing } from '../../storage/object.ts';
import { type Call, WrappedStorage } from '../../storage/wrap/wrapped.ts';
import { Lease } from './lease.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-lease-'));
after(() => rmSync(folder, { recursive: true }));

/** A put whose first answer was lost: the repeated one meets what it wrote itself. Gets fail as told. */
class LostAnswer extends WrappedStorage {
  getsFail = 0;

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    if (call.method === 'get' && this.getsFail-- > 0) throw down();
    const result = await run();
    if (call.method === 'put' && call.ifAbsent) throw existing(call.name, this.place);
    return result;
  }
}

const down = () => new TidemarkError('STORAGE_DOWN', 'it is down', 'wait', { retry: {} });

test('whoever lost only the answer has the lease', async () => {
  const lease = await Lease.takePrune(new LostAnswer(new LocalStorage(join(folder, 'answer'))));
  await lease.hold();
  await lease.release();
});

test('a storage that is down is not read as a lease of somebody else', async () => {
  const storage = new LostAnswer(new LocalStorage(join(folder, 'down')));
  storage.getsFail = 1;
  await assert.rejects(Lease.takeKeys(storage), { code: 'STORAGE_DOWN' });
});

test('what somebody else holds is refused', async () => {
  const storage = new LocalStorage(join(folder, 'two'));
  const lease = await Lease.takePrune(storage);
  await assert.rejects(Lease.takePrune(storage), { code: 'PRUNE_RUNNING' });
  await lease.release();
  await (await Lease.takePrune(storage)).release();
});
