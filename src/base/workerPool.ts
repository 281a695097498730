import { Worker } from 'node:worker_threads';

/** A thread of a pool, and what it is sent. */
export interface PoolWorker<Sent> {
  /** What is in `transfer` is the worker's afterwards. */
  send(message: Sent, transfer?: readonly ArrayBuffer[]): void;
}

/**
 * Threads that do the same work. The first failure, be it an error of a thread, its end before `close`, what `received`
 * throws, or the interruption, is the pool's; what its user waits for is to be raced against that.
 */
export class WorkerPool<Sent, Received> {
  /** Rejects with the first failure; never resolves. */
  readonly failure: Promise<never>;
  readonly #file: URL;
  readonly #signal: AbortSignal | undefined;
  readonly #threads: Worker[] = [];
  readonly #aborted = () => this.fail(this.#signal?.reason);
  #reject: (error: unknown) => void = () => {};

  /**
   * @param file the worker's; see `workerFile`.
   * @param signal an interruption that fails the pool; without one, its user ends what the workers are at.
   */
  constructor(file: URL, signal?: AbortSignal) {
    this.#file = file;
    this.#signal = signal;
    this.failure = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.failure.catch(() => {}); // whoever waits for the pool hears of it
    if (signal?.aborted) this.fail(signal.reason);
    signal?.addEventListener('abort', this.#aborted, { once: true });
  }

  /** @param workerData given to the thread as it is: plain data. */
  start(
    workerData: unknown,
    received: (message: Received, worker: PoolWorker<Sent>) => void | Promise<void>,
  ): PoolWorker<Sent> {
    const thread = new Worker(this.#file, { workerData });
    const worker: PoolWorker<Sent> = {
      send: (message, transfer = []) => thread.postMessage(message, [...transfer]),
    };
    this.#threads.push(thread);
    thread.on('error', error => this.fail(error));
    thread.on('exit', code => this.fail(new Error(`a worker ended with code ${code}`)));
    thread.on('message', (message: Received) => {
      try {
        received(message, worker)?.catch(error => this.fail(error));
      } catch (error) {
        this.fail(error);
      }
    });
    return worker;
  }

  /** Only the first failure counts. */
  fail(error: unknown): void {
    this.#reject(error);
  }

  /** Ends the threads, whatever they are at. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#aborted);
    for (const thread of this.#threads) thread.removeAllListeners('exit');
    await Promise.all(this.#threads.map(thread => thread.terminate()));
  }
}
