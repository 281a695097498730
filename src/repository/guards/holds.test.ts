import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { readBack, smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { type Call, WrappedStorage } from '../../storage/wrap/wrapped.ts';
import { collect } from '../collect/collect.ts';
import { GRACE_MS, planCollection } from '../collect/collectionPlan.ts';
import { readHoldings } from '../collect/contents.ts';
import { newKeyText } from '../keys/keyText.ts';
import { Repository } from '../repository.ts';
import { Forgetting, forgetUnlessHeld } from './forgetting.ts';
import { holdText, placeHold, readHolds, releaseHold, standing } from './holds.ts';
import { LEASE_TTL_MS, Lease } from './lease.ts';

const START = new Date('2026-11-21T02:00:00Z');
const HOUR_MS = 3600 * 1000;
const TEXT = { reason: 'case 17', until: null, by: 'ann@desk' };
const keyText = newKeyText();
const IMPATIENT = { tries: 3, pause: async () => {} };

async function fresh(t: TestContext): Promise<{ repository: Repository; clock: ClockedStorage }> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-holds-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new ClockedStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: keyText, where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock };
}

const holdsOf = async (repository: Repository, id: string) =>
  (await readHolds(repository, await repository.storage.now())).get(id) ?? [];

async function forget(repository: Repository, ...names: string[]): Promise<void> {
  const forgetting = await Forgetting.begin(repository);
  try {
    for (const name of names) await forgetting.forget(name);
  } finally {
    await forgetting.end();
  }
}

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

test('a hold keeps its snapshot until it is released', async t => {
  const { repository } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const hold = await placeHold(repository, snapshot, TEXT);
  assert.equal(holdText(hold), 'held: case 17');
  assert.deepEqual(await holdsOf(repository, snapshot), [hold]);
  await assert.rejects(forget(repository, snapshot), (error: Error & { code: string }) => {
    assert.equal(error.code, 'SNAPSHOT_HELD');
    assert.match(error.message, /is held: case 17$/);
    return true;
  });
  const second = await placeHold(repository, snapshot, { ...TEXT, reason: 'case 18' });
  await releaseHold(repository, snapshot, hold.id);
  await assert.rejects(forget(repository, snapshot), { code: 'SNAPSHOT_HELD' });
  await releaseHold(repository, snapshot, second.id);
  await forget(repository, snapshot);
  assert.deepEqual(await repository.snapshotNames(), []);
  await assert.rejects(placeHold(repository, snapshot, TEXT), { code: 'SNAPSHOT_GONE' });
  assert.deepEqual(await holdsOf(repository, snapshot), []);
});

test('a hold expires by the storage’s clock', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  await assert.rejects(placeHold(repository, snapshot, { ...TEXT, until: START.toISOString() }), {
    code: 'UNTIL_PAST',
  });
  const until = '2026-11-23T00:00:00.000Z';
  await placeHold(repository, snapshot, { ...TEXT, until });
  const [hold] = await holdsOf(repository, snapshot);
  assert.equal(holdText(hold!), 'held until 2026-11-23 00:00: case 17');
  await assert.rejects(forget(repository, snapshot), { code: 'SNAPSHOT_HELD' });
  clock.pass(46 * HOUR_MS);
  assert.deepEqual(standing(await holdsOf(repository, snapshot)), []);
  await forget(repository, snapshot);
});

test('a hold that can’t be read holds', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const until = '2026-11-22T00:00:00.000Z';
  const { id } = await placeHold(repository, snapshot, { ...TEXT, until });
  const other = await smallBackup(repository, { a: 'two' });
  const moved = await placeHold(repository, other.snapshot, TEXT);
  const name = `holds/${snapshot}/${id}`;
  const sealed = await clock.get(name);
  const elsewhere = await clock.get(`holds/${other.snapshot}/${moved.id}`);
  sealed[sealed.length - 1]! ^= 1;
  for (const bytes of [sealed, Buffer.alloc(0), Buffer.from('rubbish'), elsewhere]) {
    await clock.put(name, [bytes]);
    clock.pass(48 * HOUR_MS);
    const [hold] = await holdsOf(repository, snapshot);
    assert.deepEqual([hold!.reason, hold!.until, hold!.expired], [null, null, false]);
    await assert.rejects(forget(repository, snapshot), { code: 'SNAPSHOT_HELD' });
  }
  await releaseHold(repository, snapshot, id);
  await forget(repository, snapshot);
});

test('who holds waits for a forgetting under way, not for one that begins later', async t => {
  const { repository } = await fresh(t);
  const [a, b] = [await smallBackup(repository, { a: 'one' }), await smallBackup(repository, { a: 'two' })];
  const first = await Forgetting.begin(repository);
  await assert.rejects(placeHold(repository, a.snapshot, TEXT, IMPATIENT), { code: 'HOLD_UNCERTAIN' });
  assert.equal((await holdsOf(repository, a.snapshot)).length, 1, 'the hold stands');
  await assert.rejects(first.forget(a.snapshot), { code: 'SNAPSHOT_HELD' });

  let turns = 0;
  let later: Forgetting | undefined;
  const held = await placeHold(repository, b.snapshot, TEXT, {
    tries: 3,
    async pause() {
      if (turns++ > 0) return;
      later = await Forgetting.begin(repository);
      await first.end();
    },
  });
  assert.equal(turns, 1);
  await assert.rejects(later!.forget(b.snapshot), { code: 'SNAPSHOT_HELD' });
  await later!.end();
  assert.deepEqual(
    (await holdsOf(repository, b.snapshot)).map(each => each.id),
    [held.id],
  );
});

test('who holds sees that the forgetting under way was faster', async t => {
  const { repository } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const forgetting = await Forgetting.begin(repository);
  const pause = async () => {
    await releaseHold(repository, snapshot, (await holdsOf(repository, snapshot))[0]!.id);
    await forgetting.forget(snapshot);
    await forgetting.end();
  };
  await assert.rejects(placeHold(repository, snapshot, TEXT, { tries: 1, pause }), { code: 'SNAPSHOT_GONE' });
});

test('a forgetting that slept removes nothing', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const forgetting = await Forgetting.begin(repository);
  clock.pass(LEASE_TTL_MS + 1000);
  await placeHold(repository, snapshot, TEXT, { tries: 0, pause: IMPATIENT.pause });
  await assert.rejects(forgetting.forget(snapshot), { code: 'LEASE_LOST' });
  await forgetting.end();
  assert.deepEqual(await repository.snapshotNames(), [snapshot]);
});

test('what is forgotten although it is held is not collected until it is released', async t => {
  const { repository, clock } = await fresh(t);
  const held = await smallBackup(repository, { a: 'one' });
  const other = await smallBackup(repository, { b: 'two' });
  const { id } = await placeHold(repository, held.snapshot, TEXT);
  await repository.forget(held.snapshot); // which looks for no holds
  await forget(repository, other.snapshot);
  for (let day = 0; day < 4; day++) {
    await prune(repository);
    clock.pass(GRACE_MS);
  }
  assert.deepEqual(await repository.forgottenNames(), [held.snapshot]);
  assert.deepEqual(await readBack(repository, held), { a: 'one' });
  await assert.rejects(readBack(repository, other), { code: 'OBJECT_MISSING' });

  const name = `forgotten/${held.snapshot}`;
  const sealed = await clock.get(name);
  await clock.put(name, [Buffer.from('rubbish')]);
  const last = await smallBackup(repository, { c: 'three' });
  await forget(repository, last.snapshot);
  for (let day = 0; day < 3; day++) {
    assert.equal(await prune(repository), 0);
    clock.pass(GRACE_MS);
  }
  await clock.put(name, [sealed]);
  await releaseHold(repository, held.snapshot, id);
  let freed = 0;
  for (let day = 0; day < 3; day++) {
    freed += await prune(repository);
    clock.pass(GRACE_MS);
  }
  assert.ok(freed >= 4);
  assert.deepEqual(await repository.forgottenNames(), []);
});

test('what an object lock keeps is not forgotten, nor half so', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const until = new Date(START.getTime() + HOUR_MS);
  const locks = { until: async () => until, extend: async () => {} };
  Object.assign(clock, { locks });
  await assert.rejects(forget(repository, snapshot), { code: 'SNAPSHOT_LOCKED' });
  assert.deepEqual(await repository.forgottenNames(), []);
  clock.pass(HOUR_MS);
  await forget(repository, snapshot);
  assert.deepEqual(await repository.snapshotNames(), []);
});

test('many are forgotten at once; one that is held stays, and one that fails lets the others end', async t => {
  const { repository, clock } = await fresh(t);
  const names: string[] = [];
  for (let i = 0; i < 20; i++) names.push((await smallBackup(repository, { a: `${i}` })).snapshot);
  await placeHold(repository, names[3]!, TEXT);
  assert.deepEqual(await forgetUnlessHeld(repository, names.slice(0, 18)), [names[3]]);
  assert.deepEqual(await repository.snapshotNames(), [names[3], ...names.slice(18)]);

  const [broken, whole] = names.slice(18);
  const failing = new (class extends WrappedStorage {
    protected async around<T>({ method, name }: Call, run: () => Promise<T>): Promise<T> {
      if (method === 'remove' && name === `snapshots/${broken}`) throw new Error('no');
      return run();
    }
  })(clock);
  const other = await Repository.open(failing, { kind: 'key', text: keyText, where: 'the test' });
  await assert.rejects(forgetUnlessHeld(other, [broken!, whole!, names[3]!]), { message: 'no' });
  assert.deepEqual(await repository.snapshotNames(), [names[3], broken]);
  for await (const { name } of clock.list('leases/')) assert.fail(`${name} was left`);
});
