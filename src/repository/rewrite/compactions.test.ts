import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { planCollection } from '../collect/collectionPlan.ts';
import { readHoldings } from '../collect/contents.ts';
import { LEASE_TTL_MS, Lease } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import { newSessionId } from '../manifest.ts';
import { Repository } from '../repository.ts';
import { currentRevision, listRevisions, nextRevision, revisionName } from '../revisions.ts';
import { newFolder } from '../testing/sample.ts';
import { announce, endDeadCompactions, listCompactions, withdraw } from './compactions.ts';

const START = new Date('2026-11-21T02:00:00Z');

async function fresh(_t: TestContext): Promise<{ repository: Repository; clock: ClockedStorage }> {
  const clock = new ClockedStorage(new LocalStorage(newFolder()), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock };
}

/** A revision that says the same as before. */
async function revise(repository: Repository, name: string, number: number): Promise<void> {
  const object = revisionName(name, number);
  const manifest = await repository.manifest(name);
  const revised = { number, session: 'x', at: START.toISOString(), dropped: [] };
  const sealed = repository.keys.seal(object, { ...manifest, revised });
  await repository.storage.put(object, [sealed], { ifAbsent: true });
}

test('the newest revision counts, void ones don’t, and without its manifest there is no snapshot', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const numbers = async () => (await listRevisions(clock)).get(snapshot);
  assert.equal((await repository.manifest(snapshot)).revised, undefined);
  await revise(repository, snapshot, 1);
  await clock.put(revisionName(snapshot, 2), [], { ifAbsent: true });
  await revise(repository, snapshot, 3);
  await clock.put(revisionName(snapshot, 4), [], { ifAbsent: true });
  assert.deepEqual(await numbers(), [1, -2, 3, -4]);
  assert.deepEqual([currentRevision(await numbers()), nextRevision(await numbers())], [3, 5]);
  assert.equal((await repository.manifest(snapshot)).revised?.number, 3);
  assert.deepEqual(
    (await repository.manifests()).map(each => each.revised?.number),
    [3],
  );

  await repository.forget(snapshot);
  await assert.rejects(repository.manifest(snapshot), { code: 'OBJECT_MISSING' });
  assert.deepEqual(await repository.manifests(), []);
});

test('a revision that was damaged or put in another’s place is refused', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  await revise(repository, snapshot, 1);
  await clock.put(revisionName(snapshot, 2), [await clock.get(revisionName(snapshot, 1))]);
  await assert.rejects(repository.manifest(snapshot), { code: 'SEAL_BROKEN' });
  await assert.rejects(readHoldings(repository), { code: 'MANIFEST_UNREADABLE' });
});

test('a compaction that died is ended: its late revision finds the number taken', async t => {
  const { repository, clock } = await fresh(t);
  const names: string[] = [];
  for (const text of ['one', 'two', 'three']) {
    names.push((await smallBackup(repository, { a: text })).snapshot);
    clock.pass(60_000);
  }
  const session = newSessionId(await clock.now());
  await Lease.take(clock, session, 'compaction');
  await clock.put(`packs/${session}/00000001`, [Buffer.alloc(50)]);
  await announce(repository, session, [[names[0]!, 1], [names[1]!, 1]]); // biome-ignore format: rows
  await revise(repository, names[0]!, 1);

  await endDeadCompactions(repository); // it is alive
  assert.deepEqual([...(await listCompactions(clock))], [session]);
  const condemns = async () =>
    (await planCollection(repository, await readHoldings(repository))).condemn.length;
  clock.pass(LEASE_TTL_MS + 1000);
  assert.equal(await condemns(), 0); // it may still come to refer to its packs
  await endDeadCompactions(repository);
  assert.equal(await condemns(), 1);
  assert.deepEqual([...(await listCompactions(clock))], []);
  const all = await listRevisions(clock);
  assert.deepEqual(
    names.map(name => all.get(name)),
    [[1], [-1], undefined],
  );
  await assert.rejects(revise(repository, names[1]!, 1), { code: 'OBJECT_EXISTS' });
  await withdraw(repository, session); // gone already: that is no fault
});

test('one whose announcement can’t be read is kept from every snapshot', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  await revise(repository, snapshot, 1);
  await clock.put(`compactions/${newSessionId(START)}`, [Buffer.from('rubbish')]);
  await endDeadCompactions(repository);
  assert.deepEqual((await listRevisions(clock)).get(snapshot), [1, -2]);
  assert.equal((await repository.manifest(snapshot)).revised?.number, 1);
});

test('revisions of a snapshot that is nowhere, and void ones that another followed, are collected', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  const gone = newSessionId(START);
  await clock.put(revisionName(gone, 1), []);
  await clock.put(revisionName(snapshot, 1), []);
  const manifests = async () => (await planCollection(repository, await readHoldings(repository))).manifests;
  assert.deepEqual(await manifests(), [revisionName(gone, 1)]);
  await revise(repository, snapshot, 2);
  assert.deepEqual((await manifests()).sort(), [revisionName(gone, 1), revisionName(snapshot, 1)].sort());
});
