import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClockedStorage } from '../../../tests/support/clockedStorage.ts';
import { type Blocks, readBack, smallBackup } from '../../../tests/support/smallBackup.ts';
import { TidemarkError } from '../../base/errors.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { packName } from '../format/packName.ts';
import { Lease } from '../guards/lease.ts';
import { newKeyText } from '../keys/keyText.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { hasAllPacks } from '../newest.ts';
import { Repository } from '../repository.ts';
import { endDeadCompactions } from '../rewrite/compactions.ts';
import { newFolder } from '../testing/sample.ts';
import { collect } from './collect.ts';
import { GRACE_MS, planCollection } from './collectionPlan.ts';
import { type Compacted, compact } from './compact.ts';
import { type CompactionPlan, planCompaction } from './compactionPlan.ts';
import { readHoldings } from './contents.ts';

const START = new Date('2026-11-21T02:00:00Z');
const HOUR_MS = 3600 * 1000;
const RULES = { maxDead: 0.4, freedBytesMin: 0 };

interface Site {
  repository: Repository;
  clock: ClockedStorage;
  /** What each snapshot holds. */
  contents: Map<string, Blocks>;
}

async function fresh(_t: TestContext): Promise<Site> {
  const clock = new ClockedStorage(new LocalStorage(newFolder()), START);
  const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
  return { repository: await Repository.create(clock, secret, START), clock, contents: new Map() };
}

async function backup({ repository, clock, contents }: Site, blocks: Blocks): Promise<string> {
  clock.pass(HOUR_MS);
  const manifest = await smallBackup(repository, blocks);
  contents.set(manifestName(manifest), blocks);
  return manifestName(manifest);
}

async function forget({ repository, contents }: Site, name: string): Promise<void> {
  await repository.forget(name);
  contents.delete(name);
}

/** A text of pieces, of which some are others in each generation. */
const pieces = (count: number, changed: number, generation: number): string =>
  Array.from({ length: count }, (_, i) => (i < changed ? `p${i} of ${generation}` : `p${i}`)).join('|');

async function underLease<T>({ clock }: Site, work: (lease: Lease) => Promise<T>): Promise<T> {
  const lease = await Lease.takePrune(clock);
  try {
    return await work(lease);
  } finally {
    await lease.release();
  }
}

/** A whole prune: ends the dead, collects, compacts, condemns what was emptied. */
async function prune(site: Site): Promise<{ plans: CompactionPlan[]; done: Compacted[] }> {
  const { repository } = site;
  return underLease(site, async lease => {
    await endDeadCompactions(repository);
    const holdings = await readHoldings(repository);
    await collect(repository, await planCollection(repository, holdings), lease);
    const plans = await planCompaction(repository, holdings, RULES);
    const done: Compacted[] = [];
    for (const plan of plans)
      if (plan.pays) done.push(await compact(repository, plan, { rules: RULES, lease }));
    if (done.length > 0)
      await collect(
        repository,
        await planCollection(repository, await readHoldings(repository, holdings)),
        lease,
      );
    return { plans, done };
  });
}

async function names({ clock }: Site, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of clock.list(prefix)) found.push(name);
  return found.sort();
}

/** Every snapshot that is listed is whole, and none is missing. */
async function allWhole({ repository, contents }: Site): Promise<Manifest[]> {
  const manifests = await repository.manifests();
  assert.deepEqual(manifests.map(manifestName), [...contents.keys()].sort());
  for (const manifest of manifests) {
    assert.deepEqual(await readBack(repository, manifest), contents.get(manifestName(manifest)));
    assert.ok(await hasAllPacks(repository, manifest));
  }
  return manifests;
}

const packsOf = (manifests: Manifest[]): string[] =>
  [...new Set(manifests.flatMap(each => each.packs.map(([id, n]) => `packs/${packName(id, n)}`)))].sort();

/** Five snapshots of which each has most of its rows from the first, and the first is forgotten. */
async function halfDead(t: TestContext): Promise<Site> {
  const site = await fresh(t);
  const first = await backup(site, { a: pieces(12, 0, 0), b: 'small', c: pieces(4, 0, 0) });
  for (let i = 1; i < 5; i++) await backup(site, { a: pieces(12, 8, i), b: 'small', c: pieces(4, 0, 0) });
  await forget(site, first);
  return site;
}

test('a pack that is used in part is emptied, and freed after the grace; snapshots go on sharing', async t => {
  const site = await halfDead(t);
  const before = await site.repository.manifests();
  const { plans, done } = await prune(site);
  assert.deepEqual(
    plans.map(plan => [plan.database, plan.packs.length, plan.pays]),
    [['small', 1, true]],
  );
  assert.deepEqual([done[0]!.packs, done[0]!.snapshots, done[0]!.faults], [1, 4, []]);
  assert.ok(plans[0]!.deadBytes > plans[0]!.liveBytes);
  assert.ok(done[0]!.writtenBytes < done[0]!.bytes);
  await allWhole(site);
  // Whoever read the old manifests goes on reading.
  for (const manifest of before) await readBack(site.repository, manifest);

  site.clock.pass(GRACE_MS);
  assert.deepEqual((await prune(site)).done, []);
  const manifests = await allWhole(site);
  assert.deepEqual(await names(site, 'packs/'), packsOf(manifests));
  const [emptied] = plans[0]!.packs;
  assert.ok(!(await names(site, 'packs/')).includes(`packs/${packName(emptied![0], emptied![1])}`));
  assert.deepEqual([...(await names(site, 'condemned/')), ...(await names(site, 'compactions/'))], []);
  assert.deepEqual(await names(site, 'leases/'), []);
  // What they shared they share: the rows that are the same lie in one new pack.
  const revised = manifests.filter(manifest => manifest.revised);
  const sessions = new Set(revised.map(manifest => manifest.revised!.session));
  assert.deepEqual([revised.length, sessions.size], [4, 1]);
});

test('what was compacted is not rewritten again, whatever happens to other snapshots', async t => {
  const site = await halfDead(t);
  await prune(site);
  const before = await names(site, 'packs/');
  for (let i = 0; i < 3; i++) {
    site.clock.pass(GRACE_MS);
    const { plans, done } = await prune(site);
    assert.deepEqual([plans.length, done.length], [0, 0]);
  }
  assert.ok((await names(site, 'packs/')).every(name => before.includes(name)));
  // New backups find the moved chunks.
  const next = await backup(site, { a: pieces(12, 8, 4), b: 'small', c: pieces(4, 0, 0) });
  const manifest = await site.repository.manifest(next);
  assert.equal(manifest.packs.filter(([session]) => session === next).length, 1); // its list of parts
  await allWhole(site);
});

test('a snapshot can be compacted again and again, and forgotten', async t => {
  const site = await fresh(t);
  const kept: string[] = [];
  for (const [i, changed] of [0, 5, 20, 20, 22, 28].entries())
    kept.push(await backup(site, { a: pieces(30, changed, i), b: pieces(3, 1, i) }));
  for (const left of [4, 1]) {
    while (kept.length > left) await forget(site, kept.shift()!);
    await prune(site);
    await allWhole(site);
    site.clock.pass(GRACE_MS);
    await prune(site);
    await allWhole(site);
  }
  const [last] = await site.repository.manifests();
  assert.ok(last!.revised!.number > 1);
  // Old revisions go once they tell nothing.
  for (let i = 0; i < 3; i++) {
    site.clock.pass(GRACE_MS);
    await prune(site);
  }
  const manifests = await allWhole(site);
  const current = manifests.flatMap(({ snapshot, revised }) =>
    revised ? [`revisions/${snapshot}/${String(revised.number).padStart(8, '0')}`] : [],
  );
  assert.deepEqual(await names(site, 'revisions/'), current.sort());
  for (const name of kept) await forget(site, name);
  for (let i = 0; i < 3; i++) {
    site.clock.pass(GRACE_MS);
    await prune(site);
  }
  for (const prefix of ['packs/', 'revisions/', 'forgotten/', 'snapshots/'])
    assert.deepEqual(await names(site, prefix), []);
});

test('a snapshot that is forgotten while it is revised stays forgotten', async t => {
  const site = await halfDead(t);
  const [victim] = [...site.contents.keys()];
  const put = site.clock.put.bind(site.clock);
  site.clock.put = async (name, data, options) => {
    if (name.startsWith(`revisions/${victim}/`)) await forget(site, victim!);
    return put(name, data, options);
  };
  await prune(site);
  assert.equal((await names(site, `revisions/${victim}/`)).length, 1);
  await assert.rejects(site.repository.manifest(victim!), { code: 'OBJECT_MISSING' });
  await allWhole(site);
  for (let i = 0; i < 3; i++) {
    site.clock.pass(GRACE_MS);
    await prune(site);
  }
  const manifests = await allWhole(site);
  assert.deepEqual(await names(site, 'packs/'), packsOf(manifests));
  assert.deepEqual(await names(site, `revisions/${victim}/`), []);
});

test('a pack is emptied only if every snapshot that names it was revised', async t => {
  const site = await halfDead(t);
  const [overtaken] = [...site.contents.keys()];
  const put = site.clock.put.bind(site.clock);
  site.clock.put = async (name, data, options) => {
    if (name === `revisions/${overtaken}/00000001`) await put(name, []); // somebody was faster
    return put(name, data, options);
  };
  const { done } = await prune(site);
  assert.deepEqual([done[0]!.packs, done[0]!.bytes, done[0]!.snapshots], [0, 0, 3]);
  site.clock.put = put;
  await allWhole(site);
  site.clock.pass(GRACE_MS);
  const next = (await prune(site)).done[0]!;
  assert.deepEqual([next.packs, next.snapshots], [1, 1]);
  await allWhole(site);
});

test('a backup that runs across a compaction relies on what it found', async t => {
  const site = await halfDead(t);
  const blocks = { a: pieces(12, 8, 4), b: 'small', c: pieces(4, 2, 9) };
  let manifest: Manifest | undefined;
  const running = smallBackup(site.repository, blocks, {
    async previousFound() {
      assert.equal((await prune(site)).done.length, 1);
    },
  });
  manifest = await running;
  site.contents.set(manifestName(manifest), blocks);
  for (let i = 0; i < 4; i++) {
    await allWhole(site);
    site.clock.pass(GRACE_MS);
    await prune(site);
  }
  manifest = (await allWhole(site)).at(-1)!;
  assert.ok(manifest.revised); // the part that it still had of the old pack was moved after it
});

test('killed before each of its calls, a compaction leaves all snapshots whole, and the next goes on', async t => {
  for (let at = 0, done = false; !done; at += 1 + Math.floor(Math.random() * 4)) {
    const site = await halfDead(t);
    const cut = cutAfter(site, at);
    try {
      await prune(site);
      done = true;
    } catch (error) {
      assert.equal((error as TidemarkError).code, 'KILLED');
    }
    cut.mend();
    await allWhole(site);
    for (let i = 0; i < 4; i++) {
      site.clock.pass(GRACE_MS);
      await prune(site);
      await allWhole(site);
    }
    const manifests = await allWhole(site);
    assert.deepEqual(await names(site, 'packs/'), packsOf(manifests), `killed at call ${at}`);
    assert.equal((await site.repository.manifests()).filter(each => each.revised).length, 4);
    assert.deepEqual([...(await names(site, 'compactions/')), ...(await names(site, 'leases/'))], []);
  }
});

/** Lets so many writes and removals through, and then none. */
function cutAfter({ clock }: Site, calls: number): { mend(): void } {
  const { put, remove } = clock;
  let left = calls;
  const through = () => {
    if (left-- <= 0) throw new TidemarkError('KILLED', 'the process is no more', 'none');
  };
  clock.put = async (...given) => {
    through();
    return put.apply(clock, given);
  };
  clock.remove = async name => {
    through();
    return remove.call(clock, name);
  };
  return { mend: () => Object.assign(clock, { put, remove }) };
}

test('a compaction that lost its leases writes nothing more', async t => {
  const site = await halfDead(t);
  const put = site.clock.put.bind(site.clock);
  site.clock.put = async (name, data, options) => {
    if (name.startsWith('compactions/')) site.clock.pass(31 * 60_000);
    return put(name, data, options);
  };
  await assert.rejects(prune(site), { code: 'LEASE_LOST' });
  site.clock.put = put;
  assert.deepEqual(await names(site, 'revisions/'), []);
  await allWhole(site);
  site.clock.pass(GRACE_MS);
  assert.equal((await prune(site)).done.length, 1);
  await allWhole(site);
});

test('what is damaged is left as it is, and said', async t => {
  const site = await halfDead(t);
  const { plans } = await underLease(site, async () => ({
    plans: await planCompaction(site.repository, await readHoldings(site.repository), RULES),
  }));
  const [pack] = plans[0]!.packs;
  const name = `packs/${packName(pack![0], pack![1])}`;
  const bytes = await site.clock.get(name);
  bytes[100]! ^= 1;
  await site.clock.put(name, [bytes]);
  const { done } = await prune(site);
  assert.deepEqual(
    done.map(each => [each.packs, each.faults[0]?.code]),
    [[0, 'SEAL_BROKEN']],
  );
  const manifests = await site.repository.manifests();
  for (const manifest of manifests)
    assert.ok(manifest.packs.some(([id, n]) => id === pack![0] && n === pack![1]));
});

test('it is left alone where it frees less than it writes, or is frozen, or locked for long', async t => {
  const site = await halfDead(t);
  const planned = async (rules = RULES) =>
    planCompaction(site.repository, await readHoldings(site.repository), rules);
  assert.deepEqual(await planned({ ...RULES, maxDead: 0.9 }), []);
  assert.deepEqual(await planned({ ...RULES, freedBytesMin: 1e9 }), []);
  const frozen = { state: async () => 'frozen' as const, thaw: async () => {} };
  Object.assign(site.clock, { freezer: frozen });
  assert.deepEqual(
    (await planned()).map(plan => [plan.pays, plan.packs.length, plan.frozen]),
    [[false, 0, 1]],
  );
  const until = async () => new Date(START.getTime() + 90 * 24 * HOUR_MS);
  Object.assign(site.clock, { freezer: undefined, locks: { until, extend: async () => {} } });
  assert.deepEqual(
    (await planned()).map(plan => [plan.pays, plan.packs.length, plan.locked]),
    [[false, 0, 1]],
  );
});

test('chunks of an old epoch are moved into the new one', async t => {
  const site = await halfDead(t);
  const { keys } = site.repository;
  const masters = [...keys.ring.masters, Buffer.alloc(32, 5)];
  const newer = new Repository(
    site.clock,
    new (keys.constructor as typeof import('../keys/keys.ts').RepositoryKeys)(masters, keys.repositoryId),
  );
  const later: Site = { ...site, repository: newer };
  assert.equal((await prune(later)).done[0]!.snapshots, 4);
  const manifests = await allWhole(later);
  for (const { revised, epochs } of manifests) assert.deepEqual(epochs, { [revised!.session]: 1 });
});
