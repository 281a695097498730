import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { LEASE_TTL_MS, Lease, readLeases } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import { Repository } from '../repository.ts';
import { listRevisions } from '../revisions.ts';
import { newFolder } from '../testing/sample.ts';
import { listCompactions } from './compactions.ts';
import { RevisionRound } from './revisionRound.ts';

const START = new Date('2026-11-21T02:00:00Z');

async function site() {
  const clock = new ClockedStorage(new LocalStorage(newFolder()), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  const repository = await Repository.create(clock, secret, START);
  const manifest = await smallBackup(repository, { a: 'one' });
  clock.pass(60_000);
  const prune = await Lease.takePrune(clock);
  return { clock, repository, manifest, prune };
}

test('a round announces what it may write, and withdraws that when it has ended well', async t => {
  const { clock, repository, manifest, prune } = await site();
  t.after(() => prune.release());
  const { snapshot } = manifest;
  const written = await RevisionRound.run(repository, 'compaction', prune, async round => {
    await assert.rejects(round.write([]), { code: 'INTERNAL' });
    await round.announce([[snapshot, 1]]);
    assert.deepEqual([...(await listCompactions(clock))], [round.id]);
    const { live } = await readLeases(clock, await clock.now());
    assert.ok(live.some(({ session }) => session === round.id));
    const revision = { before: manifest, after: manifest, number: 1 };
    assert.deepEqual(await round.write([revision]), [snapshot]);
    return round.write([revision]); // somebody has it by now
  });
  assert.deepEqual(written, []);
  assert.equal((await repository.manifest(snapshot)).revised?.number, 1);
  assert.deepEqual([...(await listCompactions(clock))], []);
  assert.deepEqual((await readLeases(clock, await clock.now())).live, []);
});

test('a round that fails leaves its announcement, and no lease', async t => {
  const { clock, repository, manifest, prune } = await site();
  t.after(() => prune.release());
  const failure = new Error('it fails');
  const running = RevisionRound.run(repository, 'repair', prune, async round => {
    await round.announce([[manifest.snapshot, 1]]);
    throw failure;
  });
  await assert.rejects(running, failure);
  assert.equal((await listCompactions(clock)).size, 1);
  assert.deepEqual((await readLeases(clock, await clock.now())).live, []);
});

test('where a lease was lost meanwhile nothing is written', async t => {
  const { clock, repository, manifest, prune } = await site();
  t.after(() => prune.release());
  const running = RevisionRound.run(repository, 'repair', prune, async round => {
    await round.announce([[manifest.snapshot, 1]]);
    clock.pass(LEASE_TTL_MS + 1000);
    return round.write([{ before: manifest, after: manifest, number: 1 }]);
  });
  await assert.rejects(running, { code: 'LEASE_LOST' });
  assert.equal((await listRevisions(clock)).size, 0);
});
