/**
 * Holds and forgettings of the same snapshot at once, in random turns, with naps, and processes killed at any storage call:
 * whoever was told that the hold was placed finds the snapshot there, for as long as nobody releases it. Each run follows
 * from its seed; TIDEMARK_SEED repeats one, TIDEMARK_RUNS says how many.
 */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Forgetting } from '../../src/repository/guards/forgetting.ts';
import { placeHold, readHolds } from '../../src/repository/guards/holds.ts';
import { LEASE_TTL_MS } from '../../src/repository/guards/lease.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { Repository } from '../../src/repository/repository.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type Process, seeded, World } from './world.ts';

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 1500);
const KILL = 0.01;
const NAP_MS = [1000, 60_000, 29 * 60_000, 31 * 60_000];
const SNAPSHOT = '20261121-020000000-00000001';
const EXPECTED = new Set([
  'SNAPSHOT_HELD',
  'SNAPSHOT_GONE',
  'HOLD_UNCERTAIN',
  'LEASE_LOST',
  'OBJECT_MISSING',
]);

class Race {
  readonly #random: () => number;
  readonly #world = new World(new Date('2026-11-21T02:00:00Z'));
  #repository!: Repository;
  #placed = 0;
  readonly counts = { placed: 0, gone: 0, held: 0, uncertain: 0, lost: 0, forgotten: 0, late: 0, kills: 0 };

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  async play(): Promise<void> {
    await this.#create();
    this.#world.watch = (what, name, process) => {
      if (what === 'remove' && name.startsWith('snapshots/')) this.#watchRemoval(process);
    };
    const kinds = [
      'forget',
      'hold',
      ...Array.from({ length: 3 }, () => (this.#chance(0.5) ? 'forget' : 'hold')),
    ];
    const processes: Process[] = [];
    while (kinds.length + processes.filter(each => !each.ended).length > 0) {
      const running = processes.filter(each => !each.ended);
      if (kinds.length > 0 && (running.length === 0 || this.#chance(0.15)))
        processes.push(this.#start(kinds.pop()!));
      else if (this.#chance(0.02)) await this.#sleep(running);
      else await this.#turn(running[Math.floor(this.#random() * running.length)]!);
    }
    for (const each of processes) this.#judge(each);
    await this.#check();
  }

  trace(): string {
    return this.#world.trace.join('\n');
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  async #create(): Promise<void> {
    const secret = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
    const manifest = { format: 1, snapshot: SNAPSHOT, packs: [] } as unknown as Manifest;
    await this.#alone(async storage => {
      this.#repository = await Repository.create(storage, secret, new Date(this.#world.timeMs));
      await this.#repository.commit(manifest);
    });
  }

  #start(kind: string): Process {
    return this.#world.start(kind, async (storage, nap) => {
      const repository = new Repository(storage, this.#repository.keys);
      if (kind === 'forget') return this.#forget(repository);
      const text = { reason: 'a test', until: null, by: 'nobody' };
      await placeHold(repository, SNAPSHOT, text, { tries: 30, pause: nap });
      this.#placed++;
      this.counts.placed++;
      assert.ok(this.#world.objects.has(`snapshots/${SNAPSHOT}`), 'placed, and the snapshot is gone');
    });
  }

  async #forget(repository: Repository): Promise<void> {
    const forgetting = await Forgetting.begin(repository);
    try {
      await forgetting.forget(SNAPSHOT);
    } finally {
      await forgetting.end();
    }
  }

  async #turn(process: Process): Promise<void> {
    if (this.#chance(KILL)) {
      this.counts.kills++;
      this.#world.kill(process);
    } else await this.#world.turn(process, { naps: true });
  }

  /** Time passes for all; some are awake enough to renew their leases. */
  async #sleep(running: Process[]): Promise<void> {
    this.#world.timeMs += NAP_MS[Math.floor(this.#random() * NAP_MS.length)]!;
    if (this.#chance(0.5)) return;
    mock.timers.tick(5 * 60_000);
    await setImmediate();
    for (const each of running) await this.#world.turn(each, { naps: false });
  }

  /** docs/recovery.md: but for a removal that arrives when its lease has ended. */
  #watchRemoval(process: Process): void {
    this.counts.forgotten++;
    if (this.#placed === 0) return;
    const late = this.#world.timeMs - process.leaseWrittenMs > LEASE_TTL_MS;
    assert.ok(late, 'a snapshot is removed that is held');
    this.counts.late++;
    this.#placed = 0;
  }

  #judge({ failure }: Process): void {
    const { code = '' } = (failure ?? {}) as { code?: string };
    if (failure && !EXPECTED.has(code)) throw failure;
    if (code === 'SNAPSHOT_GONE') this.counts.gone++;
    if (code === 'SNAPSHOT_HELD') this.counts.held++;
    if (code === 'HOLD_UNCERTAIN') this.counts.uncertain++;
    if (code === 'LEASE_LOST') this.counts.lost++;
  }

  /** A snapshot that is held is there, and each hold that was placed. */
  async #check(): Promise<void> {
    const there = this.#world.objects.has(`snapshots/${SNAPSHOT}`);
    assert.ok(there || this.#placed === 0);
    await this.#alone(async storage => {
      const repository = new Repository(storage, this.#repository.keys);
      const holds = await readHolds(repository, await storage.now());
      assert.ok((holds.get(SNAPSHOT)?.length ?? 0) >= this.#placed);
    });
  }

  async #alone(work: (storage: Storage) => Promise<void>): Promise<void> {
    const process = this.#world.start('alone', work);
    await setImmediate();
    while (!process.ended) await this.#world.turn(process, { naps: true });
    if (process.failure) throw process.failure;
  }
}

test(`${RUNS} races of holds and forgettings`, async t => {
  const first = process.env.TIDEMARK_SEED;
  const total: Record<string, number> = {};
  for (let i = 0; i < (first === undefined ? RUNS : 1); i++) {
    const seed = first === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(first);
    mock.timers.enable({ apis: ['setInterval'] });
    const race = new Race(seed);
    try {
      await race.play();
    } catch (error) {
      throw new Error(`TIDEMARK_SEED=${seed}: ${(error as Error).message}\n${race.trace()}`, {
        cause: error,
      });
    } finally {
      mock.timers.reset();
    }
    for (const [key, count] of Object.entries(race.counts)) total[key] = (total[key] ?? 0) + count;
  }
  t.diagnostic(JSON.stringify(total));
});
