import { Worker } from 'node:worker_threads';
import { receiveError, workerFile } from '../../base/worker.ts';
import type { PackFindings, PackJob } from '../../repository/check/check.ts';
import type { FromVerifyWorker, ToVerifyWorker, VerifyWorkerData } from './protocol.ts';

/** Packs a worker has at a time: one that is checked, one that is read meanwhile. */
const JOBS_A_WORKER = 2;

export interface CrewOptions {
  workers: number;
  data: VerifyWorkerData;
  signal: AbortSignal;
  /** Called once for each job, in any order. */
  checked(job: JobFacts, findings: PackFindings): void;
}

/** What is kept of a job: its places are handed to the worker. */
export type JobFacts = Pick<PackJob, 'session' | 'number' | 'sizeBytes'>;

/** Hands jobs to the workers as they ask for them; never more than those can hold are taken from `jobs`. */
export async function runCrew(jobs: AsyncIterable<PackJob>, options: CrewOptions): Promise<void> {
  const crew = new Crew(options);
  try {
    await Promise.race([crew.run(jobs), crew.failure]);
  } finally {
    await crew.dismiss();
  }
}

class Crew {
  readonly failure: Promise<never>;
  readonly #options: CrewOptions;
  readonly #workers: { thread: Worker; busy: number }[] = [];
  readonly #jobs = new Map<number, { facts: JobFacts; worker: { busy: number } }>();
  #fail: (error: unknown) => void = () => {};
  #wake: () => void = () => {};
  #next = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {}); // it is waited for together with the run
  }

  async run(jobs: AsyncIterable<PackJob>): Promise<void> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    signal.addEventListener('abort', () => this.#fail(signal.reason), { once: true });
    for await (const job of jobs) {
      let worker = this.#free();
      while (!worker) {
        await this.#change();
        worker = this.#free();
      }
      this.#give(worker, job);
    }
    while (this.#jobs.size > 0) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise(wake => {
      this.#wake = wake;
    });
  }

  #free(): { thread: Worker; busy: number } | undefined {
    const [idlest] = [...this.#workers].sort((a, b) => a.busy - b.busy);
    if (idlest?.busy === 0) return idlest;
    if (this.#workers.length < this.#options.workers) return this.#hire();
    return idlest && idlest.busy < JOBS_A_WORKER ? idlest : undefined;
  }

  #hire(): { thread: Worker; busy: number } {
    const thread = new Worker(workerFile('./worker', import.meta.url), { workerData: this.#options.data });
    const worker = { thread, busy: 0 };
    thread.on('error', error => this.#fail(error));
    thread.on('exit', code => this.#fail(new Error(`a verify worker ended with code ${code}`)));
    thread.on('message', (message: FromVerifyWorker) => this.#heard(message));
    this.#workers.push(worker);
    return worker;
  }

  #give(worker: { thread: Worker; busy: number }, job: PackJob): void {
    const id = this.#next++;
    const { session, number, sizeBytes, places, lists } = job;
    this.#jobs.set(id, { facts: { session, number, sizeBytes }, worker });
    worker.busy++;
    const message: ToVerifyWorker = { id, job };
    worker.thread.postMessage(message, [places.numbers.buffer, places.ids.buffer, lists.buffer]);
  }

  #heard(message: FromVerifyWorker): void {
    if (message.type === 'failed') {
      this.#fail(receiveError(message.error));
      return;
    }
    const { facts, worker } = this.#jobs.get(message.id)!;
    this.#jobs.delete(message.id);
    worker.busy--;
    this.#options.checked(facts, message.findings);
    this.#wake();
  }

  async dismiss(): Promise<void> {
    for (const { thread } of this.#workers) thread.removeAllListeners('exit');
    await Promise.all(this.#workers.map(({ thread }) => thread.terminate()));
  }
}
