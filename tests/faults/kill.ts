/**
 * Kills tidemark: real commands on a real server, SIGKILL for the process and all it started at seeded random moments of
 * its usual duration. After each kill every listed snapshot is read back byte for byte, `list` works, the same command
 * works, and a database that was being restored is absent, what it was, or complete.
 *
 *   node tests/faults/kill.ts --kills 500 --seed 7
 *   node tests/faults/kill.ts --kills 50 --only copy --only heal
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { HealResult } from '../../src/operations/heal/heal.ts';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import { forgetUnlessHeld } from '../../src/repository/guards/forgetting.ts';
import { snapshotOf } from '../../src/repository/manifest.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { query } from '../support/databases.ts';
import { server } from '../support/servers.ts';
import { Compacting } from './kill/compacting.ts';
import { killedAt } from './kill/killed.ts';
import { Stored } from './kill/stored.ts';
import { seeded } from './world.ts';

const DEADLINE_MS = 60_000;
/** Moments reach so far past the usual duration. */
const PAST_END = 1.05;
const DATABASE = 'killed';
const COPY = 'killed copy';
const WORKING = /_tidemark_[0-9a-f]{8}(_old)?$/;
const SNAPSHOTS_MAX = 6;
const PLANS = `plans:\n  daily: { database: ${DATABASE}, schedule: manual, store: [main], keep: { last: 3 } }\n`;
const BRING = ['copy', '--from', 'main', '--to', 'archive'];
const FILL = `
  create table account (id int primary key, owner text not null, balance numeric not null);
  insert into account select i, 'owner ' || i, i * 1.5 from generate_series(1, 4000) i;
  create table entry (id bigserial primary key, account int references account, note text);
  insert into entry (account, note) select 1 + i % 4000, md5(i::text) || repeat('x', i % 60) from generate_series(1, 9000) i;
  create index on entry (account);
  create view total as select account, count(*) from entry group by account;`;
const CHANGE = `
  update account set balance = balance + 1 where id % 50 = (random() * 49)::int;
  insert into entry (account, note) select 1 + i % 4000, md5(random()::text) from generate_series(1, 200) i;`;
const CHECKSUM = `select md5(
  (select string_agg(a::text, ',' order by id) from account a) ||
  (select string_agg(e::text, ',' order by id) from entry e) || (select count(*) from total)) as sum`;

/** How often each is killed, of all together. */
const SHARES = {
  backup: 22,
  forget: 8,
  prune: 14,
  restore: 12,
  'in place': 11,
  copy: 12,
  verify: 5,
  heal: 8,
  repair: 7,
  compact: 8,
};
export type Verb = keyof typeof SHARES;
export const VERBS = Object.keys(SHARES) as Verb[];
/** What makes damaged snapshots whole. */
const CURES: ReadonlySet<Verb> = new Set(['heal', 'repair']);

export interface KillReport {
  seed: number;
  kills: Record<Verb, number>;
  /** Runs that ended before their moment came. */
  early: number;
  snapshotsRead: number;
  packsFreed: number;
  packsEmptied: number;
  workingDatabases: number;
  seconds: number;
}

export interface KillOptions {
  kills: number;
  seed: number;
  /** All, unless given. */
  verbs?: readonly Verb[];
  log(line: string): void;
}

export async function killRandomly(options: KillOptions): Promise<KillReport> {
  const shared = await server(15);
  await query(shared.url(), `create database ${DATABASE}`);
  await query(shared.url(DATABASE), FILL);
  const site = await makeSite({ [DATABASE]: shared.url(DATABASE) }, PLANS, ['archive']);
  const compacting = await Compacting.prepare(shared);
  try {
    const killer = await Killer.begin(shared, site, compacting, options);
    await killer.run();
    return killer.report;
  } finally {
    await compacting.remove();
    await site.remove();
    await query(shared.url(), `drop database if exists ${DATABASE} with (force)`);
  }
}

class Killer {
  readonly report: KillReport;
  readonly #server: Server;
  readonly #site: Site;
  readonly #main: Stored;
  readonly #archive: Stored;
  readonly #compacting: Compacting;
  readonly #options: KillOptions;
  readonly #random: () => number;
  readonly #usualMs = new Map<Verb, number>();
  #startMs = 0;
  /** What a database is that was restored from a snapshot. */
  readonly #sums = new Map<string, string>();

  static async begin(server: Server, site: Site, compacting: Compacting, options: KillOptions) {
    const open = (folder: string, key: string) =>
      Stored.open(join(site.folder, folder), join(site.folder, key));
    const main = await open('repository', 'tidemark.key');
    const archive = await open('archive', 'archive.key');
    return new Killer(server, site, main, archive, compacting, options);
  }

  private constructor(
    server: Server,
    site: Site,
    main: Stored,
    archive: Stored,
    compacting: Compacting,
    options: KillOptions,
  ) {
    this.#server = server;
    this.#site = site;
    this.#main = main;
    this.#archive = archive;
    this.#compacting = compacting;
    this.#options = options;
    this.#random = seeded(options.seed);
    this.report = {
      seed: options.seed,
      kills: Object.fromEntries(VERBS.map(verb => [verb, 0])) as Record<Verb, number>,
      ...{ early: 0, snapshotsRead: 0, packsFreed: 0, packsEmptied: 0, workingDatabases: 0, seconds: 0 },
    };
  }

  get #places(): Stored[] {
    return [this.#main, this.#archive];
  }

  async run(): Promise<void> {
    const started = performance.now();
    await this.#measure();
    const total = () => Object.values(this.report.kills).reduce((sum, each) => sum + each, 0);
    for (let rounds = 0; total() < this.#options.kills; rounds++) {
      assert.ok(rounds < this.#options.kills * 3 + 20, 'most runs end before they are killed');
      await this.#round();
    }
    await this.#cleanEnd();
    for (const each of [...this.#places, this.#compacting]) this.report.snapshotsRead += each.snapshotsRead;
    this.report.packsEmptied = this.#compacting.packsEmptied;
    this.report.seconds = (performance.now() - started) / 1000;
  }

  /** How long each command takes when nobody kills it, and how long the program takes to start. */
  async #measure(): Promise<void> {
    const timed = async (...args: string[]) => {
      const started = performance.now();
      const { code, stderr } = await this.#site.run(...args);
      assert.equal(code, 0, stderr);
      return performance.now() - started;
    };
    this.#startMs = await timed('--version');
    for (const verb of ['backup', 'backup', ...VERBS] as const) {
      if (verb === 'compact') continue;
      const before = await this.#sum(DATABASE);
      this.#usualMs.set(verb, await timed(...(await this.#arguments(verb))));
      if (CURES.has(verb)) await this.#archive.cured(verb);
      await this.#learn(before);
      await this.#dropDatabases();
    }
  }

  async #round(): Promise<void> {
    const verb = this.#verb();
    const moment = (usualMs: number) => {
      const fromMs = this.#startMs * 0.7;
      return fromMs + this.#random() * (usualMs * PAST_END - fromMs);
    };
    if (verb === 'compact') {
      this.#count(verb, await this.#compacting.kill(moment));
      return;
    }
    await query(this.#server.url(DATABASE), CHANGE);
    const args = await this.#arguments(verb);
    const before = await this.#sum(DATABASE);
    const run = await killedAt(this.#site.folder, args, moment(this.#usualMs.get(verb)!));
    this.#count(verb, run);
    if (run.killed) await this.#examine(verb, args, before);
    else {
      assert.equal(run.code, 0, `${args.join(' ')} failed, and nobody had killed it`);
      this.#usualMs.set(verb, run.tookMs); // the machine is less busy than it was
      if (CURES.has(verb)) await this.#archive.cured(verb);
      await this.#learn(before);
    }
    await this.#dropDatabases();
  }

  #count(verb: Verb, { killed, tookMs }: { killed: boolean; tookMs: number }): void {
    this.#options.log(`${killed ? 'killed' : 'ended '} ${verb.padEnd(8)} at ${Math.round(tookMs)} ms`);
    if (killed) this.report.kills[verb]++;
    else this.report.early++;
  }

  #verb(): Verb {
    const { verbs = VERBS } = this.#options;
    const all = verbs.reduce((sum, verb) => sum + SHARES[verb], 0);
    let left = this.#random() * all;
    for (const verb of verbs) {
      left -= SHARES[verb];
      if (left < 0) return verb;
    }
    return verbs[0]!;
  }

  /** Also brings about what the command needs to have work to do. */
  async #arguments(verb: Exclude<Verb, 'compact'>): Promise<string[]> {
    const ids = await this.#main.ids();
    switch (verb) {
      case 'backup':
        return ['backup', DATABASE];
      case 'restore':
        return ['restore', this.#pick(ids), '--new', COPY];
      case 'in place':
        return ['restore', this.#pick(ids), '--in-place', '--yes'];
      case 'forget': {
        const surplus = (await this.#listed()).slice(0, -SNAPSHOTS_MAX); // no rule forgets copies and safety snapshots
        return ['forget', this.#pick(ids), ...surplus, '--yes', '--even-last'];
      }
      case 'prune':
        for (const each of this.#places) await each.age();
        return ['prune', '--yes'];
      case 'copy':
        if ((await this.#missing()).length === 0) await this.#site.json('backup', DATABASE);
        await this.#learn(await this.#sum(DATABASE));
        return BRING;
      case 'verify':
        return ['verify', '--all'];
      case 'heal':
        await this.#damage();
        return ['heal', '--all', '--yes'];
      case 'repair':
        await this.#archive.age();
        await this.#damage();
        return ['repair', 'archive', '--yes'];
    }
  }

  #pick(ids: string[]): string {
    return ids[Math.floor(this.#random() * ids.length)]!;
  }

  /** Snapshots that the archive lacks. */
  async #missing(): Promise<string[]> {
    const there = await this.#archive.ids();
    return (await this.#main.ids()).filter(id => !there.includes(id));
  }

  /** Ids, of both repositories. */
  async #listed(): Promise<string[]> {
    return [...new Set([...(await this.#main.ids()), ...(await this.#archive.ids())])].sort();
  }

  /** A byte of the archive changes, and verify has found that. What is hurt by it is in the main repository too. */
  async #damage(): Promise<void> {
    await this.#site.json(...BRING);
    const main = await this.#main.ids();
    const names = await this.#archive.names();
    const alone = names.filter(name => !main.includes(snapshotOf(name)));
    await forgetUnlessHeld(this.#archive.repository, alone);
    const there = names.filter(name => !alone.includes(name));
    await this.#archive.damage(this.#pick(there), this.#random());
    const { code, stdout } = await this.#site.run('verify', '--repository', 'archive', '--all');
    assert.equal(code, 3, stdout);
  }

  async #examine(verb: Verb, args: string[], before: string): Promise<void> {
    await this.#backendsGone();
    await this.#isOpen();
    await this.#learn(before);
    if (verb === 'restore') await this.#examineCopy(args[1]!);
    if (verb === 'in place') await this.#examineReplaced(args[1]!, before);
    // Damage that is known, which some verbs begin with, gives exit code 3.
    const listed = await this.#site.run('list', '--json');
    const { snapshots } = JSON.parse(listed.stdout) as { snapshots: { snapshot: string }[] };
    assert.deepEqual(snapshots.map(each => each.snapshot).sort(), await this.#listed());
    const now = await this.#sum(DATABASE);
    await this.#again(verb, args);
    await this.#learn(now);
  }

  /** Reads every listed snapshot wholly. One not met before was taken since the database was `sum`. */
  async #learn(sum: string): Promise<void> {
    for (const each of this.#places) {
      for (const id of await each.readAll()) if (!this.#sums.has(id)) this.#sums.set(id, sum);
      await each.recordsAreTrue();
    }
  }

  /** Under the name asked for there is nothing, or all of it. */
  async #examineCopy(id: string): Promise<void> {
    if ((await this.#databases()).includes(COPY)) assert.equal(await this.#sum(COPY), this.#sums.get(id));
    await this.#dropDatabases();
  }

  async #examineReplaced(id: string, before: string): Promise<void> {
    const sum = await this.#sum(DATABASE);
    assert.ok(
      sum === before || sum === this.#sums.get(id),
      `${DATABASE} is neither what it was nor snapshot ${id}`,
    );
  }

  async #again(verb: Verb, args: string[]): Promise<void> {
    if (verb === 'forget') {
      const listed = await this.#listed();
      const left = args.filter(arg => listed.includes(arg));
      if (left.length > 0) await this.#site.json('forget', ...left, '--yes', '--even-last');
      if ((await this.#main.names()).length === 0) await this.#site.json('backup', DATABASE);
      return;
    }
    if (verb === 'prune' || verb === 'repair') for (const each of this.#places) await each.age();
    const started = performance.now();
    const result = await this.#site.json<{ repositories?: { freed: { packs: number } }[] }>(...args);
    this.#usualMs.set(verb, performance.now() - started);
    for (const { freed } of result.repositories ?? []) this.report.packsFreed += freed.packs;
    if (verb === 'restore') assert.equal(await this.#sum(COPY), this.#sums.get(args[1]!));
    if (verb === 'in place') assert.equal(await this.#sum(DATABASE), this.#sums.get(args[1]!));
    if (verb === 'copy') assert.deepEqual(await this.#missing(), []);
    if (verb === 'heal')
      assert.ok((result as unknown as HealResult).snapshots.every(each => each.state === 'healed'));
    if (CURES.has(verb)) await this.#archive.cured(result);
  }

  /** What the killed still had running on the server ends by itself. */
  async #backendsGone(): Promise<void> {
    for (const from = performance.now(); performance.now() - from < DEADLINE_MS; await delay(20)) {
      const [row] = await query<{ n: string }>(
        this.#server.url(),
        `select count(*) as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
      );
      if (row!.n === '0') return;
    }
    throw new Error('backends of a killed command are still there');
  }

  /** Whatever was killed, the database takes connections. */
  async #isOpen(): Promise<void> {
    const [row] = await query<{ open: boolean }>(
      this.#server.url(),
      `select datallowconn as open from pg_database where datname = '${DATABASE}'`,
    );
    assert.equal(row?.open, true, 'the database is there and open');
  }

  async #databases(): Promise<string[]> {
    const rows = await query<{ datname: string }>(this.#server.url(), 'select datname from pg_database');
    return rows.map(row => row.datname);
  }

  /** What a killed restore leaves says what it is by its name. */
  async #dropDatabases(): Promise<void> {
    for (const name of await this.#databases()) {
      if (WORKING.test(name)) this.report.workingDatabases++;
      else if (name !== COPY) continue;
      await query(this.#server.url(), `drop database "${name}" with (force)`);
    }
  }

  async #sum(database: string): Promise<string> {
    const [row] = await query<{ sum: string }>(this.#server.url(database), CHECKSUM);
    return row!.sum;
  }

  /** After all that, verify finds nothing wrong, and a prune on each of three days leaves only what is needed. */
  async #cleanEnd(): Promise<void> {
    for (let day = 0; day < 3; day++) {
      for (const each of this.#places) await each.age();
      await this.#site.json('prune', '--yes');
    }
    await this.#site.json('verify', '--all');
    for (const each of this.#places) await each.onlyWhatIsNeeded();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '50' },
      seed: { type: 'string' },
      only: { type: 'string', multiple: true },
    },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const verbs = values.only as Verb[] | undefined;
  for (const verb of verbs ?? []) assert.ok(VERBS.includes(verb), `${verb} is none of ${VERBS}`);
  console.log(`seed ${seed}`);
  const log = (line: string) => console.log(line);
  console.log(JSON.stringify(await killRandomly({ kills: Number(values.kills), seed, verbs, log }), null, 2));
}

if (process.argv[1] === import.meta.filename) await main();
