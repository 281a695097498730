import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { readBack, smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { packName } from '../format/packName.ts';
import { Lease } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { Repository } from '../repository.ts';
import { listRevisions, revisionName } from '../revisions.ts';
import { newFolder } from '../testing/sample.ts';
import { findUnreadable, rebuildManifests } from './rebuildManifests.ts';
import { rebuildPacks } from './rebuildPacks.ts';

const START = new Date('2026-11-21T02:00:00Z');
const BLOCKS = { a: 'one|two', b: 'three' };

async function fresh(): Promise<{ repository: Repository; clock: ClockedStorage; manifest: Manifest }> {
  const clock = new ClockedStorage(new LocalStorage(newFolder()), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  const repository = await Repository.create(clock, secret, START);
  return { repository, clock, manifest: await smallBackup(repository, BLOCKS) };
}

async function underLease<T>(clock: ClockedStorage, work: (lease: Lease) => Promise<T>): Promise<T> {
  const lease = await Lease.takePrune(clock);
  try {
    return await work(lease);
  } finally {
    await lease.release();
  }
}

const unreadable = async (repository: Repository) =>
  findUnreadable(repository, await repository.snapshotNames());

async function rebuilt({ repository, clock }: { repository: Repository; clock: ClockedStorage }) {
  return underLease(clock, async lease => rebuildManifests(repository, await unreadable(repository), lease));
}

/** Every kind of damage that leaves the object there. */
const DAMAGE: Record<string, (bytes: Buffer) => Buffer> = {
  cut: bytes => bytes.subarray(0, bytes.length - 1),
  emptied: bytes => bytes.subarray(0, 0),
  flipped: bytes => Buffer.from(bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte))),
};

for (const [what, how] of Object.entries(DAMAGE)) {
  test(`a manifest that was ${what} is lost alone, and comes back from where it was being forgotten`, async () => {
    const { repository, clock, manifest } = await fresh();
    const name = manifestName(manifest);
    const object = `snapshots/${name}`;
    const whole = await clock.get(object);
    assert.deepEqual(await unreadable(repository), []);
    await clock.put(object, [how(whole)]);
    const [found, ...more] = await unreadable(repository);
    assert.deepEqual([found!.object, found!.instead, more], [object, null, []]);
    assert.deepEqual(await rebuilt({ repository, clock }), []);
    // As a forgetting leaves it that was killed between its two steps.
    await clock.put(`forgotten/${name}`, [whole]);
    assert.equal((await unreadable(repository))[0]!.instead?.object, `forgotten/${name}`);
    assert.deepEqual(await rebuilt({ repository, clock }), [name]);
    assert.deepEqual(await readBack(repository, await repository.manifest(name)), BLOCKS);
    assert.deepEqual(await unreadable(repository), []);
    assert.deepEqual(await rebuilt({ repository, clock }), []);
  });
}

test('where a revision is damaged the one before it counts again, if its packs are there', async () => {
  const { repository, clock, manifest } = await fresh();
  const name = manifestName(manifest);
  // A revision with everything in other packs, as a repair or a compaction writes it.
  const [first] = manifest.packs;
  const object = `packs/${packName(first![0], first![1])}`;
  const bytes = await clock.get(object);
  await clock.put(object, [bytes.subarray(0, bytes.length - 4)]);
  const damaged = new Set([object.slice('packs/'.length)]);
  const revised = await underLease(clock, lease =>
    rebuildPacks(repository, { damaged, names: [name] }, lease),
  );
  assert.deepEqual(revised, [name]);
  const revision = revisionName(name, 1);
  const kept = await clock.get(revision);
  await clock.put(revision, [Buffer.concat([kept, Buffer.of(0)])]);

  let [found] = await unreadable(repository);
  assert.deepEqual([found!.object, found!.instead?.object], [revision, `snapshots/${name}`]);
  assert.equal(found!.instead?.allPacks, false);
  await clock.put(object, [bytes]);
  [found] = await unreadable(repository);
  assert.equal(found!.instead?.allPacks, true);
  assert.deepEqual(await rebuilt({ repository, clock }), [name]);
  assert.deepEqual((await listRevisions(clock)).get(name), [1, 2]);
  assert.deepEqual(await readBack(repository, await repository.manifest(name)), BLOCKS);
  assert.deepEqual(await unreadable(repository), []);
});
