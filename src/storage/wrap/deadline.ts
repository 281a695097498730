import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import type { Storage, StoredObject } from '../storage.ts';
import { type Call, WrappedStorage } from './wrapped.ts';

/** What a call may take beside its bytes. */
const CALL_MS = 120_000;
/** Of a whole object whose length nobody knows, and between two objects of a list, which repeats its pages itself. */
const UNKNOWN_MS = 600_000;
/** Bytes that come or go more slowly than this are as good as none. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;
/** A day; a timer takes 24 of them. */
const LONGEST_MS = 24 * 3600_000;
/** How long a call that is under way may go on after an interruption: one that is nearly done is done rather than in doubt. */
const INTERRUPTED_MS = 3_000;
/** What is asked after an interruption, to clean up, may take so long. */
const CLEANING_MS = 10_000;
/** After so long without an answer it is said that somebody waits, and then each time after the second. */
const TOLD_AFTER_MS = 10_000;
const TOLD_AGAIN_MS = 60_000;

export interface DeadlineOptions {
  signal?: AbortSignal;
  /** For people: told when a call takes long. */
  waiting?(line: string): void;
  /** Instead of CALL_MS and UNKNOWN_MS. */
  callMs?: number;
}

/**
 * Ends every attempt of a call: after a time that its bytes may take, or soon after an interruption, whatever the storage
 * below is waiting for. What it had begun may still happen, as where an answer is lost.
 */
export class DeadlineStorage extends WrappedStorage {
  readonly #options: DeadlineOptions;
  #told = Number.NEGATIVE_INFINITY;

  constructor(inner: Storage, options: DeadlineOptions = {}) {
    super(inner);
    this.#options = options;
  }

  protected around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    return this.#within(call, this.#limitOf(call), run());
  }

  protected override async *aroundList(
    call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    const objects = run()[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (;;) {
        const next = await this.#within(call, this.#options.callMs ?? UNKNOWN_MS, objects.next());
        if (next.done) {
          ended = true;
          return;
        }
        yield next.value;
      }
    } finally {
      // One that hangs would hang here too.
      if (!ended) objects.return?.().catch(() => {});
    }
  }

  #limitOf({ method, sizeBytes }: Call): number {
    const { callMs } = this.#options;
    if (sizeBytes === undefined) return callMs ?? (method === 'get' ? UNKNOWN_MS : CALL_MS);
    const bytesMs = (sizeBytes / SLOWEST_BYTES_PER_SECOND) * 1000;
    return Math.min((callMs ?? CALL_MS) + bytesMs, LONGEST_MS);
  }

  async #within<T>(call: Call, limitMs: number, running: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    const cleaning = signal?.aborted === true;
    const over = new AbortController();
    const interrupted = Promise.withResolvers<never>();
    const onAbort = () => {
      sleep(INTERRUPTED_MS, undefined, { signal: over.signal }).then(
        () => interrupted.reject(signal!.reason),
        () => {},
      );
    };
    if (!cleaning) signal?.addEventListener('abort', onAbort, { once: true });
    const limit = cleaning ? Math.min(CLEANING_MS, limitMs) : limitMs;
    // What the storage waits for keeps the process alive, not the watch over it.
    const timeout = sleep(limit, undefined, { signal: over.signal, ref: false }).then(() => {
      throw tooLong(call, this.place, limit);
    });
    timeout.catch(() => {});
    interrupted.promise.catch(() => {});
    const teller = setInterval(
      () => this.#tell(call),
      Math.min(TOLD_AFTER_MS + (call.sizeBytes ?? 0) / 256, LONGEST_MS),
    ).unref();
    try {
      return await Promise.race([running, timeout, interrupted.promise]);
    } finally {
      running.catch(() => {});
      over.abort();
      clearInterval(teller);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #tell({ method, name }: Call): void {
    const now = performance.now();
    if (now - this.#told < TOLD_AGAIN_MS) return;
    this.#told = now;
    this.#options.waiting?.(`waiting for ${this.place}: no answer yet to ${method} ${name}`.trimEnd());
  }
}

function tooLong({ method, name }: Call, place: string, limitMs: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_TIMEOUT',
    `can't ${method} ${name || 'the storage'} in ${place}: it was not done after ${Math.round(limitMs / 1000)} s`,
    "look at the network of this machine, and whether the storage is well: 'tidemark doctor storage' tries it",
    { retry: {} },
  );
}
