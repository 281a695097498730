import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { holds } from '../object.ts';
import type { PutOptions, Storage, StoredObject } from '../storage.ts';
import { type Call, WrappedStorage } from './wrapped.ts';

/** Attempts a call gets in all. With the waits below, a storage may be away for about two minutes. */
const ATTEMPTS = 8;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A server that says when to come back is believed up to this. */
const LONGEST_WORD_MS = 120_000;

export interface RetryOptions {
  attempts?: number;
  firstWaitMs?: number;
  signal?: AbortSignal;
  /** Told before each wait. */
  waiting?: (call: Call, error: TidemarkError, waitMs: number) => void;
}

/**
 * Repeats calls that failed for the moment (`error.retry`), waiting longer each time, at random within the second half of the
 * wait, or as long as the server said.
 */
export class RetriedStorage extends WrappedStorage {
  readonly #options: RetryOptions;

  constructor(inner: Storage, options: RetryOptions = {}) {
    super(inner);
    this.#options = options;
  }

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.#options.signal?.throwIfAborted();
      try {
        return await run();
      } catch (error) {
        await this.#wait(call, error, attempt);
      }
    }
  }

  /** Throws the error where the call is not to be repeated. */
  async #wait(call: Call, error: unknown, attempt: number): Promise<void> {
    const { attempts = ATTEMPTS, firstWaitMs = FIRST_WAIT_MS, signal, waiting } = this.#options;
    if (!(error instanceof TidemarkError && error.retry) || attempt >= attempts) throw error;
    const longest = Math.min(LONGEST_WAIT_MS, firstWaitMs * 2 ** (attempt - 1));
    const own = longest / 2 + (Math.random() * longest) / 2;
    const waitMs = Math.max(own, Math.min(error.retry.afterMs ?? 0, LONGEST_WORD_MS));
    waiting?.(call, error, waitMs);
    await sleep(waitMs, undefined, { signal });
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

  /** Begins again after a failure and passes over what has been given already. */
  protected override async *aroundList(
    call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    const given = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      this.#options.signal?.throwIfAborted();
      try {
        for await (const object of run()) {
          if (given.has(object.name)) continue;
          given.add(object.name);
          yield object;
        }
        return;
      } catch (error) {
        await this.#wait(call, error, attempt);
      }
    }
  }
}
