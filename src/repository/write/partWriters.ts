import type { PostedError } from '../../base/worker.ts';
import { type PoolWorker, WorkerPool } from '../../base/workerPool.ts';
import type { WrittenStream } from './chunkWriter.ts';
import type { PackAssembler } from './packAssembler.ts';
import type { FromWriter, PreviousLists, ToWriter, WriterData } from './protocol.ts';

/** Parts given to a worker ahead of time, so that it never waits for the main thread. */
const AHEAD = 4;
/** Bytes of rows on their way to a worker that could not read them itself. */
const FED_BYTES = 4 << 20;

type Writer<Job, Start> = PoolWorker<ToWriter<Job, Start>>;

export interface WriterOptions<Job> {
  /** The worker's file, which calls `writeParts`. */
  file: URL;
  workers: WriterData[];
  assembler: PackAssembler;
  progress(bytes: number): void;
  signal: AbortSignal;
  /** What a worker's error means; the job is the one it was at, if any. */
  explain(error: PostedError, job: Job | undefined): unknown;
}

export interface WriterWork<Job, Start> {
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
 * A pool of workers that write parts. They are started before there is work, since threads and connections take a while.
 * Whoever makes one closes it.
 */
export class PartWriters<Job, Start = undefined> {
  readonly #options: WriterOptions<Job>;
  readonly #pool: WorkerPool<ToWriter<Job, Start>, FromWriter>;
  readonly #workers: Writer<Job, Start>[];
  readonly #allOpened = Promise.withResolvers<void>();
  readonly #allWritten = Promise.withResolvers<WrittenStream[]>();
  #work: WriterWork<Job, Start> | undefined;
  #written: WrittenStream[] = [];
  /** Not given to a worker yet, in the order in which they will be. */
  #pending: number[] = [];
  /** Given to a worker, and not written yet. */
  readonly #given = new Map<number, Writer<Job, Start>>();
  readonly #taken = new Map<Writer<Job, Start>, (bytes: number) => void>();
  #opened = 0;
  #ready = 0;
  #done = 0;
  #flushed = 0;

  constructor(options: WriterOptions<Job>) {
    this.#options = options;
    this.#pool = new WorkerPool(options.file, options.signal);
    this.#workers = options.workers.map(data =>
      this.#pool.start(data, (message, worker) => this.#received(worker, message)),
    );
  }

  /** Every reader is open. */
  opened(): Promise<void> {
    return Promise.race([this.#allOpened.promise, this.#pool.failure]);
  }

  /** Runs all jobs on the workers, in order of the jobs; resolves to what was written, in the jobs' order. Once only. */
  run(work: WriterWork<Job, Start>): Promise<WrittenStream[]> {
    this.#work = work;
    this.#written = new Array(work.jobs.length);
    this.#pending = work.jobs.map((_, id) => id);
    for (const worker of this.#workers) worker.send({ type: 'start', start: work.start });
    return Promise.race([this.#allWritten.promise, this.#pool.failure]);
  }

  /** Ends the workers, whatever they are at. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  async #received(worker: Writer<Job, Start>, message: FromWriter): Promise<void> {
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
        worker.send({ type: 'credit', bytes: bytes.byteLength });
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
          for (const each of this.#workers) each.send({ type: 'flush' });
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
    await this.#work!.started?.(this.#hurry, error => this.#pool.fail(error));
    for (let i = 0; i < AHEAD; i++) await Promise.all(this.#workers.map(worker => this.#assign(worker)));
  }

  #jobOf(id: number): Job {
    return this.#work!.jobs[id]!;
  }

  async #assign(worker: Writer<Job, Start>): Promise<void> {
    const { previous, begun } = this.#work!;
    const id = this.#pending.shift();
    if (id === undefined) return;
    const job = this.#jobOf(id);
    this.#given.set(id, worker);
    begun?.(job);
    worker.send({ type: 'part', id, job, previous: await previous(job) });
  }

  readonly #hurry = (rank: (job: Job) => number): void => {
    const ranks = new Map([...this.#pending, ...this.#given.keys()].map(id => [id, rank(this.#jobOf(id))]));
    const byRank = (a: number, b: number) => ranks.get(a)! - ranks.get(b)!;
    this.#pending.sort(byRank);
    for (const worker of this.#workers) {
      const ids = [...this.#given].filter(([, by]) => by === worker).map(([id]) => id);
      worker.send({ type: 'hurry', ids: ids.sort(byRank) });
    }
  };

  /** Gives the worker the rows of a part, never too many at once. */
  async #feed(worker: Writer<Job, Start>, id: number): Promise<void> {
    let onTheWay = 0;
    let wake: (() => void) | undefined;
    this.#taken.set(worker, bytes => {
      onTheWay -= bytes;
      wake?.();
    });
    const rows = await this.#work!.read!(this.#jobOf(id), async bytes => {
      onTheWay += bytes.length;
      worker.send({ type: 'rows', bytes }, [bytes.buffer]);
      if (onTheWay <= FED_BYTES) return;
      await new Promise<void>(resolve => {
        wake = () => onTheWay > FED_BYTES || resolve();
      });
    });
    worker.send({ type: 'rows-end', rows });
  }
}
