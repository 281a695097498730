import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { smallBackup } from '../../../tests/support/smallBackup.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { collect } from '../collect/collect.ts';
import { GRACE_MS, planCollection } from '../collect/collectionPlan.ts';
import { readHoldings } from '../collect/contents.ts';
import { packName } from '../format/packName.ts';
import { LEASE_TTL_MS, Lease } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import type { Manifest } from '../manifest.ts';
import { Repository } from '../repository.ts';
import { findUnfinished, listUnfinished, UNFINISHED_DAYS, writeUnfinished } from './unfinished.ts';

const START = new Date('2026-11-21T02:00:00Z');
const DAY_MS = 24 * 3600 * 1000;

async function fresh(t: TestContext): Promise<{ repository: Repository; clock: ClockedStorage }> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-unfinished-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new ClockedStorage(new LocalStorage(folder), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock };
}

async function prune(repository: Repository): Promise<void> {
  const lease = await Lease.takePrune(repository.storage);
  try {
    await collect(repository, await planCollection(repository, await readHoldings(repository)), lease);
  } finally {
    await lease.release();
  }
}

async function packs(repository: Repository, session: string): Promise<number> {
  let count = 0;
  for await (const _ of repository.storage.list(`packs/${session}/`)) count++;
  return count;
}

/** A backup that was cut off behind its last pack, having said what it stored. */
async function cutOff(repository: Repository, clock: ClockedStorage, blocks: Record<string, string>) {
  const cut = new Error('cut off');
  let manifest: Manifest | undefined;
  const commit = repository.commit.bind(repository);
  repository.commit = async given => {
    manifest = given;
    throw cut;
  };
  await assert.rejects(smallBackup(repository, blocks), cut);
  repository.commit = commit;
  const { snapshot, database, started, sessions, packs } = manifest!;
  const parts = [{ group: 't', from: 0, to: null, rows: 1, bytes: 1, facts: {}, list: '' }];
  const content = { database, started, sessions, packs, parts } as const;
  await writeUnfinished(repository, snapshot, 1, content);
  clock.pass(LEASE_TTL_MS + 1);
  return manifest!;
}

test('what was cut off is found, replaced by what was said later, and passed over where packs are missing', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot, database, sessions, packs } = await cutOff(repository, clock, { a: 'one' });
  assert.deepEqual(await findUnfinished(repository, 'another', 'x'), []);
  assert.deepEqual(await findUnfinished(repository, database, snapshot), [], 'not by itself');
  const [found] = await findUnfinished(repository, database, 'x');
  await writeUnfinished(repository, snapshot, 2, { ...found!, parts: [...found!.parts, ...found!.parts] });
  const [later] = await findUnfinished(repository, database, 'x');
  assert.deepEqual([later!.parts.length, later!.sessions, later!.packs], [2, sessions, packs]);
  assert.deepEqual(
    (await listUnfinished(repository)).map(each => each.names),
    [[`unfinished/${snapshot}/000002`]],
  );
  const [session, number] = packs[0]!;
  await repository.storage.remove(`packs/${packName(session, number)}`);
  assert.deepEqual(await findUnfinished(repository, database, 'x'), []);
});

test('what was cut off is kept until a snapshot was begun after it, then goes in the ordinary way', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await cutOff(repository, clock, { a: 'one', b: 'two' });
  const count = await packs(repository, snapshot);
  assert.ok(count > 0);
  for (let day = 0; day < 3; day++) {
    clock.pass(DAY_MS);
    await prune(repository);
  }
  assert.equal(await packs(repository, snapshot), count);
  clock.pass(1000);
  await smallBackup(repository, { a: 'other' });
  await prune(repository);
  assert.deepEqual(await listUnfinished(repository), []);
  assert.equal(await packs(repository, snapshot), count, 'a backup may have found them a moment ago');
  clock.pass(GRACE_MS);
  await prune(repository);
  assert.equal(await packs(repository, snapshot), count, 'they are condemned only now');
  clock.pass(GRACE_MS + 1);
  await prune(repository);
  assert.equal(await packs(repository, snapshot), 0);
});

test('what nobody went on from goes after some days; what is running stays', async t => {
  const { repository, clock } = await fresh(t);
  const { snapshot } = await cutOff(repository, clock, { a: 'one' });
  clock.pass((UNFINISHED_DAYS + 1) * DAY_MS);
  const lease = await Lease.take(repository.storage, snapshot, 'backup');
  await prune(repository);
  assert.equal((await listUnfinished(repository)).length, 1);
  await lease.release();
  clock.pass(LEASE_TTL_MS + 1);
  await prune(repository);
  assert.deepEqual(await listUnfinished(repository), []);
});
