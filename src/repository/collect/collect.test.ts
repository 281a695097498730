import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { readBack, smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { packName } from '../format/packName.ts';
import { LEASE_TTL_MS, Lease } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { Repository } from '../repository.ts';
import { collect } from './collect.ts';
import { amount, type CollectionPlan, GRACE_MS, planCollection } from './collectionPlan.ts';
import { readHoldings } from './contents.ts';

const START = new Date('2026-11-21T02:00:00Z');
const HOUR_MS = 3600 * 1000;

async function fresh(t: TestContext): Promise<{ repository: Repository; clock: ClockedStorage }> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-collect-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new ClockedStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock };
}

async function plan(repository: Repository): Promise<CollectionPlan> {
  return planCollection(repository, await readHoldings(repository));
}

async function prune(repository: Repository): Promise<CollectionPlan> {
  const lease = await Lease.takePrune(repository.storage);
  try {
    const made = await plan(repository);
    await collect(repository, made, lease);
    return made;
  } finally {
    await lease.release();
  }
}

async function names(repository: Repository, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of repository.storage.list(prefix)) found.push(name);
  return found.sort();
}

const packNames = (manifests: Manifest[]): string[] => [
  ...new Set(
    manifests.flatMap(manifest => manifest.packs.map(([id, number]) => `packs/${packName(id, number)}`)),
  ),
];

/** A backup that is held up while something else happens. */
async function heldUp(
  repository: Repository,
  at: 'previousFound' | 'stored' | 'held',
  blocks: Record<string, string>,
) {
  let go = () => {};
  const going = new Promise<void>(resolve => {
    go = resolve;
  });
  let reached = () => {};
  const there = new Promise<void>(resolve => {
    reached = resolve;
  });
  const pause = async () => {
    reached();
    await going;
  };
  const done = smallBackup(repository, blocks, { [at]: pause });
  done.catch(() => {});
  await there;
  return async () => {
    go();
    return done;
  };
}

test('what no snapshot needs is condemned, and deleted after the grace; the rest stays readable', async t => {
  const { repository, clock } = await fresh(t);
  const first = await smallBackup(repository, { a: 'one', b: 'one' });
  clock.pass(HOUR_MS);
  const second = await smallBackup(repository, { a: 'one', b: 'two' });
  await repository.forget(first.snapshot);

  const condemning = await prune(repository);
  assert.equal(condemning.condemn.length, 2); // block b and the list of parts; block a is shared
  assert.equal(condemning.free.length, 0);
  assert.deepEqual(
    await plan(repository).then(p => [p.condemn.length, p.free.length, p.waiting.packs]),
    [0, 0, 2],
  );

  clock.pass(GRACE_MS - 60_000);
  assert.equal((await prune(repository)).free.length, 0);
  clock.pass(60_000);
  const freeing = await prune(repository);
  assert.deepEqual(amount(freeing.free), amount(condemning.condemn));
  assert.deepEqual(await names(repository, 'packs/'), packNames([second]).sort());
  assert.deepEqual(await names(repository, 'forgotten/'), []);
  assert.deepEqual(await names(repository, 'condemned/'), []);
  assert.deepEqual(await names(repository, 'leases/'), []);
  assert.deepEqual(await readBack(repository, second), { a: 'one', b: 'two' });
});

test('a plan changes nothing, and snapshots can be left out of it', async t => {
  const { repository } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const before = await names(repository, '');
  const holdings = await readHoldings(repository);
  assert.equal((await planCollection(repository, holdings)).condemn.length, 0);
  assert.equal((await planCollection(repository, holdings, new Set([snapshot]))).condemn.length, 2);
  assert.deepEqual(await names(repository, ''), before);
});

test('a running backup’s packs stay, those of a dead one go, and it does not come back', async t => {
  const { repository, clock } = await fresh(t);
  await smallBackup(repository, { a: 'one' });
  const finish = await heldUp(repository, 'stored', { a: 'two' });
  assert.equal((await prune(repository)).condemn.length, 0);

  clock.pass(LEASE_TTL_MS + 1000);
  const condemning = await prune(repository);
  assert.equal(condemning.condemn.length, 2);
  assert.equal(condemning.leases.length, 1);
  await assert.rejects(finish(), { code: 'LEASE_LOST' });
  assert.equal((await repository.snapshotNames()).length, 1);

  clock.pass(GRACE_MS);
  assert.equal((await prune(repository)).free.length, 2);
  assert.deepEqual(await names(repository, 'leases/'), []);
});

test('a backup that sleeps between its last renewal and its manifest takes the snapshot back', async t => {
  const { repository, clock } = await fresh(t);
  const finish = await heldUp(repository, 'held', { a: 'one' });
  clock.pass(LEASE_TTL_MS + 1000);
  await assert.rejects(finish(), { code: 'LEASE_LOST' });
  assert.deepEqual(await repository.snapshotNames(), []);
});

test('packs that a backup found through a snapshot forgotten meanwhile wait for that backup', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  clock.pass(HOUR_MS);
  const finish = await heldUp(repository, 'previousFound', { a: 'one' });
  await repository.forget(snapshot);
  assert.equal((await prune(repository)).condemn.length, 2);
  // The backup takes long, and renews its lease.
  const [lease] = (await readHoldings(repository)).live;
  clock.pass(GRACE_MS);
  await repository.storage.put(`leases/${lease!.session}/000002`, [Buffer.from('{}')]);

  const waiting = await prune(repository);
  assert.deepEqual([waiting.free.length, waiting.waiting.packs], [0, 2]);
  assert.deepEqual(waiting.waiting.for, [lease!.session]);
  const late = await finish().catch(() => undefined); // the real lease was not renewed: the clock is ours
  assert.equal(late, undefined);
});

test('packs found by way of a snapshot that came and went after the condemnation are condemned anew', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one', b: 'one' });
  clock.pass(HOUR_MS);
  const finishFirst = await heldUp(repository, 'previousFound', { a: 'one', b: 'two' });
  await repository.forget(snapshot);
  const condemned = await prune(repository);
  const between = await finishFirst(); // refers to condemned packs
  clock.pass(GRACE_MS - 60_000);
  const finishSecond = await heldUp(repository, 'previousFound', { a: 'one', b: 'three' });
  await repository.forget(between.snapshot);
  clock.pass(120_000);

  // No snapshot needs block a, its record is due, and the only running backup began after it was condemned.
  const anew = await prune(repository);
  const shared = [...condemned.condemn].find(pack =>
    between.packs.some(other => other[0] === pack[0] && other[1] === pack[1]),
  )!;
  assert.ok(![...anew.free].some(pack => pack[0] === shared[0] && pack[1] === shared[1]));
  const last = await finishSecond();
  assert.deepEqual(await readBack(repository, last), { a: 'one', b: 'three' });
  clock.pass(GRACE_MS);
  await prune(repository);
  clock.pass(GRACE_MS);
  await prune(repository);
  assert.deepEqual(await names(repository, 'packs/'), packNames([last]).sort());
});

test('a pack that is needed again is dropped from its record', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  clock.pass(HOUR_MS);
  const finish = await heldUp(repository, 'previousFound', { a: 'one' });
  await repository.forget(snapshot);
  await prune(repository);
  const kept = await finish();
  clock.pass(GRACE_MS);
  const freeing = await prune(repository);
  assert.equal(freeing.free.length, 1); // the old list of parts
  assert.deepEqual(await names(repository, 'condemned/'), []);
  assert.deepEqual(await readBack(repository, kept), { a: 'one' });
});

test('a manifest that can’t be read stops collection and is named; forgotten, it doesn’t', async t => {
  const { repository, clock } = await fresh(t);
  const damaged = await smallBackup(repository, { a: 'one' });
  clock.pass(HOUR_MS);
  const whole = await smallBackup(repository, { a: 'two' });
  const name = `snapshots/${damaged.snapshot}`;
  await clock.put(name, [Buffer.from('rubbish')]);
  await assert.rejects(prune(repository), error => {
    assert.equal((error as { code: string }).code, 'MANIFEST_UNREADABLE');
    assert.match((error as Error).message, new RegExp(name));
    return true;
  });
  await repository.forget(damaged.snapshot);
  for (let i = 0; i < 3; i++) {
    clock.pass(GRACE_MS);
    await prune(repository);
  }
  assert.deepEqual(await names(repository, 'packs/'), packNames([whole]).sort());
  assert.deepEqual(await names(repository, 'forgotten/'), []);
});

test('a forgetting that was cut short leaves the snapshot whole', async t => {
  const { repository, clock } = await fresh(t);
  const manifest = await smallBackup(repository, { a: 'one' });
  await clock.put(`forgotten/${manifest.snapshot}`, [await clock.get(`snapshots/${manifest.snapshot}`)]);
  for (let i = 0; i < 3; i++) {
    await prune(repository);
    clock.pass(GRACE_MS);
  }
  assert.deepEqual(await readBack(repository, manifest), { a: 'one' });
  await repository.forget(manifest.snapshot);
  await prune(repository);
  clock.pass(GRACE_MS);
  assert.equal((await prune(repository)).free.length, 2);
});

test('one prune at a time; a dead one is succeeded, and stops when it wakes', async t => {
  const { repository, clock } = await fresh(t);
  const first = await Lease.takePrune(clock);
  await assert.rejects(Lease.takePrune(clock), { code: 'PRUNE_RUNNING' });
  clock.pass(LEASE_TTL_MS + 1000);
  const second = await Lease.takePrune(clock);
  await assert.rejects(first.hold(), { code: 'LEASE_LOST' });
  await first.release();
  await second.hold();
  await assert.rejects(Lease.takePrune(clock), { code: 'PRUNE_RUNNING' });
  await second.release();
  assert.deepEqual(await names(repository, 'leases/'), []);
  await (await Lease.takePrune(clock)).release();
});

test('two prunes that begin at once: one refuses or both take turns', async t => {
  const { repository } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  await repository.forget(snapshot);
  const outcomes = await Promise.allSettled([prune(repository), prune(repository), prune(repository)]);
  const refused = outcomes.flatMap(each =>
    each.status === 'rejected' ? [(each.reason as { code: string }).code] : [],
  );
  assert.ok(refused.length <= 2 && refused.every(code => code === 'PRUNE_RUNNING'), String(refused));
  assert.deepEqual(await names(repository, 'leases/'), []);
});

test('objects that are not ours are never touched', async t => {
  const { repository, clock } = await fresh(t);
  for (const name of [
    'packs/notes.txt',
    'packs/20261121-020000000-00000000/readme',
    'snapshots/x',
    'other/y',
  ])
    await clock.put(name, [Buffer.from('mine')]);
  const before = await names(repository, '');
  for (let i = 0; i < 3; i++) {
    await prune(repository);
    clock.pass(GRACE_MS);
  }
  assert.deepEqual(await names(repository, ''), before);
});

test('a snapshot that was forgotten comes back as a copy, and what is left of the old one goes', async t => {
  const { repository, clock } = await fresh(t);
  const blocks = { a: 'one', b: 'one' };
  const first = await smallBackup(repository, blocks);
  const second = await smallBackup(repository, { a: 'two' });
  await repository.forget(first.snapshot);
  await prune(repository);
  const copy = await smallBackup(repository, blocks, {}, first.snapshot);
  assert.equal(copy.snapshot, first.snapshot);
  assert.notEqual(manifestName(copy), first.snapshot);

  clock.pass(GRACE_MS);
  assert.equal((await prune(repository)).free.length, 3);
  assert.deepEqual(await names(repository, 'packs/'), packNames([second, copy]).sort());
  assert.deepEqual(await names(repository, 'forgotten/'), []);
  assert.deepEqual(await repository.snapshotNames(), [manifestName(copy), second.snapshot].sort());
  assert.deepEqual(await readBack(repository, copy), blocks);

  await repository.forget(manifestName(copy));
  assert.deepEqual(await repository.forgottenNames(), [manifestName(copy)]);
});

test('who forgets a snapshot slowly does not take away the copy that came back meanwhile', async t => {
  const { repository, clock } = await fresh(t);
  const first = await smallBackup(repository, { a: 'one' });
  let copy: Manifest | undefined;
  const slow = new Repository(clock, repository.keys);
  const remove = clock.remove.bind(clock);
  clock.remove = async name => {
    clock.remove = remove;
    await repository.forget(first.snapshot);
    copy = await smallBackup(repository, { a: 'one' }, {}, first.snapshot);
    await remove(name);
  };
  await slow.forget(first.snapshot);
  assert.deepEqual(await repository.snapshotNames(), [manifestName(copy!)]);
  assert.deepEqual(await readBack(repository, copy!), { a: 'one' });
});
