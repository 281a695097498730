import assert from 'node:assert/strict';
import { cp, link, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import type { PruneResult } from '../../../src/operations/prune/prune.ts';
import type { Server } from '../../../src/postgres/server/throwaway.ts';
import { makeSite, type Site, tidemark } from '../../support/cli.ts';
import { query } from '../../support/databases.ts';
import { type Killed, killedAt } from './killed.ts';
import { Stored } from './stored.ts';

const DATABASE = 'killed wide';
const PLANS = `plans:\n  daily: { database: ${DATABASE}, schedule: manual, store: [main], keep: { last: 2 } }\n`;
/** Rows that don't compress, of which most become others: more than a pack comes free. */
const FILL = `
  create table wide as select i, (select string_agg(encode(sha512((i || '-' || k)::text::bytea), 'base64'), '')
    from generate_series(1, 10) k) as text from generate_series(1, 34000) i`;
const CHANGE = `update wide set text = (select string_agg(encode(sha512((i || '+' || k)::text::bytea), 'base64'), '')
    from generate_series(1, 10) k) where i / 300 % 7 <> 0`;
const PRUNE = ['prune', '--yes'];

/** A repository with packs that are needed in part, of which each killed prune gets a copy. */
export class Compacting {
  readonly #site: Site;
  usualMs = 0;
  snapshotsRead = 0;
  packsEmptied = 0;

  private constructor(site: Site) {
    this.#site = site;
  }

  static async prepare(server: Server): Promise<Compacting> {
    await query(server.url(), `create database "${DATABASE}"`);
    const url = server.url(DATABASE);
    await query(url, FILL);
    const site = await makeSite({ [DATABASE]: url }, PLANS);
    await site.json('backup', DATABASE);
    await query(url, CHANGE);
    await site.json('backup', DATABASE);
    await query(url, 'delete from wide where i % 50 = 0');
    await site.json('backup', DATABASE);
    await query(server.url(), `drop database "${DATABASE}" with (force)`);
    await site.json('prune', '--yes'); // the first goes, and the next prune doesn't count it any more
    const compacting = new Compacting(site);
    await (await compacting.#stored(site.folder)).age();
    return compacting;
  }

  /** Kills a prune that empties packs at a moment, from 0 to 1, of its usual duration. */
  async kill(moment: (usualMs: number) => number): Promise<Killed> {
    const folder = await this.#copy();
    try {
      if (this.usualMs === 0) await this.#measure(await this.#copy());
      const killed = await killedAt(folder, PRUNE, moment(this.usualMs));
      if (!killed.killed) {
        assert.equal(killed.code, 0);
        this.usualMs = killed.tookMs;
      }
      await this.#examine(folder, killed.killed);
      return killed;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #measure(folder: string): Promise<void> {
    const started = performance.now();
    const { compacted } = await pruned(folder);
    this.usualMs = performance.now() - started;
    assert.ok(compacted.packs > 0 && compacted.snapshots === 2, JSON.stringify(compacted));
    await rm(folder, { recursive: true, force: true });
  }

  async #examine(folder: string, killed: boolean): Promise<void> {
    const stored = await this.#stored(folder);
    assert.equal((await stored.readAll()).length, 2);
    for (let day = 0; day < 3; day++) {
      await stored.age();
      const { compacted } = await pruned(folder);
      assert.deepEqual(compacted.faults, []);
      if (killed) this.packsEmptied += compacted.packs;
      if (day === 0) assert.equal((await stored.readAll()).length, 2);
    }
    await stored.onlyWhatIsNeeded();
    const verified = await tidemark(folder, ['verify', '--all', '--json']);
    assert.equal(verified.code, 0, verified.stdout);
    this.snapshotsRead += stored.snapshotsRead + 2;
  }

  #stored(folder: string): Promise<Stored> {
    return Stored.open(join(folder, 'repository'), join(folder, 'tidemark.key'));
  }

  /** No pack is ever changed, so all copies may have the same. */
  async #copy(): Promise<string> {
    const from = this.#site.folder;
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-compacting-'));
    const filter = (path: string) => !['packs', '.cache'].includes(basename(path));
    await cp(from, folder, { recursive: true, preserveTimestamps: true, filter });
    const packs = join(from, 'repository/packs');
    for (const entry of await readdir(packs, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const path = join(folder, relative(from, file));
      await mkdir(dirname(path), { recursive: true });
      await link(file, path);
    }
    return folder;
  }

  remove(): Promise<void> {
    return this.#site.remove();
  }
}

async function pruned(folder: string) {
  const { code, stdout, stderr } = await tidemark(folder, [...PRUNE, '--json']);
  assert.equal(code, 0, stdout + stderr);
  return (JSON.parse(stdout) as PruneResult).repositories[0]!;
}
