import { Worker } from 'node:worker_threads';
import type { PostedError } from '../../base/worker.ts';
import type { WrittenStream } from './chunkWriter.ts';
import type { PackAssembler } from './packAssembler.ts';
import type { FromWriter, PreviousLists, ToWriter, WriterData } from './protocol.ts';

/** Parts given to a worker ahead of time, so that it never waits for the main thread. */
const AHEAD = 4;
/** Bytes of rows on their way to a worker that could not read them itself. */
const FED_BYTES = 4 << 20;

export interface CrewOptions<Job> {
  /** The worker's file, which calls `writeParts`. */
  file: URL;
  workers: WriterData[];
  assembler: PackAssembler;
  progress(bytes: number): void;
  signal: AbortSignal;
  /** What a worker's error means; the job is the one it was at, if any. */
  explain(error: PostedError, job: Job | undefined): unknown;
}

export interface CrewWork<Job, Start> {
  jobs: readonly Job[];
  /** For the readers, before their first part. */
  start: Start;
  /** The same part in the previous snapshot. */
  previous(job: Job): Promise<PreviousLists | undefined>;
  /**
   * All readers have been started; parts are given out when it resolves. `hurry` has the parts of the lowest rank written
   * first, of equal ranks in their order.
   */
  started?(hurry: (rank: (job: Job) => number) => void, fail: (error: unknown) => void): Promise<void>;
  /** A part is given to a worker. */
  begun?(job: Job): void;
  /** Reads a part that its worker could not read; resolves to the server's count of rows. */
  read?(job: Job, give: (rows: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<number>;
  /** A part has been written, and handed over to be stored. */
  done?(job: Job, written: WrittenStream): void;
}

/**
 * Workers that write parts. They are there before there is work, since threads and connections take a while to start.
 * Whoever makes one dismisses it.
 */
export class Crew<Job, Start = undefined> {
  readonly #options: CrewOptions<Job>;
  readonly #workers: Worker[] = [];
  readonly #allOpened = Promise.withResolvers<void>();
  readonly #allWritten = Promise.withResolvers<WrittenStream[]>();
  #work: CrewWork<Job, Start> | undefined;
  #written: WrittenStream[] = [];
  /** Not given to a worker yet, in the order in which they will be. */
  #pending: number[] = [];
  /** Given to a worker, and not written yet. */
  readonly #given = new Map<number, Worker>();
  readonly #taken = new Map<Worker, (bytes: number) => void>();
  #opened = 0;
  #ready = 0;
  #done = 0;
  #flushed = 0;
  readonly #aborted = () => this.#fail(this.#options.signal.reason);

  constructor(options: CrewOptions<Job>) {
    this.#options = options;
    this.#allOpened.promise.catch(() => {}); // whoever runs the crew hears of it
    this.#allWritten.promise.catch(() => {});
    const { signal, workers } = options;
    if (signal.aborted) this.#fail(signal.reason);
    signal.addEventListener('abort', this.#aborted);
    for (const workerData of workers) this.#hire(workerData);
  }

  /** Every reader is open. */
  opened(): Promise<void> {
    return this.#allOpened.promise;
  }

  /** Runs all jobs on the workers, in order of the jobs; resolves to what was written, in the jobs' order. Once only. */
  async run(work: CrewWork<Job, Start>): Promise<WrittenStream[]> {
    this.#work = work;
    this.#written = new Array(work.jobs.length);
    this.#pending = work.jobs.map((_, id) => id);
    for (const worker of this.#workers) this.#tell(worker, { type: 'start', start: work.start });
    return this.#allWritten.promise;
  }

  readonly #fail = (error: unknown): void => {
    this.#allOpened.reject(error);
    this.#allWritten.reject(error);
  };

  #hire(workerData: WriterData): void {
    const worker = new Worker(this.#options.file, { workerData });
    this.#workers.push(worker);
    worker.on('error', this.#fail);
    worker.on('exit', code => this.#fail(new Error(`a worker ended with code ${code}`)));
    worker.on('message', (message: FromWriter) => {
      this.#heard(worker, message).catch(this.#fail);
    });
  }

  async #heard(worker: Worker, message: FromWriter): Promise<void> {
    const { assembler, progress, explain } = this.#options;
    switch (message.type) {
      case 'opened':
        if (++this.#opened === this.#workers.length) this.#allOpened.resolve();
        break;
      case 'ready':
        if (++this.#ready === this.#workers.length) await this.#begin();
        break;
      case 'piece': {
        const { bytes } = message;
        assembler.piece(message.pack, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        await assembler.drained();
        this.#tell(worker, { type: 'credit', bytes: bytes.byteLength });
        break;
      }
      case 'end':
        assembler.end(message.pack, message.sizeBytes, message.content);
        break;
      case 'progress':
        progress(message.bytes);
        break;
      case 'refused':
        await this.#feed(worker, message.id);
        break;
      case 'taken':
        this.#taken.get(worker)?.(message.bytes);
        break;
      case 'done':
        this.#given.delete(message.id);
        this.#written[message.id] = message.written;
        this.#work!.done?.(this.#jobOf(message.id), message.written);
        if (++this.#done === this.#written.length)
          for (const each of this.#workers) this.#tell(each, { type: 'flush' });
        else await this.#assign(worker);
        break;
      case 'flushed':
        if (++this.#flushed === this.#workers.length) this.#allWritten.resolve(this.#written);
        break;
      case 'failed':
        throw explain(message.error, message.id === undefined ? undefined : this.#jobOf(message.id));
    }
  }

  async #begin(): Promise<void> {
    await this.#work!.started?.(this.#hurry, this.#fail);
    for (let i = 0; i < AHEAD; i++) await Promise.all(this.#workers.map(worker => this.#assign(worker)));
  }

  #jobOf(id: number): Job {
    return this.#work!.jobs[id]!;
  }

  async #assign(worker: Worker): Promise<void> {
    const { previous, begun } = this.#work!;
    const id = this.#pending.shift();
    if (id === undefined) return;
    const job = this.#jobOf(id);
    this.#given.set(id, worker);
    begun?.(job);
    this.#tell(worker, { type: 'part', id, job, previous: await previous(job) });
  }

  readonly #hurry = (rank: (job: Job) => number): void => {
    const ranks = new Map([...this.#pending, ...this.#given.keys()].map(id => [id, rank(this.#jobOf(id))]));
    const byRank = (a: number, b: number) => ranks.get(a)! - ranks.get(b)!;
    this.#pending.sort(byRank);
    for (const worker of this.#workers) {
      const ids = [...this.#given].filter(([, by]) => by === worker).map(([id]) => id);
      this.#tell(worker, { type: 'hurry', ids: ids.sort(byRank) });
    }
  };

  /** Gives the worker the rows of a part, never too many at once. */
  async #feed(worker: Worker, id: number): Promise<void> {
    let onTheWay = 0;
    let wake: (() => void) | undefined;
    this.#taken.set(worker, bytes => {
      onTheWay -= bytes;
      wake?.();
    });
    const rows = await this.#work!.read!(this.#jobOf(id), async bytes => {
      onTheWay += bytes.length;
      worker.postMessage({ type: 'rows', bytes } satisfies ToWriter<Job, Start>, [bytes.buffer]);
      if (onTheWay <= FED_BYTES) return;
      await new Promise<void>(resolve => {
        wake = () => onTheWay > FED_BYTES || resolve();
      });
    });
    this.#tell(worker, { type: 'rows-end', rows });
  }

  #tell(worker: Worker, message: ToWriter<Job, Start>): void {
    worker.postMessage(message);
  }

  async dismiss(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#aborted);
    for (const worker of this.#workers) worker.removeAllListeners('exit');
    await Promise.all(this.#workers.map(worker => worker.terminate()));
  }
}
