import { SILENT } from '../../src/base/progress.ts';
import type { Context } from '../../src/cli/command.ts';
import { command as listCommand } from '../../src/cli/commands/list.ts';
import { checkNewest } from '../../src/operations/check/checkCopies.ts';
import { copy } from '../../src/operations/copy/copy.ts';
import { heal } from '../../src/operations/heal/heal.ts';
import { hold } from '../../src/operations/hold.ts';
import { listKeys } from '../../src/operations/key/list.ts';
import { openRepository } from '../../src/operations/open/open.ts';
import { openPlaces, readGiven } from '../../src/operations/open/snapshots.ts';
import { isWhole } from '../../src/operations/open/wholeness.ts';
import { forget } from '../../src/operations/prune/forget.ts';
import { type PruneResult, prune } from '../../src/operations/prune/prune.ts';
import { show } from '../../src/operations/show/show.ts';
import { verify } from '../../src/operations/verify/verify.ts';
import { Lease } from '../../src/repository/guards/lease.ts';
import { keepLocks } from '../../src/repository/guards/lockKeeping.ts';
import { newSessionId } from '../../src/repository/manifest.ts';
import { recordLooks } from '../../src/repository/packs/packChecks.ts';
import { WritingSession } from '../../src/repository/write/session.ts';
import type { Strategy } from '../../src/strategy/spec.ts';
import type { Site, SiteOptions } from './site.ts';
import { databaseName, REAL_DATABASE } from './world.ts';

/** An operation as the command carries it out, down to the requests; of a backup and a restore what comes before the bytes. */
export interface Operation {
  name: string;
  /** What the site must be like. */
  site?: Pick<SiteOptions, 'lacks' | 'locking'>;
  /** Throws where it did not do what its name says. What it returns is worth telling. */
  run(site: Site, folder: string): Promise<Record<string, number>>;
  /** It goes over every pack there is, one by one: too slow for small checks. */
  slow?: boolean;
}

const signal = new AbortController().signal;
const DAY_MS = 24 * 3_600_000;

async function list(site: Site, args: unknown[], options: object, cache?: string): Promise<number> {
  let lines = 0;
  const context = {
    output: {
      json: false,
      result: (_: object, text: () => Iterable<string>) => {
        for (const _line of text()) lines++;
      },
      note: (line: string) => {
        throw new Error(line);
      },
    },
    strategy: () => site.strategy({ cache }),
  } as unknown as Context;
  await listCommand.run(context, args, { repository: 'main', ...options });
  return lines - 1;
}

async function look(strategy: Strategy, database: string): Promise<{ found: number }> {
  const repository = await openRepository(strategy, 'main');
  const { storage } = repository;
  const started = await storage.now();
  const id = newSessionId(started);
  const lease = await Lease.take(storage, id, 'backup');
  const session = await WritingSession.begin({
    ...{ repository, id, database, started, isWhole, jobs: 2, level: 2 },
  });
  await lease.hold();
  await lease.release();
  return { found: session.previous ? 1 : 0 };
}

async function pruned(site: Site, dryRun: boolean): Promise<PruneResult['repositories'][number]> {
  const { repositories } = await prune({
    ...{ strategy: await onlyMain(site), dryRun, maxDead: 0.5, reporter: SILENT, signal },
    confirm: async () => true,
  });
  return repositories[0]!;
}

async function onlyMain(site: Site): Promise<Strategy> {
  const strategy = await site.strategy();
  strategy.repositories.delete('archive');
  return strategy;
}

async function copying(site: Site): Promise<Record<string, number>> {
  const { snapshots, there } = await copy({
    ...{ strategy: await site.strategy(), from: 'main', to: 'archive', dryRun: true, jobs: 1 },
    ...{ given: [], database: null, all: false, version: 'simulated', reporter: SILENT, signal },
  });
  return { missing: snapshots.length, there: there! };
}

export const OPERATIONS: readonly Operation[] = [
  { name: 'list', run: async site => ({ listed: await list(site, [], {}) }) },
  {
    name: 'list DATABASE --last 3',
    run: async site => ({ listed: await list(site, [databaseName(7)], { last: '3' }) }),
  },
  {
    name: 'show',
    run: async site => {
      const found = await show(
        await site.strategy(),
        REAL_DATABASE,
        { repository: 'main', note() {} },
        signal,
      );
      return { tables: found.tables.length };
    },
  },
  { name: 'backup, what it goes on from', run: async site => look(await site.strategy(), REAL_DATABASE) },
  { name: 'backup, first of a database', run: async site => look(await site.strategy(), 'new') },
  {
    name: 'restore, finding the newest',
    run: async site => {
      const where = { repository: 'main', note() {} };
      return readGiven(await site.strategy(), REAL_DATABASE, where, async ({ opened }) => ({
        parts: opened.parts.length,
      }));
    },
  },
  {
    name: 'check, how new what is stored is',
    run: async site => {
      const strategy = await onlyMain(site);
      return { findings: (await checkNewest(strategy, await openPlaces(strategy))).length };
    },
  },
  {
    name: 'verify --budget, one pack',
    run: async site => {
      const result = await verify({
        ...{ strategy: await site.strategy({ local: true }), repository: 'main', given: [], all: false },
        ...{ budget: { bytes: 1 }, reporter: SILENT, signal },
      });
      if (!result.ok) throw new Error(JSON.stringify(result.faults.slice(0, 3)));
      return { packs: result.packs.all, checked: result.packs.checked };
    },
  },
  {
    name: 'hold',
    run: async site => {
      const given = site.world.session(0);
      const placed = await hold({
        strategy: await onlyMain(site),
        given,
        reason: 'a test',
        until: null,
        signal,
      });
      return { holds: placed.holds.length };
    },
  },
  { name: 'forget, one snapshot', run: site => forgetOne(site, false) },
  { name: 'forget --dry-run', run: site => forgetOne(site, true) },
  { name: 'prune --dry-run', run: async site => ({ forgets: (await pruned(site, true)).forgotten.length }) },
  {
    name: 'prune',
    run: async site => {
      const { forgotten, condemned } = await pruned(site, false);
      return { forgotten: forgotten.length, condemned: condemned.packs };
    },
  },
  {
    name: 'prune, a day later',
    async run(site) {
      await pruned(site, false);
      countAnew(site);
      site.main.pass(DAY_MS + 1);
      return { freed: (await pruned(site, false)).freed.packs };
    },
  },
  {
    name: 'prune, locking anew what is kept',
    site: { locking: true },
    slow: true,
    async run(site) {
      const repository = await openRepository(await site.strategy(), 'main');
      repository.policy = { storageClass: null, lock: { mode: 'governance', forMs: 40 * DAY_MS } };
      return { locked: await keepLocks(repository, await repository.snapshotNames()) };
    },
  },
  {
    name: 'heal --dry-run, one pack',
    site: { lacks: 50 },
    async run(site) {
      const strategy = await site.strategy();
      const repository = await openRepository(strategy, 'main');
      const [session, number] = (await repository.manifest(site.world.session(0))).packs.at(-1)!;
      await recordLooks(repository, [{ session, number, code: 'SEGMENT_DAMAGED', whole: true }]);
      countAnew(site);
      const { snapshots } = await heal({
        ...{ strategy, given: [], from: null, dryRun: true, jobs: 1, version: 'simulated' },
        ...{ reporter: SILENT, signal, confirm: async () => false },
      });
      if (snapshots.some(each => each.state !== 'pending')) throw new Error(JSON.stringify(snapshots));
      return { damaged: snapshots.length };
    },
  },
  { name: 'copy --dry-run, 50 new', site: { lacks: 50 }, run: copying },
  { name: 'copy --dry-run, all new', run: copying },
  {
    name: 'key list',
    run: async site => ({ slots: (await listKeys(await site.strategy(), 'main')).slots.length }),
  },
];

/** What came before is not measured. */
function countAnew(site: Site): void {
  for (const each of Object.values(site.requests))
    Object.assign(each, new (each.constructor as new () => object)());
  site.time.passedMs = 0;
}

async function forgetOne(site: Site, dryRun: boolean): Promise<Record<string, number>> {
  const result = await forget({
    ...{ strategy: await onlyMain(site), given: [site.world.session(0)], evenLast: false, dryRun, signal },
    confirm: async () => true,
  });
  return { forgotten: result.forgotten.length };
}
