import { receiveError } from '../../base/worker.ts';
import type { PoolWorker, WorkerPool } from '../../base/workerPool.ts';
import type { FromRestoreWorker, RestoreWork, RestoreWorkerData, ToRestoreWorker } from './protocol.ts';

export type LoaderPool = WorkerPool<ToRestoreWorker, FromRestoreWorker>;

/** One connection to the target, in a thread of the pool; one piece of work at a time. */
export class Loader {
  readonly #pool: LoaderPool;
  readonly #worker: PoolWorker<ToRestoreWorker>;
  #pid = '';
  #answered = Promise.withResolvers<number>();
  #works = 0;
  busy = false;

  private constructor(pool: LoaderPool, workerData: RestoreWorkerData, progress: (bytes: number) => void) {
    this.#pool = pool;
    this.#worker = pool.start(workerData, message => {
      if (message.type === 'progress') progress(message.bytes);
      else if (message.type === 'failed') this.#answered.reject(receiveError(message.error));
      else if (message.type === 'done') this.#answered.resolve(message.rows);
      else {
        if (message.type === 'ready') this.#pid = message.pid;
        this.#answered.resolve(0);
      }
    });
  }

  static async open(
    pool: LoaderPool,
    workerData: RestoreWorkerData,
    progress: (bytes: number) => void,
  ): Promise<Loader> {
    const loader = new Loader(pool, workerData, progress);
    await loader.#answer();
    return loader;
  }

  /** The server's process, for cancelling what it does. */
  get pid(): string {
    return this.#pid;
  }

  /** Rows loaded. */
  async run(work: RestoreWork): Promise<number> {
    this.busy = true;
    try {
      return await this.#ask({ type: 'work', id: ++this.#works, work });
    } finally {
      this.busy = false;
    }
  }

  async close(): Promise<void> {
    await this.#ask({ type: 'close' }).catch(() => {});
  }

  #ask(message: ToRestoreWorker): Promise<number> {
    this.#answered = Promise.withResolvers();
    this.#worker.send(message);
    return this.#answer();
  }

  #answer(): Promise<number> {
    return Promise.race([this.#answered.promise, this.#pool.failure]);
  }
}
