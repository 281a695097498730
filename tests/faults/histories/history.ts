import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { TidemarkError } from '../../../src/base/errors.ts';
import { collect } from '../../../src/repository/collect/collect.ts';
import { GRACE_MS, planCollection } from '../../../src/repository/collect/collectionPlan.ts';
import { compact } from '../../../src/repository/collect/compact.ts';
import { planCompaction } from '../../../src/repository/collect/compactionPlan.ts';
import { readHoldings } from '../../../src/repository/collect/contents.ts';
import { packName } from '../../../src/repository/format/packName.ts';
import { Forgetting } from '../../../src/repository/guards/forgetting.ts';
import { placeHold, readHolds, releaseHold } from '../../../src/repository/guards/holds.ts';
import { LEASE_TTL_MS, Lease } from '../../../src/repository/guards/lease.ts';
import { newKeyText } from '../../../src/repository/keys/keyText.ts';
import { type Manifest, manifestName, snapshotOf } from '../../../src/repository/manifest.ts';
import { Repository } from '../../../src/repository/repository.ts';
import { endDeadCompactions } from '../../../src/repository/rewrite/compactions.ts';
import { UNFINISHED_DAYS } from '../../../src/repository/write/unfinished.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { type Blocks, readBack, smallBackup } from '../../support/smallBackup.ts';
import { type Process, seeded, World } from '../world.ts';
import { KEY_CHANGES, type KeyChange, Secrets } from './secrets.ts';

const STEPS = 80;
const PROCESSES_MAX = 5;
/** How likely the process whose turn it is gets killed instead. */
const KILL = 0.002;
const KILL_COMPACTING = 0.005;
const MINUTE_MS = 60_000;
const PIECES = 8;
const RULES = { maxDead: 0.4, freedBytesMin: 0 };
const EXPECTED = new Set([
  ...['LEASE_LOST', 'PRUNE_RUNNING', 'OBJECT_MISSING', 'ABANDONED'],
  ...['SNAPSHOT_HELD', 'SNAPSHOT_GONE', 'HOLD_UNCERTAIN'],
]);
/** Where somebody else changes keys. */
const EXPECTED_OF_KEYS = new Set([
  ...['KEYS_BUSY', 'SLOT_UNKNOWN', 'NOT_CONFIRMED', 'EPOCH_UNKNOWN', 'KEY_RETIRED', 'KEYS_LEFT_BEHIND'],
]);
const COMPACTING_KINDS = ['backup', 'backup', 'forget', 'prune', 'prune', 'rogue'];
/** What was never finished keeps packs from being emptied. */
const CHECKPOINT = 0.3;
const CHECKPOINT_COMPACTING = 0.05;
const KINDS = [
  ...['backup', 'backup', 'unfinished', 'copy', 'heal', 'forget', 'forget', 'forget'],
  ...['hold', 'hold', 'release', 'prune', 'prune', 'rogue'],
];
/** Compacting: with snapshots that outlive most of what they share, and prunes more often. Keys: with changes of keys. */
export type Flavour = 'plain' | 'compacting' | 'keys';

export class History {
  readonly #world = new World(new Date('2026-11-21T02:00:00Z'));
  readonly #random: () => number;
  readonly #manifests = new Map<string, Manifest>();
  readonly #contents = new Map<string, Blocks>();
  /** Holds that were placed, and whose release has not begun: snapshot, then holds. */
  readonly #held = new Map<string, Set<string>>();
  readonly #released = new Set<string>();
  #processes: Process[] = [];
  readonly #secrets: Secrets;
  /** What those who were opened for a process read what it writes with. */
  readonly #keys = new Map<Process, Repository['keys']>();
  /** Who opened it with a secret that was good by then. */
  readonly #good = new Map<Process, number>();
  #started = 0;
  readonly counts = {
    backups: 0,
    unfinished: 0,
    copies: 0,
    healed: 0,
    keys: 0,
    epochs: 0,
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

  readonly #flavour: Flavour;

  constructor(seed: number, flavour: Flavour) {
    this.#random = seeded(seed);
    this.#flavour = flavour;
    this.#secrets = new Secrets(newKeyText());
  }

  get #compacting(): boolean {
    return this.#flavour === 'compacting';
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
    await this.#alone('init', async storage => {
      await Repository.create(storage, this.#secrets.owner, new Date(this.#world.timeMs));
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
    const kind = this.#pick(this.#kinds());
    const process = this.#world.start(`${kind} ${number}`, async (storage, nap) => {
      if ((KEY_CHANGES as readonly string[]).includes(kind))
        return this.#changeKeys(kind as KeyChange, storage);
      await Promise.resolve(); // until the process is known
      const repository = await this.#open(storage, process);
      if (kind === 'backup' || kind === 'unfinished') return this.#backup(repository, nap, kind);
      if (kind === 'copy') return this.#copy(repository, nap);
      if (kind === 'heal') return this.#heal(repository, nap);
      if (kind === 'forget') return this.#forget(repository, nap);
      if (kind === 'hold') return this.#hold(repository, nap);
      if (kind === 'release') return this.#release(repository, nap);
      return this.#prune(repository, nap, { rogue: kind === 'rogue' });
    });
    this.#processes.push(process);
  }

  #kinds(): readonly string[] {
    if (this.#flavour === 'keys') return [...KINDS, ...KEY_CHANGES, ...KEY_CHANGES, 'backup'];
    if (!this.#compacting) return KINDS;
    const some = this.#chance(0.2) ? KINDS : KINDS.filter(kind => kind !== 'unfinished');
    return [...some, ...COMPACTING_KINDS];
  }

  /** With any secret that must open it. */
  async #open(storage: Storage, process: Process): Promise<Repository> {
    const chosen = this.#pick(this.#secrets.sure());
    this.#good.set(process, chosen);
    const repository = await Repository.open(storage, this.#secrets.of(chosen));
    this.#keys.set(process, repository.keys);
    return repository;
  }

  async #changeKeys(kind: KeyChange, storage: Storage): Promise<void> {
    await this.#secrets.change(kind, storage, of => this.#pick(of));
    this.counts.keys++;
    if (kind === 'epoch') this.counts.epochs++;
  }

  /** An unfinished one has said what it stored, and fails. */
  async #backup(repository: Repository, nap: () => Promise<void>, kind: string): Promise<void> {
    const blocks: Blocks = {};
    for (const [name, variants] of [
      ['a', 1],
      ['b', 2],
    ] as const)
      blocks[name] = `${name}${Math.floor(this.#random() * variants)}`;
    blocks.c = this.#pieces();
    const stored = async () => {
      await nap();
      if (kind !== 'unfinished') return;
      this.counts.unfinished++;
      throw new TidemarkError('ABANDONED', 'the source went away', 'a test');
    };
    const checkpoint =
      kind === 'unfinished' || this.#chance(this.#compacting ? CHECKPOINT_COMPACTING : CHECKPOINT);
    const manifest = await smallBackup(repository, blocks, {
      ...{ previousFound: nap, stored, held: nap, checkpoint },
    });
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

  /** Brings a snapshot that is here anew, and then ends the one that was here before, held or not. */
  async #heal(repository: Repository, nap: () => Promise<void>): Promise<void> {
    const names = (await repository.snapshotNames()).filter(name => this.#contents.has(snapshotOf(name)));
    if (names.length === 0) return;
    const name = this.#pick(names);
    const blocks = this.#contents.get(snapshotOf(name))!;
    const whole = await smallBackup(repository, blocks, { previousFound: nap, held: nap }, snapshotOf(name));
    await nap();
    const forgetting = await Forgetting.begin(repository);
    try {
      await forgetting.replace(name, manifestName(whole));
      this.counts.healed++;
    } finally {
      await forgetting.end();
    }
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
      this.#manifests.set(id, this.#keys.get(process)!.open(name, sealed, name) as Manifest);
    }
    if (what === 'remove' && name.startsWith('snapshots/')) this.#watchForgotten(id, process);
    if (what === 'put' && name.startsWith('revisions/')) this.#watchRevision(name, process);
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
   * Nobody removes a snapshot that is held; but for a backup that takes back its own, one that was healed, and a removal
   * that comes so long after the last look that docs/recovery.md says it may.
   */
  #watchForgotten(name: string, process: Process): void {
    const snapshot = snapshotOf(name);
    const twins = [...this.#world.objects.keys()].filter(each => each.startsWith(`snapshots/${snapshot}`));
    if (twins.length > 1 && process.name.startsWith('heal')) return;
    const holds = this.#held.get(snapshot);
    if (/^(backup|copy|heal|unfinished)/.test(process.name) || !holds?.size) return;
    const late = this.#world.timeMs - process.leaseWrittenMs > LEASE_TTL_MS;
    assert.ok(
      late,
      `${process.name} removes snapshot ${snapshot}, which is held by ${[...holds].join(', ')}`,
    );
    this.counts.late++;
    holds.clear();
  }

  /** It counts where no later one is there. */
  #watchRevision(name: string, process: Process): void {
    const sealed = this.#world.objects.get(name)!.data;
    const [, of, number] = name.split('/');
    const known = this.#manifests.get(of!);
    assert.ok(known, `${name} is of a snapshot that never was`);
    if (sealed.length === 0 || Number(number) < (known.revised?.number ?? 0)) return;
    this.#manifests.set(of!, this.#keys.get(process)!.open(name, sealed, name) as Manifest);
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
    if (EXPECTED.has(code ?? '')) return;
    if (this.#flavour === 'keys' && EXPECTED_OF_KEYS.has(code ?? '')) return;
    // What opened it may have been taken away meanwhile.
    const secret = this.#good.get(process);
    if (code === 'KEY_WRONG' && secret !== undefined && !this.#secrets.sure().includes(secret)) return;
    throw process.failure;
  }

  /** Enough time and prunes: what is listed is whole, and nothing else is left. */
  async #settle(): Promise<void> {
    await this.#alone('keys', storage => this.#secrets.judge(storage));
    await this.#alone('releasing', async (storage, process) => {
      const repository = await this.#open(storage, process);
      const all = await readHolds(repository, await storage.now());
      for (const [snapshot, holds] of this.#held) {
        const there = (all.get(snapshot) ?? []).map(hold => hold.id);
        assert.ok([...holds].every(id => there.includes(id)));
      }
      for (const [snapshot, holds] of all)
        for (const { id } of holds) await releaseHold(repository, snapshot, id);
    });
    this.#world.timeMs += UNFINISHED_DAYS * 24 * 60 * MINUTE_MS; // nobody goes on from what was never finished
    for (let i = 0; i < 8; i++) {
      await this.#alone('last prune', async (storage, process) => {
        const { emptied } = this.counts;
        const repository = await this.#open(storage, process);
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
      there.filter(name => /^(condemned|leases(?!\/keys)|holds|compactions|unfinished)\//.test(name)),
      [],
    );
    for (const name of there.filter(name => name.startsWith('revisions/')))
      assert.ok(listed.map(manifestName).includes(name.split('/')[1]!), `${name} is left`);
    await this.#alone('reader', async (storage, process) => {
      const repository = await this.#open(storage, process);
      for (const manifest of await repository.manifests()) {
        const blocks = await readBack(repository, manifest);
        const expected = this.#contents.get(manifest.snapshot);
        if (expected) assert.deepEqual(blocks, expected);
      }
      for (const id of await repository.forgottenNames())
        assert.ok((await repository.snapshotNames()).includes(id));
    });
  }

  async #alone(name: string, work: (storage: Storage, process: Process) => Promise<void>): Promise<void> {
    const process: Process = this.#world.start(name, async storage => {
      await Promise.resolve(); // until the process is known
      await work(storage, process);
    });
    await setImmediate();
    while (!process.ended) await this.#world.turn(process, { naps: true });
    if (process.failure) throw process.failure;
  }
}

const ROGUE = { hold: async () => {}, release: async () => {} } as unknown as Lease;

/** One history, from its seed. What goes wrong is thrown with the seed and what happened last. */
export async function play(seed: number, flavour: Flavour): Promise<History['counts']> {
  mock.timers.enable({ apis: ['setInterval'] });
  const history = new History(seed, flavour);
  try {
    await history.play();
    return history.counts;
  } catch (error) {
    const message = `TIDEMARK_SEED=${seed} (${flavour}): ${(error as Error).message}\n${history.trace(80)}`;
    throw new Error(message, { cause: error });
  } finally {
    mock.timers.reset();
  }
}
