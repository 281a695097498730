/**
 * Backups, copies, forgettings, holds and prunes of one repository at once, in random turns, with time passing, machines
 * asleep and processes killed at any storage call. Each run follows from its seed; TIDEMARK_SEED repeats one, TIDEMARK_RUNS says
 * how many.
 */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { collect } from '../../src/repository/collect.ts';
import { GRACE_MS, planCollection } from '../../src/repository/collectionPlan.ts';
import { compact } from '../../src/repository/compact.ts';
import { planCompaction } from '../../src/repository/compactionPlan.ts';
import { endDeadCompactions } from '../../src/repository/compactions.ts';
import { Forgetting } from '../../src/repository/forgetting.ts';
import { readHoldings } from '../../src/repository/holdings.ts';
import { placeHold, readHolds, releaseHold } from '../../src/repository/holds.ts';
import { newKeyText, packName } from '../../src/repository/keys.ts';
import { LEASE_TTL_MS, Lease } from '../../src/repository/lease.ts';
import { type Manifest, manifestName, snapshotOf } from '../../src/repository/manifest.ts';
import { Repository } from '../../src/repository/repository.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type Blocks, readBack, smallBackup } from '../support/smallBackup.ts';
import { type Process, seeded, World } from './world.ts';

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 60);
const STEPS = 80;
const PROCESSES_MAX = 5;
/** How likely the process whose turn it is gets killed instead. */
const KILL = 0.002;
const KILL_COMPACTING = 0.005;
const MINUTE_MS = 60_000;
const PIECES = 8;
const RULES = { maxDead: 0.4, freedBytesMin: 0 };
const EXPECTED = new Set([
  ...['LEASE_LOST', 'PRUNE_RUNNING', 'OBJECT_MISSING'],
  ...['SNAPSHOT_HELD', 'SNAPSHOT_GONE', 'HOLD_UNCERTAIN'],
]);
const COMPACTING_KINDS = ['backup', 'backup', 'forget', 'prune', 'prune', 'rogue'];
const KINDS = 'backup backup copy forget forget forget hold hold release prune prune rogue'.split(' ');

class Run {
  readonly #world = new World(new Date('2026-11-21T02:00:00Z'));
  readonly #random: () => number;
  readonly #manifests = new Map<string, Manifest>();
  readonly #contents = new Map<string, Blocks>();
  /** Holds that were placed, and whose release has not begun: snapshot, then holds. */
  readonly #held = new Map<string, Set<string>>();
  readonly #released = new Set<string>();
  #processes: Process[] = [];
  #repository!: Repository;
  #started = 0;
  readonly counts = {
    backups: 0,
    copies: 0,
    lost: 0,
    kills: 0,
    freed: 0,
    refused: 0,
    holds: 0,
    kept: 0,
    late: 0,
    emptied: 0,
    revised: 0,
  };

  /** `compacting`: with snapshots that outlive most of what they share, and prunes more often. */
  readonly #compacting: boolean;

  constructor(seed: number, compacting: boolean) {
    this.#random = seeded(seed);
    this.#compacting = compacting;
  }

  async play(): Promise<void> {
    await this.#create();
    this.#world.watch = (what, name, process) => this.#watch(what, name, process);
    for (let step = 0; step < STEPS; step++) await this.#step();
    await this.#finish();
    await this.#settle();
  }

  trace(lines: number): string {
    return this.#world.trace.slice(-lines).join('\n');
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }

  async #create(): Promise<void> {
    const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
    await this.#alone('init', async storage => {
      this.#repository = await Repository.create(storage, secret, new Date(this.#world.timeMs));
    });
  }

  async #step(): Promise<void> {
    this.#processes = this.#processes.filter(each => !each.ended);
    const chosen = this.#random() * (this.#compacting && this.#chance(0.9) ? 0.75 : 1);
    if (this.#processes.length === 0 || (chosen < 0.45 && this.#processes.length < PROCESSES_MAX))
      this.#begin();
    else if (chosen < 0.65) await this.#world.turn(this.#pick(this.#processes), { naps: true });
    else if (chosen < 0.95) return this.#passTime(this.#pick([1, 12, 24, 25]) * 60);
    else this.#world.timeMs += this.#pick([5, 29, 31, 60 * 25]) * MINUTE_MS; // everybody asleep
    await this.#run();
  }

  /** Until all have ended or take a nap; or not so long. */
  async #run(): Promise<void> {
    const turns = this.#chance(0.7) ? Number.POSITIVE_INFINITY : Math.floor(this.#random() * 40);
    for (let turn = 0; turn < turns; turn++) {
      const ready = this.#processes.filter(each => each.calls.some(call => !call.nap));
      if (ready.length === 0) return;
      const process = this.#pick(ready);
      if (this.#chance(this.#compacting ? KILL_COMPACTING : KILL)) this.#kill(process);
      else await this.#world.turn(process, { naps: this.#chance(0.02) });
    }
  }

  /** Time in which leases are renewed, and little else is done. */
  async #passTime(minutes: number): Promise<void> {
    for (let passed = 0; passed < minutes; passed += 20) {
      this.#world.timeMs += 20 * MINUTE_MS;
      mock.timers.tick(5 * MINUTE_MS); // one renewal is enough
      await setImmediate();
      for (let again = true; again; ) {
        again = false;
        for (const each of this.#processes) if (await this.#world.turn(each, { naps: false })) again = true;
      }
    }
  }

  #begin(): void {
    const number = ++this.#started;
    const kind = this.#pick(this.#compacting ? [...KINDS, ...COMPACTING_KINDS] : KINDS);
    this.#processes.push(
      this.#world.start(`${kind} ${number}`, (storage, nap) => {
        const repository = new Repository(storage, this.#repository.keys);
        if (kind === 'backup') return this.#backup(repository, nap);
        if (kind === 'copy') return this.#copy(repository, nap);
        if (kind === 'forget') return this.#forget(repository, nap);
        if (kind === 'hold') return this.#hold(repository, nap);
        if (kind === 'release') return this.#release(repository, nap);
        return this.#prune(repository, nap, { rogue: kind === 'rogue' });
      }),
    );
  }

  async #backup(repository: Repository, nap: () => Promise<void>): Promise<void> {
    const blocks: Blocks = {};
    for (const [name, variants] of [
      ['a', 1],
      ['b', 2],
    ] as const)
      blocks[name] = `${name}${Math.floor(this.#random() * variants)}`;
    blocks.c = this.#pieces();
    const manifest = await smallBackup(repository, blocks, { previousFound: nap, stored: nap, held: nap });
    this.counts.backups++;
    this.#contents.set(manifest.snapshot, blocks);
  }

  /** Of which some are as always, so that packs are needed in part. */
  #pieces(): string {
    const most = this.#chance(0.3) ? 0 : 5 + Math.floor(this.#random() * 3);
    const changed = this.#compacting ? most : Math.floor(this.#random() * PIECES);
    const one = (i: number) => (i < changed ? `${i} of ${this.#started}` : `${i}`);
    return Array.from({ length: PIECES }, (_, i) => one(i)).join('|');
  }

  /** Brings a snapshot from elsewhere that was here before, and may still be, or be forgotten, or about to come too. */
  async #copy(repository: Repository, nap: () => Promise<void>): Promise<void> {
    if (this.#contents.size === 0) return;
    const [id, blocks] = this.#pick([...this.#contents]);
    await smallBackup(repository, blocks, { previousFound: nap, stored: nap, held: nap }, id);
    this.counts.copies++;
  }

  async #forget(repository: Repository, nap: () => Promise<void>): Promise<void> {
    const ids = await repository.snapshotNames();
    if (ids.length === 0) return;
    const [oldest, newest] = [ids[0]!, ids.at(-1)!];
    const id = this.#chance(0.6) ? (this.#compacting ? oldest : newest) : this.#pick(ids);
    const forgetting = await Forgetting.begin(repository);
    try {
      await nap();
      await forgetting.forget(id);
      if (this.#chance(0.5)) await forgetting.forget(this.#pick(ids));
    } finally {
      await forgetting.end();
    }
  }

  async #hold(repository: Repository, nap: () => Promise<void>): Promise<void> {
    const ids = await repository.snapshotNames();
    if (ids.length === 0) return;
    const snapshot = snapshotOf(this.#chance(0.6) ? ids.at(-1)! : this.#pick(ids));
    await nap();
    const text = { reason: 'a test', until: null, by: 'nobody' };
    const { id } = await placeHold(repository, snapshot, text, { tries: 40, pause: nap });
    this.counts.holds++;
    if (this.#released.has(id)) return; // by somebody who saw it before this one was told that it counts
    this.#held.set(snapshot, (this.#held.get(snapshot) ?? new Set()).add(id));
  }

  async #release(repository: Repository, nap: () => Promise<void>): Promise<void> {
    const all = await readHolds(repository, await repository.storage.now());
    if (all.size === 0) return;
    const [snapshot, holds] = this.#pick([...all]);
    await nap();
    for (const { id } of holds) {
      this.#released.add(id);
      this.#held.get(snapshot)?.delete(id);
      await releaseHold(repository, snapshot, id);
    }
  }

  /** A rogue acts as if it alone had the lease. */
  async #prune(
    repository: Repository,
    nap: () => Promise<void>,
    { rogue = false, compacts = this.#chance(0.7) } = {},
  ): Promise<void> {
    const lease = rogue ? ROGUE : await Lease.takePrune(repository.storage);
    try {
      await endDeadCompactions(repository);
      const holdings = await readHoldings(repository);
      const plan = await planCollection(repository, holdings);
      await nap();
      const { freed } = await collect(repository, plan, lease);
      this.counts.freed += freed.packs;
      if (!compacts) return;
      await nap();
      for (const plan of await planCompaction(repository, holdings, RULES)) {
        if (!plan.pays) continue;
        await nap();
        const { packs, snapshots } = await compact(repository, plan, { rules: RULES, lease });
        this.counts.emptied += packs;
        this.counts.revised += snapshots;
      }
    } finally {
      await lease.release();
    }
  }

  /** Killed at any call but one: docs/recovery.md says what a backup may leave that slept right before its manifest. */
  #kill(process: Process): void {
    if (process.committed && this.#world.timeMs - process.leaseWrittenMs > LEASE_TTL_MS) return;
    this.counts.kills++;
    this.#world.kill(process);
  }

  #watch(what: 'put' | 'remove', name: string, process: Process): void {
    const id = name.slice(name.indexOf('/') + 1);
    if (what === 'put' && name.startsWith('snapshots/')) {
      const sealed = this.#world.objects.get(name)!.data;
      this.#manifests.set(id, this.#repository.keys.open(name, sealed, name) as Manifest);
    }
    if (what === 'remove' && name.startsWith('snapshots/')) this.#watchForgotten(snapshotOf(id), process);
    if (what === 'put' && name.startsWith('revisions/')) this.#watchRevision(name);
    if (what === 'remove' && name.startsWith('packs/')) {
      for (const manifest of this.#listed()) {
        assert.ok(
          !manifest.packs.some(pack => packName(pack[0], pack[1]) === id),
          `${process.name} removes ${name}, which snapshot ${manifest.snapshot} needs`,
        );
      }
    }
  }

  /**
   * Nobody removes a snapshot that is held; but for a backup that takes back its own, and a removal that comes so long
   * after the last look that docs/recovery.md says it may.
   */
  #watchForgotten(snapshot: string, process: Process): void {
    const holds = this.#held.get(snapshot);
    if (process.name.startsWith('backup') || process.name.startsWith('copy') || !holds?.size) return;
    const late = this.#world.timeMs - process.leaseWrittenMs > LEASE_TTL_MS;
    assert.ok(
      late,
      `${process.name} removes snapshot ${snapshot}, which is held by ${[...holds].join(', ')}`,
    );
    this.counts.late++;
    holds.clear();
  }

  /** It counts where no later one is there. */
  #watchRevision(name: string): void {
    const sealed = this.#world.objects.get(name)!.data;
    const [, of, number] = name.split('/');
    const known = this.#manifests.get(of!);
    assert.ok(known, `${name} is of a snapshot that never was`);
    if (sealed.length === 0 || Number(number) < (known.revised?.number ?? 0)) return;
    this.#manifests.set(of!, this.#repository.keys.open(name, sealed, name) as Manifest);
  }

  /** Snapshots that count: their writer has reported success, or died. */
  #listed(): Manifest[] {
    const writing = new Set(this.#processes.filter(each => !each.ended).map(each => each.committed));
    return [...this.#manifests.values()].filter(manifest => {
      const name = `snapshots/${manifestName(manifest)}`;
      return this.#world.objects.has(name) && !writing.has(name);
    });
  }

  async #finish(): Promise<void> {
    for (let left = this.#processes; left.length > 0; left = left.filter(each => !each.ended)) {
      for (const each of left) await this.#world.turn(each, { naps: true });
      for (const each of left) this.#judge(each);
    }
    await this.#passTime(35);
  }

  #judge(process: Process): void {
    if (!process.failure) return;
    const { code } = process.failure as { code?: string };
    if (code === 'LEASE_LOST') this.counts.lost++;
    if (code === 'PRUNE_RUNNING') this.counts.refused++;
    if (code === 'SNAPSHOT_HELD') this.counts.kept++;
    if (!EXPECTED.has(code ?? '')) throw process.failure;
  }

  /** Enough time and prunes: what is listed is whole, and nothing else is left. */
  async #settle(): Promise<void> {
    await this.#alone('releasing', async storage => {
      const repository = new Repository(storage, this.#repository.keys);
      const all = await readHolds(repository, await storage.now());
      for (const [snapshot, holds] of this.#held) {
        const there = (all.get(snapshot) ?? []).map(hold => hold.id);
        assert.ok([...holds].every(id => there.includes(id)));
      }
      for (const [snapshot, holds] of all)
        for (const { id } of holds) await releaseHold(repository, snapshot, id);
    });
    for (let i = 0; i < 8; i++) {
      await this.#alone('last prune', async storage => {
        const { emptied } = this.counts;
        const repository = new Repository(storage, this.#repository.keys);
        await this.#prune(repository, async () => {}, { compacts: i < 5 });
        // What was emptied once is not rewritten again.
        if (i === 4) assert.equal(this.counts.emptied, emptied);
      });
      this.#world.timeMs += GRACE_MS;
    }
    const listed = this.#listed();
    const needed = new Set(
      listed.flatMap(each => each.packs.map(pack => `packs/${packName(pack[0], pack[1])}`)),
    );
    const there = [...this.#world.objects.keys()];
    assert.deepEqual(there.filter(name => name.startsWith('packs/')).sort(), [...needed].sort());
    assert.deepEqual(
      there.filter(name => /^(condemned|leases|holds|compactions)\//.test(name)),
      [],
    );
    for (const name of there.filter(name => name.startsWith('revisions/')))
      assert.ok(listed.map(manifestName).includes(name.split('/')[1]!), `${name} is left`);
    await this.#alone('reader', async storage => {
      const repository = new Repository(storage, this.#repository.keys);
      for (const manifest of await repository.manifests()) {
        const blocks = await readBack(repository, manifest);
        const expected = this.#contents.get(manifest.snapshot);
        if (expected) assert.deepEqual(blocks, expected);
      }
      for (const id of await repository.forgottenNames())
        assert.ok((await repository.snapshotNames()).includes(id));
    });
  }

  async #alone(name: string, work: (storage: Storage) => Promise<void>): Promise<void> {
    const process = this.#world.start(name, work);
    await setImmediate();
    while (!process.ended) await this.#world.turn(process, { naps: true });
    if (process.failure) throw process.failure;
  }
}

const ROGUE = { hold: async () => {}, release: async () => {} } as unknown as Lease;

for (const compacting of [false, true]) {
  const runs = compacting ? Math.ceil(RUNS / 2) : RUNS;
  const what = `${runs} random histories of one repository${compacting ? ', with much to compact' : ''}`;
  test(what, async t => {
    const first = process.env.TIDEMARK_SEED;
    const total: Record<string, number> = {};
    for (let i = 0; i < (first === undefined ? runs : 1); i++) {
      const seed = first === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(first);
      const counts = await playOne(seed, compacting);
      for (const [key, count] of Object.entries(counts)) total[key] = (total[key] ?? 0) + count;
    }
    t.diagnostic(JSON.stringify(total));
  });
}

async function playOne(seed: number, compacting: boolean): Promise<Run['counts']> {
  mock.timers.enable({ apis: ['setInterval'] });
  const run = new Run(seed, compacting);
  try {
    await run.play();
    return run.counts;
  } catch (error) {
    const message = `TIDEMARK_SEED=${seed}: ${(error as Error).message}\n${run.trace(80)}`;
    throw new Error(message, { cause: error });
  } finally {
    mock.timers.reset();
  }
}
