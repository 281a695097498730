import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { readBack, smallBackup } from '../../../tests/support/smallBackup.ts';
import { TidemarkError } from '../../base/errors.ts';
import { collect } from '../../repository/collect/collect.ts';
import { GRACE_MS, planCollection } from '../../repository/collect/collectionPlan.ts';
import { readHoldings } from '../../repository/collect/contents.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { newKeyText } from '../../repository/keys/keyText.ts';
import { Repository } from '../../repository/repository.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { type Call, WrappedStorage } from '../../storage/wrap/wrapped.ts';
import { whileReading } from './reading.ts';

const START = new Date('2026-11-21T02:00:00Z');
const unheard = (line: string) => assert.fail(`nothing was to be said: ${line}`);

async function fresh(t: TestContext): Promise<{ repository: Repository; clock: ClockedStorage }> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-reading-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new ClockedStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock };
}

/** How many packs a prune frees. */
async function prune(repository: Repository): Promise<number> {
  const lease = await Lease.takePrune(repository.storage);
  try {
    const plan = await planCollection(repository, await readHoldings(repository));
    await collect(repository, plan, lease);
    return plan.free.length;
  } finally {
    await lease.release();
  }
}

test('what is being read stays for as long as that takes, also when the snapshot is forgotten', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one', b: 'two' });
  await whileReading(repository, unheard, async () => {
    const manifest = await repository.manifest(snapshot);
    await repository.forget(snapshot);
    assert.equal(await prune(repository), 0);
    const { session } = (await readHoldings(repository)).live[0]!;
    clock.pass(3 * GRACE_MS);
    await repository.storage.put(`leases/${session}/000002`, [Buffer.from('{}')]); // as it does every five minutes
    assert.equal(await prune(repository), 0);
    assert.deepEqual(await readBack(repository, manifest), { a: 'one', b: 'two' });
  });
  assert.equal(await prune(repository), 3);
});

test('the lease ends with the reading, well or not', async t => {
  const { repository } = await fresh(t);
  const failing = whileReading(repository, unheard, () => Promise.reject(new Error('no')));
  await assert.rejects(failing, { message: 'no' });
  assert.deepEqual((await readHoldings(repository)).live, []);
});

test('whoever may only read is told what that means, and reads', async t => {
  const { repository } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const reader = new Repository(new ReadOnly(repository.storage), repository.keys);
  const notes: string[] = [];
  const read = await whileReading(
    reader,
    line => notes.push(line),
    async () => readBack(reader, await reader.manifest(snapshot)),
  );
  assert.deepEqual(read, { a: 'one' });
  assert.match(
    notes.join('\n'),
    /can't be told that it is being read: it may not \[STORAGE_DENIED\]; .* 24 hours/,
  );
});

class ReadOnly extends WrappedStorage {
  protected async around<T>({ method }: Call, run: () => Promise<T>): Promise<T> {
    if (method === 'put' || method === 'remove')
      throw new TidemarkError('STORAGE_DENIED', 'it may not', 'ask');
    return run();
  }
}
