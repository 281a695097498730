import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import type { Locks } from '../../storage/storage.ts';
import { packName } from '../format/packName.ts';
import { newKeyText } from '../keys/keyText.ts';
import { PackCatalog } from '../packs/packCatalog.ts';
import { Repository } from '../repository.ts';
import { keepLocks } from './lockKeeping.ts';

const START = new Date('2026-11-21T02:00:00Z');
const DAY_MS = 24 * 3600 * 1000;

/** A clocked folder that remembers until when each object was locked. */
class LockingStorage extends ClockedStorage {
  readonly until = new Map<string, Date>();

  readonly locks: Locks = {
    until: async name => this.until.get(name),
    extend: async (name, lock) => {
      this.until.set(name, lock.until);
    },
  };
}

test('what is kept is locked anew each quarter of the time, and what is not kept is left alone', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-locks-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new LockingStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  const repository = await Repository.create(clock, secret, START);
  const first = await smallBackup(repository, { a: 'one' });
  const second = await smallBackup(repository, { a: 'two' });
  assert.equal(await keepLocks(repository, [second.snapshot]), 0, 'no lock is wanted');

  repository.policy = { storageClass: null, lock: { mode: 'governance', forMs: 20 * DAY_MS } };
  assert.ok((await keepLocks(repository, [second.snapshot])) > 0);
  const locked = [...clock.until.keys()];
  assert.ok(locked.includes('repository.json') && locked.includes('keys/first.json'));
  assert.ok(locked.includes(`snapshots/${second.snapshot}`));
  assert.ok(locked.some(name => name.startsWith(`packs/${second.snapshot}/`)));
  assert.ok(!locked.some(name => name.includes(first.snapshot)));

  // Those that others have listed already are marked there; what was stored since is locked too, and nothing is added.
  clock.pass(5 * DAY_MS + 1);
  const listed = await PackCatalog.list(clock);
  const third = await smallBackup(repository, { a: 'three' });
  const { size } = listed;
  clock.until.clear();
  await keepLocks(repository, [second.snapshot, third.snapshot], listed);
  for (const [session, number] of [...second.packs, ...third.packs])
    assert.ok(clock.until.has(`packs/${packName(session, number)}`));
  assert.ok(![...clock.until.keys()].some(name => name.includes(first.snapshot)));
  assert.deepEqual([listed.size, clock.until.size], [size, locked.length + 1 + third.packs.length]);

  clock.pass(4 * DAY_MS);
  assert.equal(await keepLocks(repository, [second.snapshot]), 0);
  clock.pass(2 * DAY_MS);
  assert.equal(await keepLocks(repository, [second.snapshot]), locked.length);
  const left = clock.until.get('repository.json')!.getTime() - (await clock.now()).getTime();
  assert.ok(left > 19.9 * DAY_MS);
});

test('a record of locks that was damaged stops nobody: everything is locked anew', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-locks-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new LockingStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  const repository = await Repository.create(clock, secret, START);
  const { snapshot } = await smallBackup(repository, { a: 'one' });
  repository.policy = { storageClass: null, lock: { mode: 'governance', forMs: 20 * DAY_MS } };
  const extended = await keepLocks(repository, [snapshot]);
  const records = () => Array.fromAsync(clock.list('locked/'));
  const { name } = (await records())[0]!;
  for (const bytes of [Buffer.alloc(0), Buffer.from('rubbish'), (await clock.get(name)).subarray(0, 30)]) {
    for (const { name } of await records()) await clock.put(name, [bytes]);
    assert.equal(await keepLocks(repository, [snapshot]), extended);
    assert.equal((await records()).length, 1);
    assert.equal(await keepLocks(repository, [snapshot]), 0);
  }
});
