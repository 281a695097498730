import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../repository/manifest.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import { oldestFirst, Spending } from './budget.ts';
import { PackRoster } from './roster.ts';

const [ONE, TWO] = ['20261121-020000001-00000001', '20261121-020000002-00000002'];

function manifest(snapshot: string, packs: Manifest['packs']): Manifest {
  const sessions = { [ONE]: '1'.repeat(32), [TWO]: '2'.repeat(32) };
  return { snapshot, database: 'shop', sessions, epochs: { [TWO]: 1 }, packs } as unknown as Manifest;
}

function roster(): PackRoster {
  const made = new PackRoster();
  made.add(manifest(ONE, [[ONE, 1, 100], [ONE, 3, 300]])); // biome-ignore format: packs
  made.add(manifest(TWO, [[ONE, 3, 300], [TWO, 1, 50], [ONE, 2, 200]])); // biome-ignore format: packs
  return made;
}

test('each pack is there once, as manifests describe it, with the snapshots that need it', () => {
  const { packs } = roster();
  assert.equal(packs.size, 4);
  assert.deepEqual(roster().pack(packs.find(ONE, 3)), {
    ...{ session: ONE, number: 3, salt: '1'.repeat(32), epoch: 0, sizeBytes: 300 },
  });
  assert.deepEqual(roster().pack(packs.find(TWO, 1)), {
    ...{ session: TWO, number: 1, salt: '2'.repeat(32), epoch: 1, sizeBytes: 50 },
  });
  assert.deepEqual(roster().needing(ONE, 3), [ONE, TWO]);
  assert.deepEqual(roster().needing(ONE, 2), [TWO]);
  assert.deepEqual(roster().needing(ONE, 9), []);
  assert.ok(roster().has(ONE, 2) && !roster().has(TWO, 2));
  assert.ok(roster().knows(TWO) && !roster().knows('other'));
});

test('coverage goes by bytes, the oldest check and damage', () => {
  const checks = new PackChecks();
  checks.add({ session: ONE, number: 1, code: null, whole: true }, 1000);
  checks.add({ session: ONE, number: 3, code: null, whole: true }, 3000);
  checks.add({ session: TWO, number: 1, code: 'SEAL_BROKEN', whole: true }, 3000);
  const told = { database: 'shop', repository: 'main' };
  assert.deepEqual(roster().coverage('main', checks, new Date(2000)), [
    { snapshot: ONE, ...told, percent: 75, oldest: new Date(1000).toISOString(), damaged: 0 },
    { snapshot: TWO, ...told, percent: 54.5, oldest: null, damaged: 1 },
  ]);
});

test('packs are checked that were not for longest, within what may be spent', () => {
  const checks = new PackChecks();
  checks.add({ session: ONE, number: 1, code: null, whole: true }, 3000);
  checks.add({ session: ONE, number: 3, code: null, whole: true }, 1000);
  checks.add({ session: ONE, number: 2, code: null, whole: true }, 2000);
  const jobs = (bytes: number) => {
    const spending = new Spending({ bytes });
    spending.share(0);
    return [...oldestFirst(roster(), checks, spending)].map(({ session, number }) => [session, number]);
  };
  const all = [[TWO, 1], [ONE, 3], [ONE, 2], [ONE, 1]]; // biome-ignore format: packs
  assert.deepEqual(jobs(10_000), all);
  assert.deepEqual(jobs(350), all.slice(0, 2));
  assert.deepEqual(jobs(1), all.slice(0, 1));
});
