import { Worker } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import { type PostedError, workerFile } from '../../base/worker.ts';
import { explainCaptureError } from '../../capture/logical/explain.ts';
import type { PartJob } from '../../capture/logical/partition.ts';
import type { WrittenStream } from '../../repository/chunkWriter.ts';
import type { PackAssembler } from '../../repository/packAssembler.ts';
import type { CaptureWorkerData, FromCaptureWorker, PreviousLists, ToCaptureWorker } from './protocol.ts';

/** Parts given to a worker ahead of time, so that it never waits for the main thread. */
const AHEAD = 4;

export interface CrewOptions {
  workers: CaptureWorkerData[];
  jobs: PartJob[];
  assembler: PackAssembler;
  /** The same part in the previous snapshot. */
  previous(job: PartJob): Promise<PreviousLists | undefined>;
  progress(bytes: number): void;
  signal: AbortSignal;
  /** For errors: which database. */
  where: string;
}

/** Runs all jobs on the workers, in order of the jobs; resolves to what was written, in the jobs' order. */
export async function runCrew(options: CrewOptions): Promise<WrittenStream[]> {
  const crew = new Crew(options);
  try {
    return await crew.run();
  } finally {
    await crew.dismiss();
  }
}

class Crew {
  readonly #options: CrewOptions;
  readonly #workers: Worker[] = [];
  readonly #written: WrittenStream[];
  #next = 0;
  #done = 0;
  #flushed = 0;
  #fail: (error: unknown) => void = () => {};

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#written = new Array(options.jobs.length);
  }

  run(): Promise<WrittenStream[]> {
    return new Promise((resolve, reject) => {
      const { signal, workers } = this.#options;
      this.#fail = reject;
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      for (const workerData of workers) this.#hire(workerData, resolve);
    });
  }

  #hire(workerData: CaptureWorkerData, resolve: (written: WrittenStream[]) => void): void {
    const worker = new Worker(workerFile('./worker', import.meta.url), { workerData });
    this.#workers.push(worker);
    worker.on('error', this.#fail);
    worker.on('exit', code => this.#fail(new Error(`a capture worker ended with code ${code}`)));
    worker.on('message', (message: FromCaptureWorker) => {
      this.#heard(worker, message, resolve).catch(this.#fail);
    });
  }

  async #heard(
    worker: Worker,
    message: FromCaptureWorker,
    resolve: (w: WrittenStream[]) => void,
  ): Promise<void> {
    const { assembler, progress, jobs } = this.#options;
    switch (message.type) {
      case 'ready':
        for (let i = 0; i < AHEAD; i++) await this.#assign(worker);
        break;
      case 'piece': {
        const { bytes } = message;
        assembler.piece(message.pack, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        await assembler.drained();
        tell(worker, { type: 'credit', bytes: bytes.byteLength });
        break;
      }
      case 'end':
        assembler.end(message.pack, message.sizeBytes);
        break;
      case 'progress':
        progress(message.bytes);
        break;
      case 'done':
        this.#written[message.id] = message.written;
        if (++this.#done === jobs.length) for (const each of this.#workers) tell(each, { type: 'flush' });
        else await this.#assign(worker);
        break;
      case 'flushed':
        if (++this.#flushed === this.#workers.length) resolve(this.#written);
        break;
      case 'failed':
        throw this.#explain(message.error, message.id);
    }
  }

  async #assign(worker: Worker): Promise<void> {
    const { jobs, previous } = this.#options;
    const id = this.#next++;
    const job = jobs[id];
    if (job) tell(worker, { type: 'part', id, job, previous: await previous(job) });
  }

  #explain(posted: PostedError, id: number | undefined): unknown {
    const job = id === undefined ? undefined : this.#options.jobs[id];
    const what =
      job?.kind === 'rows' ? `table ${job.schema}.${job.table}` : job ? 'large objects' : 'a worker';
    const where = `${this.#options.where}, ${what}`;
    if (posted.hint && posted.name === 'TidemarkError') {
      return new TidemarkError(posted.code ?? 'INTERNAL', posted.message, posted.hint);
    }
    const error = Object.assign(new Error(posted.message), { code: posted.code, name: posted.name });
    const explained = explainCaptureError(error, where);
    if (explained instanceof TidemarkError) return explained;
    return new TidemarkError(
      'CAPTURE_FAILED',
      `${where}: ${posted.message}`,
      posted.detail ?? 'nothing was stored; run the backup again',
      {
        cause: posted.stack,
      },
    );
  }

  async dismiss(): Promise<void> {
    for (const worker of this.#workers) worker.removeAllListeners('exit');
    await Promise.all(this.#workers.map(worker => worker.terminate()));
  }
}

function tell(worker: Worker, message: ToCaptureWorker): void {
  worker.postMessage(message);
}
