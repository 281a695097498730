import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { SILENT } from '../../../src/base/progress.ts';
import { lookForDamage } from '../../../src/operations/heal/damage.ts';
import { type HealResult, heal } from '../../../src/operations/heal/heal.ts';
import type { RepositoryFailure } from '../../../src/operations/open/snapshots.ts';
import type { RepairResult } from '../../../src/operations/repair/outcome.ts';
import { repair } from '../../../src/operations/repair/repair.ts';
import { verify } from '../../../src/operations/verify/verify.ts';
import { packName } from '../../../src/repository/format/packName.ts';
import { placeHold } from '../../../src/repository/guards/holds.ts';
import type { Operation } from './operation.ts';
import type { Place, SweepSite } from './site.ts';

const request = () =>
  ({
    ...{ jobs: 1, version: 'sweep', dryRun: false, reporter: SILENT },
    ...{ signal: new AbortController().signal, confirm: async () => true },
  }) as const;

/** What the command would end with as a failure is thrown. */
function throwFirst(
  failures: readonly RepositoryFailure[],
  done: readonly { error: Error | null; state: string }[],
): void {
  for (const { error } of [...failures, ...done]) if (error) throw error;
  for (const { state } of done) assert.ok(state !== 'lost' && state !== 'failed', JSON.stringify(done));
}

/** A snapshot of which a pack is hurt in its middle, and one whose manifest is cut; the archive has both whole. */
function healing(name: string, faulty: Place, make: () => Promise<SweepSite>): Operation<HealResult> {
  return {
    name,
    faulty,
    every: 8,
    async prepare() {
      const site = await make();
      const [first, second] = await site.whole('main');
      await hurtPack(site, first!);
      await truncate(site.path(`main/snapshots/${second}`), 40);
      await record(site);
      return site;
    },
    async run(site) {
      const result = await heal({ ...request(), strategy: await site.strategy(), given: [], from: null });
      throwFirst(result.failures, result.snapshots);
      return result;
    },
    async holds(site, { snapshots }, saw) {
      for (const { state } of snapshots) assert.equal(state, 'healed');
      if (saw) await cured(site);
    },
  };
}

/**
 * One snapshot needs a pack that has lost its end, and one a pack that is hurt in its middle; a hold is damaged. The archive
 * has both snapshots.
 */
function repairing(make: () => Promise<SweepSite>): Operation<RepairResult> {
  return {
    name: 'repair',
    faulty: 'main',
    every: 20,
    async prepare() {
      const site = await make();
      const [first, second] = await site.whole('main');
      const hold = { reason: 'a test', until: null, by: 'nobody' };
      await placeHold(await site.open(), first!, hold, { tries: 1, pause: async () => {} });
      const [held] = await site.objects('main', 'holds');
      await truncate(held!, 20);
      const path = await packOf(site, first!);
      await truncate(path, (await readFile(path)).length - 30);
      await hurtPack(site, second!);
      await record(site);
      return site;
    },
    async run(site) {
      const request_ = { ...request(), strategy: await site.strategy(), repository: 'main' };
      const result = await repair({ ...request_, forgetLost: false, id: null });
      throwFirst(result.failures, [...result.objects, ...result.snapshots]);
      return result;
    },
    async holds(site, { snapshots }, saw) {
      for (const { state } of snapshots) assert.ok(state === 'rebuilt' || state === 'healed', state);
      if (saw) await cured(site);
      assert.equal((await site.objects('main', 'holds')).length, 1, 'one hold');
    },
  };
}

export function mendings(make: () => Promise<SweepSite>): Operation<never>[] {
  const operations = [
    healing('heal', 'main', make),
    healing('heal-source', 'archive', make),
    repairing(make),
  ];
  return operations as Operation<never>[];
}

/** The first pack of a snapshot's own session. */
async function packOf(site: SweepSite, snapshot: string): Promise<string> {
  const { packs } = await (await site.open()).manifest(snapshot);
  const [session, number] = packs.find(([of]) => of === snapshot)!;
  return site.path(`main/packs/${packName(session, number)}`);
}

async function hurtPack(site: SweepSite, snapshot: string): Promise<void> {
  const path = await packOf(site, snapshot);
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 0x40;
  await writeFile(path, bytes);
}

/** Lets a verify find all the damage there is; what it hurts need not be whole until it is cured. */
async function record(site: SweepSite): Promise<void> {
  await verify({ ...request(), strategy: await site.strategy(), given: [], all: true });
  const sick = await damaged(site);
  assert.ok(sick.length >= 1);
  for (const name of sick) site.sick.add(name);
}

async function damaged(site: SweepSite): Promise<string[]> {
  const { sick } = await lookForDamage({ repository: await site.open() });
  return sick.map(each => each.name);
}

/** Every snapshot is there once, and is whole. */
async function cured(site: SweepSite): Promise<void> {
  site.sick.clear();
  assert.deepEqual(await damaged(site), []);
  assert.deepEqual((await site.whole('main')).sort(), [...site.known.keys()].sort(), 'each is there once');
}
