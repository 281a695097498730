import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { TidemarkError } from '../../../src/base/errors.ts';
import { SILENT } from '../../../src/base/progress.ts';
import { connectionOf, databaseOf, openRepository } from '../../../src/operations/open/open.ts';
import { openGiven } from '../../../src/operations/open/snapshots.ts';
import { restore } from '../../../src/operations/restore/restore.ts';
import { type VerifyResult, verify } from '../../../src/operations/verify/verify.ts';
import { PackChecks } from '../../../src/repository/packs/packChecks.ts';
import { query } from '../../support/databases.ts';
import type { Operation } from './operation.ts';
import { type Digest, digestOf, type SweepSite } from './site.ts';

/** The reading half of a restore: the right bytes or an error, never others or fewer. */
function readingRows(make: () => Promise<SweepSite>): Operation<Digest[]> {
  return {
    name: 'restore-reading',
    faulty: 'main',
    prepare: make,
    async run(site) {
      const repository = await openRepository(await site.strategy(), 'main');
      const digests: Digest[] = [];
      for (const id of site.known.keys()) digests.push(await digestOf(repository, id));
      return digests;
    },
    async holds(site, digests) {
      assert.deepEqual(digests, [...site.known.values()]);
    },
  };
}

interface Restored {
  /** What was restored, as the server has it. */
  sum: string;
  rows: number;
}

/** What a restore into a new database leaves on the server, whatever happens: nothing, or all of it. */
interface RestoreOptions {
  /** The strategy's database, which is the one that is stored. */
  database: string;
  /** Any database of the server, to look around from. */
  url(): Promise<string>;
  /** One value for all rows of the database at this URL. */
  sum(url: string): Promise<string>;
}

/**
 * A whole restore into a new database. Faults at what the main thread asks of the storage; the threads that load rows open
 * it for themselves.
 */
function restoring(make: () => Promise<SweepSite>, options: RestoreOptions): Operation<Restored> {
  const { database } = options;
  return {
    name: 'restore',
    faulty: 'main',
    prepare: make,
    async run(site) {
      const name = `restored_${randomBytes(6).toString('hex')}`;
      const url = await options.url();
      const there = () => databasesLike(url, name);
      try {
        const rows = await restoreInto(site, database, name);
        assert.deepEqual(await there(), [name]);
        const restored = new URL(url);
        restored.pathname = `/${name}`;
        return { rows, sum: await options.sum(restored.href) };
      } catch (error) {
        assert.deepEqual(await there(), [], 'databases that a failed restore left');
        throw error;
      } finally {
        for (const each of await there()) await query(url, `drop database "${each}" with (force)`);
      }
    },
    async holds(_site, { sum, rows }) {
      assert.ok(rows > 0);
      assert.equal(sum, await options.sum(await options.url()), 'what was restored is what was stored');
    },
  };
}

async function restoreInto(site: SweepSite, database: string, name: string): Promise<number> {
  const strategy = await site.strategy();
  const newest = [...site.known.keys()].sort().at(-1)!;
  const { opened, place } = await openGiven(strategy, newest, { repository: 'main', note: () => {} });
  const { tables } = await restore({
    ...{ snapshot: opened, storage: place.storage },
    target: { kind: 'new', name, server: await connectionOf(strategy, databaseOf(strategy, database)) },
    ...{
      tables: [],
      only: undefined,
      roles: false,
      owner: true,
      privileges: true,
      tablespaces: true,
      jobs: 1,
    },
    ...{ reporter: SILENT, signal: new AbortController().signal, confirm: async () => true },
  });
  return tables.reduce((sum, each) => sum + each.rows, 0);
}

async function databasesLike(url: string, name: string): Promise<string[]> {
  const found = await query<{ datname: string }>(
    url,
    `select datname from pg_database where datname like '${name}%'`,
  );
  return found.map(each => each.datname);
}

/**
 * Reads all there is. A fault that it reports must be the storage's; what is whole is never recorded as damaged. The threads
 * that read packs open the storage for themselves.
 */
function verifying(make: () => Promise<SweepSite>): Operation<VerifyResult> {
  return {
    name: 'verify',
    faulty: 'main',
    prepare: make,
    async run(site) {
      const request = { given: [], all: true, reporter: SILENT, signal: new AbortController().signal };
      try {
        const result = await verify({ strategy: await site.strategy(), ...request });
        const [fault] = result.faults;
        assert.equal(result.ok, fault === undefined);
        if (fault) throw new TidemarkError(fault.code, fault.message, fault.hint);
        return result;
      } finally {
        const checks = await PackChecks.read(await site.open());
        assert.ok(checks.sound, 'what is whole is recorded as damaged');
      }
    },
    async holds(site, { snapshots, packs, coverage }, saw) {
      const whole = wholeOnes(site);
      const found = snapshots.map(each => each.snapshot).sort();
      assert.ok(snapshots.every(each => each.ok));
      if (saw) assert.deepEqual(found, whole);
      else assert.ok(found.every(id => whole.includes(id)));
      const stored = (await site.objects('main', 'packs')).length;
      if (saw) assert.deepEqual(packs, { checked: stored, all: stored });
      // What could not be recorded is no coverage.
      const recorded = await everyPackRecorded(site);
      if (saw) assert.equal(coverage.length === whole.length && coverage.every(isFull), recorded);
      else assert.ok(recorded || !coverage.every(isFull) || coverage.length < whole.length);
    },
  };
}

const wholeOnes = (site: SweepSite): string[] => [...site.known.keys()].sort();
const isFull = ({ percent }: { percent: number }): boolean => percent === 100;

async function everyPackRecorded(site: SweepSite): Promise<boolean> {
  const repository = await site.open();
  const checks = await PackChecks.read(repository);
  const manifests = await repository.manifests();
  return manifests.every(({ packs }) => packs.every(([id, number]) => checks.checkedMs(id, number) > 0));
}

/** Operations that change nothing of what is stored. */
export function readings(make: () => Promise<SweepSite>, options: RestoreOptions): Operation<never>[] {
  return [readingRows(make), restoring(make, options), verifying(make)] as Operation<never>[];
}
