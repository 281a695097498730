import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { SILENT } from '../../../src/base/progress.ts';
import { type PruneResult, prune } from '../../../src/operations/prune/prune.ts';
import { planCollection } from '../../../src/repository/collect/collectionPlan.ts';
import { planCompaction } from '../../../src/repository/collect/compactionPlan.ts';
import { readHoldings } from '../../../src/repository/collect/contents.ts';
import { packName } from '../../../src/repository/format/packName.ts';
import { placeHold, readHolds } from '../../../src/repository/guards/holds.ts';
import { newSessionId } from '../../../src/repository/manifest.ts';
import { announce } from '../../../src/repository/rewrite/compactions.ts';
import { type Blocks, smallBackup } from '../../support/smallBackup.ts';
import type { Operation } from './operation.ts';
import { SweepSite } from './site.ts';

const MAX_DEAD = 0.5;
/** Pieces of the first snapshot: more than a pack of bytes that don't compress, of which most dies with it. */
const PIECES = 720;
/**
 * Every so many-th of them the others have too, so that both packs are needed in part. Where pieces are cut hangs on the
 * repository’s secret: of one in three no chunk is found again, and the second pack has sixteen.
 */
const SHARED = 10;
/** Prunes, each a day after the other, after which nothing must be left that is not needed. */
const DAYS = 3;

interface Pruned {
  result: PruneResult;
  again: boolean;
  /** Snapshots that got a revision, and packs that no snapshot of before refers to any more, as the storage shows it. */
  revised: number;
  emptied: number;
  gone: number;
}

/**
 * Empties packs of which most is dead, while another machine takes a backup that shares what is being moved. One snapshot is
 * held; a compaction that was killed has left what it had announced.
 */
export const COMPACT: Operation<Pruned> = {
  name: 'compact',
  every: 5,
  faulty: 'main',
  async prepare() {
    const site = await SweepSite.make('none', 'postgres://nobody@127.0.0.1/none');
    const repository = await site.open();
    const { snapshot: first } = await smallBackup(repository, blocksOf(0, 1));
    const later: string[] = [];
    for (let i = 1; i <= 3; i++) later.push((await smallBackup(repository, blocksOf(i, SHARED))).snapshot);
    await repository.forget(first);
    const hold = { reason: 'a test', until: null, by: 'nobody' };
    await placeHold(repository, later[1]!, hold, { tries: 1, pause: async () => {} });
    await announce(repository, newSessionId(new Date()), [[later[0]!, 1], [later[2]!, 1]]); // biome-ignore format: rows
    await site.learn();
    return site;
  },
  run: pruned,
  async holds(site, { result, again, revised, emptied, gone }, saw) {
    const { compacted, freed } = result.repositories[0]!;
    assert.deepEqual(compacted.faults, []);
    assert.equal(compacted.snapshots, revised, 'snapshots revised as reported');
    assert.equal(freed.packs, gone, 'packs freed as reported');
    // Of a snapshot that it wasn't shown it can't know what that needs.
    if (saw)
      assert.ok(
        compacted.packs <= emptied,
        `${compacted.packs} packs emptied as reported, ${emptied} in fact`,
      );
    if (saw && !again) assert.ok(compacted.packs === 2 && revised === 3, JSON.stringify(compacted));
    const repository = await site.open();
    const holds = await readHolds(repository, await repository.storage.now());
    assert.equal(holds.size, 1, 'the hold is there');
    if (again) await nothingLeft(site);
  },
};

/** What every snapshot has, and what only this one has. */
function blocksOf(number: number, every: number): Blocks {
  const pieces = Array.from({ length: PIECES }, (_, i) => i).filter(i => i % every === 0);
  const own = every === 1 ? [] : [`only in ${number}`, `and ${number}`];
  return { rows: [...pieces.map(i => `piece ${i}`), ...own].join('|'), small: 'always the same' };
}

async function pruned(site: SweepSite, again: boolean): Promise<Pruned> {
  if (again) await site.age('main', 'condemned', 25);
  const writer = await beginBackup(site);
  const before = await look(site);
  let result: PruneResult;
  try {
    result = await pruneOnce(site);
  } finally {
    await writer.finish();
  }
  const after = await look(site);
  const written = after.revisions.filter(name => !before.revisions.includes(name));
  const mine = await packsOfSnapshots(site, id => before.snapshots.includes(id));
  return {
    ...{ result, again, revised: written.length },
    emptied: before.needed.filter(name => !mine.includes(name)).length,
    gone: before.packs.filter(name => !after.packs.includes(name)).length,
  };
}

function pruneOnce(site: SweepSite): Promise<PruneResult> {
  return site.strategy().then(strategy =>
    prune({
      ...{ strategy, dryRun: false, maxDead: MAX_DEAD, reporter: SILENT },
      ...{ confirm: async () => true, signal: new AbortController().signal },
    }),
  );
}

/** Another machine, which nothing happens to: it has found what it shares before, and commits its snapshot after. */
async function beginBackup(site: SweepSite): Promise<{ finish(): Promise<void> }> {
  const blocks = blocksOf(randomBytes(4).readUInt32LE(), SHARED);
  site.captured.add(JSON.stringify(blocks));
  const repository = await site.open();
  const found = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const running = smallBackup(repository, blocks, {
    async previousFound() {
      found.resolve();
      await goOn.promise;
    },
  });
  await Promise.race([found.promise, running]);
  return {
    async finish() {
      goOn.resolve();
      const { snapshot } = await running;
      assert.ok((await repository.snapshotNames()).includes(snapshot), 'the backup beside it is listed');
    },
  };
}

async function look(site: SweepSite) {
  const repository = await site.open();
  const revisions: string[] = [];
  // Void ones have no byte.
  for (const file of await site.objects('main', 'revisions'))
    if ((await stat(file)).size > 0) revisions.push(file);
  return {
    revisions,
    packs: await site.objects('main', 'packs'),
    snapshots: await repository.snapshotNames(),
    needed: await packsOfSnapshots(site, () => true),
  };
}

async function packsOfSnapshots(site: SweepSite, wanted: (name: string) => boolean): Promise<string[]> {
  const repository = await site.open();
  const names = (await repository.snapshotNames()).filter(wanted);
  const manifests = await Array.fromAsync(repository.read(names));
  return [...new Set(manifests.flatMap(each => each.packs.map(([id, number]) => packName(id, number))))];
}

/** A few days and prunes later everything is there that is needed, and nothing else. */
async function nothingLeft(site: SweepSite): Promise<void> {
  for (let day = 0; day < DAYS; day++) {
    await site.age('main', 'condemned', 25);
    await site.age('main', 'leases', 1);
    await pruneOnce(site);
  }
  await site.nothingLost();
  const repository = await site.open();
  const holdings = await readHoldings(repository);
  const plan = await planCollection(repository, holdings);
  const left = { condemn: plan.condemn.length, free: plan.free.length, waiting: plan.waiting.packs };
  assert.deepEqual(left, { condemn: 0, free: 0, waiting: 0 });
  const { condemned, compacting, live, forgotten, deadLeases } = holdings;
  const rest = [condemned.length, compacting.size, live.length, forgotten.length, deadLeases.length];
  assert.deepEqual(rest, [0, 0, 0, 0, 0], 'records, compactions, leases, forgotten manifests, ended leases');
  const stored = (await site.objects('main', 'packs')).length;
  assert.equal(stored, (await packsOfSnapshots(site, () => true)).length, 'packs stored, and needed');
  const worth = (await planCompaction(repository, holdings, { maxDead: MAX_DEAD })).filter(each => each.pays);
  assert.deepEqual(worth, []);
}
