import { TidemarkError } from '../../base/errors.ts';
import { holds } from '../object.ts';
import type { PutOptions, Storage, StoredObject } from '../storage.ts';
import { type RepeatOptions, repeated, waitAfter } from './repeat.ts';
import { type Call, WrappedStorage } from './wrapped.ts';

/** Names of a list that are remembered: some tens of megabytes. */
const GIVEN_MAX = 250_000;

export interface RetryOptions {
  attempts?: number;
  firstWaitMs?: number;
  signal?: AbortSignal;
  /** Told before each wait. */
  waiting?: (call: Call, error: TidemarkError, waitMs: number) => void;
}

/** Repeats calls that failed for the moment; repeat.ts says how long it waits. */
export class RetriedStorage extends WrappedStorage {
  readonly #options: RetryOptions;

  constructor(inner: Storage, options: RetryOptions = {}) {
    super(inner);
    this.#options = options;
  }

  protected around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    return repeated(run, this.#optionsFor(call));
  }

  #optionsFor(call: Call): RepeatOptions {
    const { waiting, ...options } = this.#options;
    return { ...options, waiting: (error, waitMs) => waiting?.(call, error, waitMs) };
  }

  /** A repeated put may meet what it wrote itself, where only the answer was lost. */
  override async put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    if (!options?.ifAbsent) return super.put(name, data, options);
    let attempts = 0;
    const call: Call = { method: 'put', name, ifAbsent: true };
    await this.around(call, async () => {
      attempts++;
      try {
        await this.inner.put(name, data, options);
      } catch (error) {
        const existed = error instanceof TidemarkError && error.code === 'OBJECT_EXISTS';
        if (!existed || attempts === 1 || !(await holds(this.inner, name, data))) throw error;
      }
    });
  }

  /**
   * Begins again after a failure and passes over what has been given already. One that got further counts as the first. A list
   * longer than GIVEN_MAX is not begun again: storages with pages repeat a page by themselves.
   */
  protected override async *aroundList(
    call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    const given = new Set<string>();
    let spentMs = 0;
    for (let attempt = 1; ; attempt++) {
      const before = given.size;
      const begun = performance.now();
      try {
        for await (const object of run()) {
          if (given.has(object.name)) continue;
          if (given.size < GIVEN_MAX) given.add(object.name);
          yield object;
        }
        return;
      } catch (error) {
        if (given.size >= GIVEN_MAX) throw error;
        if (given.size > before) {
          attempt = 1;
          spentMs = 0;
        } else spentMs += performance.now() - begun;
        await waitAfter(error, attempt, this.#optionsFor(call), spentMs);
      }
    }
  }
}
