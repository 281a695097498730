import { setImmediate } from 'node:timers/promises';
import { TidemarkError } from '../../src/base/errors.ts';
import type { Storage, StoredObject } from '../../src/storage/storage.ts';

/** Of each storage call: the clock goes on by so much, so that no two are at one time. */
const STEP_MS = 1000;

interface Call {
  run(): void;
  /** A process that takes its time; skipped where only storage calls may go on. */
  nap: boolean;
}

/** A process of the world: what it asks of the storage waits until it is given a turn. */
export class Process {
  readonly name: string;
  readonly calls: Call[] = [];
  ended = false;
  killed = false;
  failure: unknown;
  /** What it wrote under snapshots/, and when it last wrote a lease. */
  committed: string | undefined;
  leaseWrittenMs = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * One storage in memory, one clock, and processes that use both, each call in two steps as far as a real one is: what is
 * put is dated before it is to be seen, what is listed may be gone when it is looked at. Who goes next is the test's choice.
 */
export class World {
  readonly objects = new Map<string, { data: Buffer; modifiedMs: number }>();
  readonly trace: string[] = [];
  timeMs: number;
  /** Called before an object is removed and after one is to be seen. */
  watch: (what: 'put' | 'remove', name: string, process: Process) => void = () => {};

  constructor(start: Date) {
    this.timeMs = start.getTime();
  }

  /** Starts a process; it runs until its first storage call. */
  start(name: string, work: (storage: Storage, nap: () => Promise<void>) => Promise<void>): Process {
    const process = new Process(name);
    const nap = () => this.#turn(process, true, () => {});
    work(new WorldStorage(this, process), nap)
      .catch(error => {
        process.failure = error;
      })
      .finally(() => {
        process.ended = true;
        this.note(process, process.failure ? `failed: ${String(process.failure)}` : 'ended');
      });
    return process;
  }

  /** Lets a process make one call; false if it has none to make. */
  async turn(process: Process, options: { naps: boolean }): Promise<boolean> {
    const at = process.calls.findIndex(call => options.naps || !call.nap);
    if (process.killed || at === -1) return false;
    const [call] = process.calls.splice(at, 1);
    this.timeMs += STEP_MS;
    call!.run();
    await setImmediate();
    return true;
  }

  /** From now on nothing it asks for happens. */
  kill(process: Process): void {
    process.killed = process.ended = true;
    process.calls.length = 0;
    this.note(process, 'killed');
  }

  note(process: Process, what: string): void {
    this.trace.push(`${new Date(this.timeMs).toISOString()} ${process.name}: ${what}`);
  }

  ask<T>(process: Process, work: () => T): Promise<T> {
    return this.#turn(process, false, work);
  }

  #turn<T>(process: Process, nap: boolean, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (process.killed) return;
      const run = () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      process.calls.push({ run, nap });
    });
  }
}

class WorldStorage implements Storage {
  readonly place = 'the world';
  readonly #world: World;
  readonly #process: Process;

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
  }

  async put(name: string, data: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<void> {
    const bytes = Buffer.concat(data);
    const modifiedMs = await this.#ask(() => this.#world.timeMs);
    await this.#ask(() => {
      const { objects } = this.#world;
      if (options?.ifAbsent && objects.has(name)) throw missing('OBJECT_EXISTS', name);
      objects.set(name, { data: bytes, modifiedMs });
      this.#world.note(this.#process, `put ${name}`);
      if (name.startsWith('leases/')) this.#process.leaseWrittenMs = modifiedMs;
      if (name.startsWith('snapshots/')) this.#process.committed = name;
      this.#world.watch('put', name, this.#process);
    });
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#ask(() => {
      const found = this.#world.objects.get(name);
      if (!found) throw missing('OBJECT_MISSING', name);
      return Buffer.from(range ? found.data.subarray(range.offset, range.offset + range.length) : found.data);
    });
  }

  stat(name: string): Promise<StoredObject | undefined> {
    return this.#ask(() => this.#look(name));
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const names = await this.#ask(() =>
      [...this.#world.objects.keys()].filter(name => name.startsWith(prefix)).sort(),
    );
    if (names.length === 0) return;
    yield* await this.#ask(() => names.flatMap(name => this.#look(name) ?? []));
  }

  remove(name: string): Promise<void> {
    return this.#ask(() => {
      this.#world.note(this.#process, `remove ${name}`);
      this.#world.watch('remove', name, this.#process);
      this.#world.objects.delete(name);
    });
  }

  now(): Promise<Date> {
    return this.#ask(() => new Date(this.#world.timeMs));
  }

  async close(): Promise<void> {}

  #ask<T>(work: () => T): Promise<T> {
    return this.#world.ask(this.#process, work);
  }

  #look(name: string): StoredObject | undefined {
    const found = this.#world.objects.get(name);
    return found && { name, sizeBytes: found.data.length, modified: new Date(found.modifiedMs) };
  }
}

function missing(code: string, name: string): TidemarkError {
  return new TidemarkError(code, `${name}: ${code}`, 'a test', {
    kind: code === 'OBJECT_MISSING' ? 'fault' : 'failed',
  });
}

/** Mulberry32: numbers from 0 up to 1 that depend on the seed alone. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
