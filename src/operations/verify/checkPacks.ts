import { receiveError, workerFile } from '../../base/worker.ts';
import { type PoolWorker, WorkerPool } from '../../base/workerPool.ts';
import type { PackFindings, PackJob } from '../../repository/check/check.ts';
import type { FromVerifyWorker, ToVerifyWorker, VerifyWorkerData } from './protocol.ts';

/** Packs a worker has at a time: one that is checked, one that is read meanwhile. */
const JOBS_A_WORKER = 2;

export interface CheckPacksOptions {
  workers: number;
  data: VerifyWorkerData;
  signal: AbortSignal;
  /** Called once for each job, in any order. */
  checked(job: JobFacts, findings: PackFindings): void;
}

/** What is kept of a job: its places are handed to the worker. */
export type JobFacts = Pick<PackJob, 'session' | 'number' | 'sizeBytes'>;

interface Checker {
  worker: PoolWorker<ToVerifyWorker>;
  busy: number;
}

/** Checks packs in several threads; never more than those can hold are taken from `jobs`. */
export async function checkPacks(jobs: AsyncIterable<PackJob>, options: CheckPacksOptions): Promise<void> {
  const pool = new WorkerPool<ToVerifyWorker, FromVerifyWorker>(
    workerFile('./worker', import.meta.url),
    options.signal,
  );
  try {
    await Promise.race([new PackCheckers(pool, options).run(jobs), pool.failure]);
  } finally {
    await pool.close();
  }
}

class PackCheckers {
  readonly #pool: WorkerPool<ToVerifyWorker, FromVerifyWorker>;
  readonly #options: CheckPacksOptions;
  readonly #checkers: Checker[] = [];
  readonly #jobs = new Map<number, { facts: JobFacts; checker: Checker }>();
  #wake: () => void = () => {};
  #next = 0;

  constructor(pool: WorkerPool<ToVerifyWorker, FromVerifyWorker>, options: CheckPacksOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async run(jobs: AsyncIterable<PackJob>): Promise<void> {
    this.#options.signal.throwIfAborted();
    for await (const job of jobs) {
      let checker = this.#free();
      while (!checker) {
        await this.#change();
        checker = this.#free();
      }
      this.#give(checker, job);
    }
    while (this.#jobs.size > 0) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise(wake => {
      this.#wake = wake;
    });
  }

  #free(): Checker | undefined {
    const [idlest] = [...this.#checkers].sort((a, b) => a.busy - b.busy);
    if (idlest?.busy === 0) return idlest;
    if (this.#checkers.length < this.#options.workers) return this.#start();
    return idlest && idlest.busy < JOBS_A_WORKER ? idlest : undefined;
  }

  #start(): Checker {
    const worker = this.#pool.start(this.#options.data, message => this.#received(message));
    const checker = { worker, busy: 0 };
    this.#checkers.push(checker);
    return checker;
  }

  #give(checker: Checker, job: PackJob): void {
    const id = this.#next++;
    const { session, number, sizeBytes, places, lists } = job;
    this.#jobs.set(id, { facts: { session, number, sizeBytes }, checker });
    checker.busy++;
    checker.worker.send({ id, job }, [places.numbers.buffer, places.ids.buffer, lists.buffer]);
  }

  #received(message: FromVerifyWorker): void {
    if (message.type === 'failed') throw receiveError(message.error);
    const { facts, checker } = this.#jobs.get(message.id)!;
    this.#jobs.delete(message.id);
    checker.busy--;
    this.#options.checked(facts, message.findings);
    this.#wake();
  }
}
