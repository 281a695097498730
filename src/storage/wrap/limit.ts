import { setTimeout as sleep } from 'node:timers/promises';
import type { Storage } from '../storage.ts';
import { type Call, WrappedStorage } from './wrapped.ts';

export interface Limits {
  /** Calls under way at once. */
  connections?: number;
  /** Of puts and gets together, on average over some seconds; a single object goes as fast as it can. */
  bytesPerSecond?: number;
}

/**
 * Bounds how many calls run at once and how many bytes pass a second; calls wait their turn, first come first served.
 * Lists don't count: whoever reads one asks for other things meanwhile.
 * Those that carry no bytes wait for no others' bytes: a lease has to be renewed in time. A signal ends the waiting for
 * bytes, with its error.
 */
export class LimitedStorage extends WrappedStorage {
  readonly #connections: number;
  readonly #bytesPerSecond: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: (() => void)[] = [];
  #running = 0;
  /** When everything that was let through is paid for. */
  #paidAt = 0;

  constructor(inner: Storage, limits: Limits, signal?: AbortSignal) {
    super(inner);
    this.#connections = limits.connections ?? Number.POSITIVE_INFINITY;
    this.#bytesPerSecond = limits.bytesPerSecond;
    this.#signal = signal;
  }

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      // An object that is asked for as a whole has bytes too, however many.
      if (call.method === 'get' || call.sizeBytes) await this.#pay(call.sizeBytes ?? 0);
      const result = await run();
      // How long an object is that was asked for as a whole is known only now; the next call waits for it.
      if (call.sizeBytes === undefined && Buffer.isBuffer(result)) this.#charge(result.length);
      return result;
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#connections) this.#running++;
    else await new Promise<void>(go => this.#queue.push(go));
  }

  /** Hands the place over to the next in the queue: given back first, somebody else could take it as well. */
  #leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#running--;
  }

  async #pay(bytes: number): Promise<void> {
    const waitMs = this.#charge(bytes);
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#signal });
  }

  /** Milliseconds until what was let through before is paid for. */
  #charge(bytes: number): number {
    if (this.#bytesPerSecond === undefined) return 0;
    const now = performance.now();
    const start = Math.max(now, this.#paidAt);
    this.#paidAt = start + (bytes / this.#bytesPerSecond) * 1000;
    return start - now;
  }
}
