/**
 * Kills tidemark: real commands on a real server, SIGKILL for the process and all it started at seeded random moments of
 * its usual duration. After each kill every listed snapshot is read back byte for byte, `list` works, the same command
 * works, and a database that was being restored is absent, what it was, or complete.
 *
 *   node tests/faults/kill.ts --kills 500 --seed 7
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openSnapshot } from '../../src/operations/restore/snapshot.ts';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import { planCollection } from '../../src/repository/collectionPlan.ts';
import { readHoldings } from '../../src/repository/holdings.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { query } from '../support/databases.ts';
import { server } from '../support/servers.ts';
import { seeded } from './world.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/tidemark');
const HOUR_S = 3600;
const DEADLINE_MS = 60_000;
/** Moments reach so far past the usual duration. */
const PAST_END = 1.05;
const DATABASE = 'killed';
const COPY = 'killed copy';
const WORKING = /_tidemark_[0-9a-f]{8}(_old)?$/;
const SNAPSHOTS_MAX = 6;
const PLANS = `plans:\n  daily: { database: ${DATABASE}, schedule: manual, store: [main], keep: { last: 3 } }\n`;
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

type Verb = 'backup' | 'forget' | 'prune' | 'restore' | 'in place';

export interface KillReport {
  seed: number;
  kills: Record<Verb, number>;
  /** Runs that ended before their moment came. */
  early: number;
  snapshotsRead: number;
  packsFreed: number;
  workingDatabases: number;
  seconds: number;
}

export interface KillOptions {
  kills: number;
  seed: number;
  log(line: string): void;
}

export async function killRandomly(options: KillOptions): Promise<KillReport> {
  const shared = await server(15);
  await query(shared.url(), `create database ${DATABASE}`);
  await query(shared.url(DATABASE), FILL);
  const site = await makeSite({ [DATABASE]: shared.url(DATABASE) }, PLANS);
  try {
    const killer = new Killer(shared, site, options);
    await killer.run();
    return killer.report;
  } finally {
    await site.remove();
    await query(shared.url(), `drop database if exists ${DATABASE} with (force)`);
  }
}

class Killer {
  readonly report: KillReport;
  readonly #server: Server;
  readonly #site: Site;
  readonly #options: KillOptions;
  readonly #random: () => number;
  readonly #usualMs = new Map<Verb, number>();
  #repository!: Repository;
  /** What a database is that was restored from a snapshot. */
  readonly #sums = new Map<string, string>();

  constructor(server: Server, site: Site, options: KillOptions) {
    this.#server = server;
    this.#site = site;
    this.#options = options;
    this.#random = seeded(options.seed);
    const kills = { backup: 0, forget: 0, prune: 0, restore: 0, 'in place': 0 };
    this.report = {
      seed: options.seed,
      kills,
      early: 0,
      snapshotsRead: 0,
      packsFreed: 0,
      workingDatabases: 0,
      seconds: 0,
    };
  }

  async run(): Promise<void> {
    const started = performance.now();
    const storage = new LocalStorage(join(this.#site.folder, 'repository'));
    const text = await readFile(join(this.#site.folder, 'tidemark.key'), 'utf8');
    this.#repository = await Repository.open(storage, { kind: 'key', text, where: 'the test' });
    const startMs = await this.#measure();
    const total = () => Object.values(this.report.kills).reduce((sum, each) => sum + each, 0);
    for (let rounds = 0; total() < this.#options.kills; rounds++) {
      assert.ok(rounds < this.#options.kills * 3 + 20, 'most runs end before they are killed');
      await this.#round(startMs);
    }
    await this.#cleanEnd();
    this.report.seconds = (performance.now() - started) / 1000;
  }

  /** How long each command takes when nobody kills it, and how long the program takes to start. */
  async #measure(): Promise<number> {
    const timed = async (...args: string[]) => {
      const started = performance.now();
      const { code, stderr } = await this.#site.run(...args);
      assert.equal(code, 0, stderr);
      return performance.now() - started;
    };
    const startMs = await timed('--version');
    for (const verb of ['backup', 'backup', 'restore', 'in place', 'forget', 'prune'] as const) {
      const before = await this.#sum(DATABASE);
      this.#usualMs.set(verb, await timed(...(await this.#arguments(verb))));
      await this.#learn(before);
      await this.#dropDatabases();
    }
    return startMs;
  }

  async #round(startMs: number): Promise<void> {
    const verb = this.#verb();
    await query(this.#server.url(DATABASE), CHANGE);
    const args = await this.#arguments(verb);
    const before = await this.#sum(DATABASE);
    const fromMs = startMs * 0.7;
    const momentMs = fromMs + this.#random() * (this.#usualMs.get(verb)! * PAST_END - fromMs);
    const { killed, code, tookMs } = await killedAt(this.#site, args, momentMs);
    this.#options.log(`${killed ? 'killed' : 'ended '} ${verb.padEnd(8)} at ${Math.round(tookMs)} ms`);
    if (killed) {
      this.report.kills[verb]++;
      await this.#examine(verb, args, before);
    } else {
      assert.equal(code, 0, `${args.join(' ')} failed, and nobody had killed it`);
      this.report.early++;
      this.#usualMs.set(verb, tookMs); // the machine is less busy than it was
      await this.#learn(before);
    }
    await this.#dropDatabases();
  }

  #verb(): Verb {
    const chosen = this.#random();
    if (chosen < 0.35) return 'backup';
    if (chosen < 0.45) return 'forget';
    if (chosen < 0.65) return 'prune';
    return chosen < 0.85 ? 'restore' : 'in place';
  }

  /** Also brings about what the command needs to have work to do. */
  async #arguments(verb: Verb): Promise<string[]> {
    const ids = await this.#repository.snapshotNames();
    if (verb === 'backup') return ['backup', DATABASE];
    if (verb === 'restore') return ['restore', this.#pick(ids), '--new', COPY];
    if (verb === 'in place') return ['restore', this.#pick(ids), '--in-place', '--yes'];
    if (verb === 'forget') {
      const surplus = ids.slice(0, -SNAPSHOTS_MAX); // no plan's rules forget safety snapshots
      return ['forget', this.#pick(ids), ...surplus, '--yes', '--even-last'];
    }
    await this.#age();
    return ['prune', '--yes'];
  }

  #pick(ids: string[]): string {
    return ids[Math.floor(this.#random() * ids.length)]!;
  }

  /** A day passes: what is condemned is due, and the leases of the killed end. */
  async #age(): Promise<void> {
    const then = Date.now() / 1000 - 25 * HOUR_S;
    for (const folder of ['condemned', 'leases']) {
      const root = join(this.#site.folder, 'repository', folder);
      const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
      for (const entry of entries)
        if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), then, then);
    }
  }

  async #examine(verb: Verb, args: string[], before: string): Promise<void> {
    await this.#backendsGone();
    await this.#isOpen();
    await this.#learn(before);
    if (verb === 'restore') await this.#examineCopy(args[1]!);
    if (verb === 'in place') await this.#examineReplaced(args[1]!, before);
    const { snapshots } = await this.#site.json<{ snapshots: { snapshot: string }[] }>('list');
    assert.deepEqual(
      snapshots.map(each => each.snapshot).sort(),
      [...(await this.#repository.snapshotNames())].sort(),
    );
    const now = await this.#sum(DATABASE);
    await this.#again(verb, args);
    await this.#learn(now);
  }

  /** Reads every listed snapshot wholly. One not met before was taken since the database was `sum`. */
  async #learn(sum: string): Promise<void> {
    for (const id of await this.#repository.snapshotNames()) {
      const snapshot = await openSnapshot(this.#repository, id);
      for (const part of snapshot.parts) {
        let bytes = 0;
        const list = await snapshot.reader.list(part, part.table);
        for await (const piece of snapshot.reader.stream(list, part.table)) bytes += piece.length;
        assert.equal(bytes, part.bytes);
      }
      if (!this.#sums.has(id)) this.#sums.set(id, sum);
      this.report.snapshotsRead++;
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
      const left = (await this.#repository.snapshotNames()).filter(id => args.includes(id));
      if (left.length > 0) await this.#site.json('forget', ...left, '--yes', '--even-last');
      if ((await this.#repository.snapshotNames()).length === 0) await this.#site.json('backup', DATABASE);
      return;
    }
    if (verb === 'prune') await this.#age();
    const started = performance.now();
    const result = await this.#site.json<{ repositories?: { freed: { packs: number } }[] }>(...args);
    this.#usualMs.set(verb, performance.now() - started);
    this.report.packsFreed += result.repositories?.[0]?.freed.packs ?? 0;
    if (verb === 'restore') assert.equal(await this.#sum(COPY), this.#sums.get(args[1]!));
    if (verb === 'in place') assert.equal(await this.#sum(DATABASE), this.#sums.get(args[1]!));
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

  /** After all that, verify finds nothing wrong, and a prune on each of two days leaves only what is needed. */
  async #cleanEnd(): Promise<void> {
    for (let day = 0; day < 3; day++) {
      await this.#age();
      await this.#site.json('prune', '--yes');
    }
    await this.#site.json('verify', '--all');
    const holdings = await readHoldings(this.#repository);
    const plan = await planCollection(this.#repository, holdings);
    assert.deepEqual([plan.condemn.length, plan.free.length, plan.waiting.packs], [0, 0, 0]);
    assert.deepEqual([holdings.forgotten.length, holdings.condemned.length, holdings.live.length], [0, 0, 0]);
  }
}

interface Killed {
  killed: boolean;
  code: number | null;
  tookMs: number;
}

/** Runs a command in a process group of its own and kills the group, unless it has ended by then. */
async function killedAt(site: Site, args: string[], momentMs: number): Promise<Killed> {
  const started = performance.now();
  const child = spawn(PROGRAM, args, {
    cwd: site.folder,
    env: { PATH: process.env.PATH, HOME: site.folder, LC_ALL: 'C.UTF-8' },
    stdio: 'ignore',
    detached: true,
  });
  const exited = once(child, 'exit').then(([code, signal]) => ({
    killed: signal === 'SIGKILL',
    code: code as number | null,
    tookMs: performance.now() - started,
  }));
  await Promise.race([delay(momentMs), exited]);
  if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL');
  return exited;
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`seed ${seed}`);
  const report = await killRandomly({
    kills: Number(values.kills ?? 50),
    seed,
    log: line => console.log(line),
  });
  console.log(JSON.stringify(report, null, 2));
}
