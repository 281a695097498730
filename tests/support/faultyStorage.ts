import { TidemarkError } from '../../src/base/errors.ts';
import { missing } from '../../src/storage/object.ts';
import type { Storage, StoredObject } from '../../src/storage/storage.ts';
import { type Call, WrappedStorage } from '../../src/storage/wrap/wrapped.ts';

/**
 * What can happen to a call:
 * - `error`: the storage says that it can't for the moment; nothing was done;
 * - `permanent`: it says that it won't; nothing was done;
 * - `timeout`: it says nothing; nothing was done;
 * - `cut`: the connection is lost before anything was done;
 * - `torn`: the connection is lost halfway. A put leaves no object; a list has given half of its objects; others: as `cut`;
 * - `lost`: the connection is lost after everything was done, and the answer with it;
 * - `stale`: what was written in the last moments is not seen, by a list, a stat or a get; nothing happens to others.
 *
 * All but `permanent` are temporary errors; `stale` is none at all.
 */
export type Fault = (typeof FAULTS)[number];

export const FAULTS = ['error', 'permanent', 'timeout', 'cut', 'torn', 'lost', 'stale'] as const;

export interface FaultPlan {
  /** The position of the call that it happens to, from 0. */
  at: number;
  fault: Fault;
  /** To so many calls, one after the other; default: 1. */
  times?: number;
}

/** What was written last, through all the storages that share it: what a stale answer leaves out. */
export class RecentWrites {
  readonly #depth: number;
  readonly #names: string[] = [];

  /** @param depth how many puts count as the last moments. */
  constructor(depth = 8) {
    this.#depth = depth;
  }

  add(name: string): void {
    this.#names.push(name);
    if (this.#names.length > this.#depth) this.#names.shift();
  }

  has(name: string): boolean {
    return this.#names.includes(name);
  }
}

/**
 * Counts the calls that reach it, and lets something happen to one of them: for finding out whether an operation bears it.
 * It belongs within what repeats calls.
 */
export class FaultyStorage extends WrappedStorage {
  /** So far; those that nothing happens to, too. */
  calls = 0;
  /** What it happened to. Empty where the position was never reached, or where nothing was there to be missed. */
  readonly hit: Call[] = [];
  readonly #plans: readonly FaultPlan[];
  readonly #recent: RecentWrites;

  /** @param plan of several, the first that names a position counts. */
  constructor(inner: Storage, plan: FaultPlan | readonly FaultPlan[] = [], recent = new RecentWrites()) {
    super(inner);
    this.#plans = [plan].flat();
    this.#recent = recent;
  }

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const fault = this.#next();
    if (fault === 'stale') return (await this.#stale(call, run)) as T;
    if (fault !== undefined) this.hit.push(call);
    if (fault !== undefined && fault !== 'lost') throw faultError(fault, call, this.place);
    const result = await run();
    if (call.method === 'put') this.#recent.add(call.name);
    if (fault === 'lost') throw faultError(fault, call, this.place);
    return result;
  }

  protected override async *aroundList(
    call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    const fault = this.#next();
    if (fault === undefined) {
      yield* run();
      return;
    }
    if (fault === 'stale') {
      yield* this.#staleList(call, run());
      return;
    }
    this.hit.push(call);
    if (fault === 'torn' || fault === 'lost') {
      const objects = await Array.fromAsync(run());
      yield* fault === 'torn' ? objects.slice(0, Math.ceil(objects.length / 2)) : objects;
    }
    throw faultError(fault, call, this.place);
  }

  async *#staleList(call: Call, objects: AsyncIterable<StoredObject>): AsyncIterable<StoredObject> {
    let all = true;
    for await (const object of objects) {
      if (!this.#recent.has(object.name)) yield object;
      else all = false;
    }
    if (!all) this.hit.push(call);
  }

  /** What happens to the call that comes now. */
  #next(): Fault | undefined {
    const position = this.calls++;
    return this.#plans.find(({ at, times = 1 }) => position >= at && position < at + times)?.fault;
  }

  async #stale(call: Call, run: () => Promise<unknown>): Promise<unknown> {
    const reads = call.method === 'get' || call.method === 'stat';
    if (!reads || !this.#recent.has(call.name)) {
      const result = await run();
      if (call.method === 'put') this.#recent.add(call.name);
      return result;
    }
    this.hit.push(call);
    if (call.method === 'stat') return undefined;
    throw missing(call.name, this.place);
  }
}

function faultError(fault: Exclude<Fault, 'stale'>, { method, name }: Call, place: string): TidemarkError {
  const { code, what, passing } = ERRORS[fault];
  return new TidemarkError(
    code,
    `can't ${method} ${name} in ${place}: ${what}`,
    'this fault was injected; run the command again',
    { retry: passing ? {} : undefined },
  );
}

const ERRORS: Record<Exclude<Fault, 'stale'>, { code: string; what: string; passing: boolean }> = {
  error: { code: 'STORAGE_UNAVAILABLE', what: 'the storage is not available', passing: true },
  permanent: { code: 'STORAGE_DENIED', what: 'the storage does not permit it', passing: false },
  timeout: { code: 'STORAGE_TIMEOUT', what: 'the storage does not answer', passing: true },
  cut: { code: 'STORAGE_LOST', what: 'the connection was lost', passing: true },
  torn: { code: 'STORAGE_LOST', what: 'the connection was lost halfway', passing: true },
  lost: { code: 'STORAGE_LOST', what: 'the connection was lost before the answer came', passing: true },
};
