import { Worker } from 'node:worker_threads';
import { receiveError, workerFile } from '../../base/worker.ts';
import type { FromRestoreWorker, RestoreWork, RestoreWorkerData, ToRestoreWorker } from './protocol.ts';

/** One restore worker; one piece of work at a time. */
export class Lane {
  readonly #worker: Worker;
  #pid = '';
  #resolve: (rows: number) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #works = 0;
  busy = false;

  private constructor(worker: Worker, progress: (bytes: number) => void) {
    this.#worker = worker;
    worker.on('error', error => this.#reject(error));
    worker.on('exit', code => this.#reject(new Error(`a restore worker ended with code ${code}`)));
    worker.on('message', (message: FromRestoreWorker) => {
      if (message.type === 'progress') progress(message.bytes);
      else if (message.type === 'failed') this.#reject(receiveError(message.error));
      else if (message.type === 'done') this.#resolve(message.rows);
      else {
        if (message.type === 'ready') this.#pid = message.pid;
        this.#resolve(0);
      }
    });
  }

  static async open(workerData: RestoreWorkerData, progress: (bytes: number) => void): Promise<Lane> {
    const worker = new Worker(workerFile('./worker', import.meta.url), { workerData });
    const lane = new Lane(worker, progress);
    try {
      await lane.#answer();
      return lane;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** The server's process, for cancelling what it does. */
  get pid(): string {
    return this.#pid;
  }

  /** Rows loaded. */
  async run(work: RestoreWork): Promise<number> {
    this.busy = true;
    const answer = this.#answer();
    this.#tell({ type: 'work', id: ++this.#works, work });
    try {
      return await answer;
    } finally {
      this.busy = false;
    }
  }

  async close(): Promise<void> {
    const closed = this.#answer();
    this.#tell({ type: 'close' });
    await closed.catch(() => {});
    await this.kill();
  }

  async kill(): Promise<void> {
    this.#worker.removeAllListeners('exit');
    await this.#worker.terminate();
  }

  #answer(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #tell(message: ToRestoreWorker): void {
    this.#worker.postMessage(message);
  }
}
