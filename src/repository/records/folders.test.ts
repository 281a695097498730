/** What each folder of records makes of one that it can't read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalStorage } from '../../storage/local/storage.ts';
import type { Locks } from '../../storage/storage.ts';
import { readCondemned } from '../collect/condemned.ts';
import { readHolds } from '../guards/holds.ts';
import { keepLocks } from '../guards/lockKeeping.ts';
import { newKeyText } from '../keys/keyText.ts';
import { newSessionId } from '../manifest.ts';
import { PackCatalog } from '../packs/packCatalog.ts';
import { PackChecks } from '../packs/packChecks.ts';
import { findDamagedHolds } from '../repair/damagedHolds.ts';
import { Repository } from '../repository.ts';
import { endDeadCompactions } from '../rewrite/compactions.ts';
import { newFolder } from '../testing/sample.ts';
import { findUnfinished } from '../write/unfinished.ts';

const NOW = new Date('2026-11-21T02:00:00Z');
const ID = newSessionId(NOW);

class LockingStorage extends LocalStorage {
  readonly locks: Locks = { until: async () => undefined, extend: async () => {} };
}

async function fresh(): Promise<Repository> {
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  const repository = await Repository.create(new LockingStorage(newFolder()), secret, NOW);
  repository.policy = { storageClass: null, lock: { mode: 'governance', forMs: 1000 } };
  return repository;
}

/** How it is read, and what comes of a damaged one. */
const FOLDERS: Record<string, { read(repository: Repository): Promise<unknown>; damaged: unknown }> = {
  [`checks/${ID}`]: {
    read: async repository => (await PackChecks.read(repository)).damages(),
    damaged: [],
  },
  [`condemned/${ID}`]: {
    read: async repository =>
      (await readCondemned(repository, new PackCatalog())).map(({ places }) => places.length),
    damaged: [0],
  },
  [`compactions/${ID}`]: { read: endDeadCompactions, damaged: undefined },
  [`locked/${ID}`]: { read: repository => keepLocks(repository, []), damaged: 2 },
  [`unfinished/${ID}/000001`]: { read: repository => findUnfinished(repository, 'any', 'x'), damaged: [] },
};

for (const [name, { read, damaged }] of Object.entries(FOLDERS)) {
  test(`${name.split('/', 1)[0]}: one of a later version is FORMAT_TOO_NEW, a damaged one stops nobody`, async () => {
    const repository = await fresh();
    const { storage, keys } = repository;
    await storage.put(name, [keys.seal(name, { format: 2 })]);
    await assert.rejects(read(repository), { code: 'FORMAT_TOO_NEW' });
    await storage.put(name, [Buffer.from('rubbish')]);
    assert.deepEqual(await read(repository), damaged);
  });
}

test('holds: one that can’t be read holds, whatever the reason; only a damaged one is to be repaired', async () => {
  const repository = await fresh();
  const { storage, keys } = repository;
  const [newer, damaged] = [`holds/${ID}/${newSessionId(NOW)}`, `holds/${ID}/${newSessionId(NOW)}`];
  await storage.put(newer, [keys.seal(newer, { format: 2 })]);
  await storage.put(damaged, [Buffer.from('rubbish')]);
  const holds = (await readHolds(repository, NOW)).get(ID)!;
  assert.deepEqual(
    holds.map(({ reason, expired }) => ({ reason, expired })),
    Array(2).fill({ reason: null, expired: false }),
  );
  assert.deepEqual(await findDamagedHolds(repository), [{ snapshot: ID, id: damaged.split('/')[2] }]);
});
