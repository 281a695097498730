import { parentPort } from 'node:worker_threads';
import { postError } from '../../base/worker.ts';
import { decodeChunkList } from '../format/chunkList.ts';
import { EpochKeys } from '../keys/keys.ts';
import type { PackContent } from '../storagePolicy.ts';
import { ChunkIndex } from './chunkIndex.ts';
import { ChunkWriter, type PreviousStream } from './chunkWriter.ts';
import { PackWriter } from './packWriter.ts';
import type { FromWriter, PreviousLists, ToWriter, WriterData } from './protocol.ts';

/** Bytes of pieces on their way to the main thread before the source is paused. */
const UNACKNOWLEDGED_BYTES = 8 << 20;
const PROGRESS_BYTES = 4 << 20;

/** Where a worker's parts come from. */
export interface RowSource<Job, Start = undefined> {
  /** Once, before the first part. */
  start?(start: Start): Promise<void>;
  /**
   * Gives the sink every row of the part; throws where it is not what the job says. Where it can't read it, `fed` gives
   * the sink what the main thread reads in its stead.
   */
  read(job: Job, sink: PartSink, fed: Fed): Promise<void>;
  /** After the last part. */
  close(): Promise<void>;
  /** After a failure. */
  destroy(): void;
}

/** Resolves to the server's count of the rows that the sink was given. */
export type Fed = (sink: PartSink) => Promise<number>;

/** Takes rows straight into the segment being filled. */
export class PartSink {
  readonly #writer: ChunkWriter;
  readonly #outlet: Outlet;
  #reported = 0;

  constructor(writer: ChunkWriter, outlet: Outlet) {
    this.#writer = writer;
    this.#outlet = outlet;
  }

  get rows(): number {
    return this.#writer.rows;
  }

  get bytes(): number {
    return this.#writer.bytes;
  }

  /** Bytes of a row, or a piece of one; they are copied. */
  append(buffer: Uint8Array, from: number, to: number): void {
    this.#writer.append(buffer, from, to);
  }

  endRow(): void {
    this.#writer.endRow();
  }

  /** To be asked now and then: where there is a promise, wait for it before giving more. */
  pressure(): Promise<void> | undefined {
    if (this.bytes - this.#reported > PROGRESS_BYTES) this.report();
    return this.#outlet.pressure();
  }

  report(): void {
    post({ type: 'progress', bytes: this.bytes - this.#reported });
    this.#reported = this.bytes;
  }
}

/** Sealed pieces on their way to the main thread, of which there are never too many. */
class Outlet {
  #unacknowledged = 0;
  #wake: (() => void) | undefined;

  piece(pack: number, bytes: Buffer<ArrayBuffer>): void {
    this.#unacknowledged += bytes.length;
    post({ type: 'piece', pack, bytes }, [bytes.buffer]);
  }

  end(pack: number, sizeBytes: number, content: PackContent): void {
    post({ type: 'end', pack, sizeBytes, content });
  }

  acknowledged(bytes: number): void {
    this.#unacknowledged -= bytes;
    if (this.#unacknowledged > UNACKNOWLEDGED_BYTES) return;
    this.#wake?.();
    this.#wake = undefined;
  }

  pressure(): Promise<void> | undefined {
    if (this.#unacknowledged <= UNACKNOWLEDGED_BYTES) return undefined;
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }
}

const NEWLINE = 0x0a;

/** Rows that the main thread reads for this one. */
class Feed {
  #sink: PartSink | undefined;
  #wait: Promise<void> | undefined;
  #resolve: (rows: number) => void = () => {};

  begin(sink: PartSink): Promise<number> {
    this.#sink = sink;
    return new Promise(resolve => {
      this.#resolve = resolve;
    });
  }

  rows(posted: Uint8Array): void {
    const bytes = Buffer.from(posted.buffer, posted.byteOffset, posted.byteLength);
    const sink = this.#sink!;
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, at);
      sink.append(bytes, at, end < 0 ? bytes.length : end + 1);
      if (end < 0) break;
      sink.endRow();
      at = end + 1;
    }
    const taken = () => post({ type: 'taken', bytes: bytes.length });
    this.#wait ??= sink.pressure();
    if (!this.#wait) taken();
    else {
      void this.#wait.then(() => {
        this.#wait = undefined;
        taken();
      });
    }
  }

  end(rows: number): void {
    this.#sink = undefined;
    this.#resolve(rows);
  }
}

/**
 * What a worker of `PartWriters` does: takes parts from their source to sealed segments, in one thread. Only whole sealed
 * pieces leave it.
 */
export function writeParts<Job, Start = undefined>(
  data: WriterData,
  open: () => Promise<RowSource<Job, Start>>,
): void {
  const outlet = new Outlet();
  const writer = makeWriter(data, outlet);
  const feed = new Feed();
  let queue: ToWriter<Job, Start>[] = [];
  let running = true;
  let reader: RowSource<Job, Start> | undefined;

  const work = async (): Promise<void> => {
    running = true;
    let id: number | undefined;
    try {
      if (!reader) {
        reader = await open();
        post({ type: 'opened' });
      }
      for (let message = queue.shift(); message; message = queue.shift()) {
        if (message.type === 'start') {
          await reader.start?.(message.start);
          post({ type: 'ready' });
        } else if (message.type === 'part') {
          const part = message.id;
          id = part;
          const sink = new PartSink(writer, outlet);
          writer.begin(message.previous && previousStream(message.previous));
          await reader.read(message.job, sink, sink => {
            post({ type: 'refused', id: part });
            return feed.begin(sink);
          });
          sink.report();
          post({ type: 'done', id, written: writer.finish('rows') });
        } else if (message.type === 'flush') {
          writer.flush();
          await reader.close();
          post({ type: 'flushed' });
        }
      }
    } catch (error) {
      post({ type: 'failed', error: postError(error), id });
      reader?.destroy();
    }
    running = false;
  };

  parentPort!.on('message', (message: ToWriter<Job, Start>) => {
    switch (message.type) {
      case 'credit':
        outlet.acknowledged(message.bytes);
        break;
      case 'rows':
        feed.rows(message.bytes);
        break;
      case 'rows-end':
        feed.end(message.rows);
        break;
      case 'hurry':
        queue = inHurry(queue, message.ids);
        break;
      default:
        queue.push(message);
        if (!running) void work();
    }
  });
  void work();
}

/** The parts in the order of their ids in the list; a flush comes when there are none. */
function inHurry<Message extends { type: string; id?: number }>(
  queue: Message[],
  ids: readonly number[],
): Message[] {
  const place = (message: Message) => (message.id === undefined ? ids.length : ids.indexOf(message.id));
  return [...queue].sort((a, b) => place(a) - place(b));
}

function makeWriter(data: WriterData, output: Outlet): ChunkWriter {
  let packs = 0;
  return new ChunkWriter(
    new PackWriter({
      keys: new EpochKeys(Buffer.from(data.master), data.repositoryId, data.epoch),
      session: data.session,
      sessionSalt: Buffer.from(data.sessionSalt),
      level: data.level,
      content: data.content,
      nextPack: () => data.firstPack + packs++ * data.packStep,
      output,
    }),
  );
}

function previousStream({ lists, refs }: PreviousLists): PreviousStream {
  const encoded = lists.map(list => Buffer.from(list.buffer, list.byteOffset, list.byteLength));
  const [ref] = refs;
  return {
    index: new ChunkIndex(encoded.map(list => decodeChunkList(list, 'the previous snapshot'))),
    same: encoded.length === 1 && ref ? { encoded: encoded[0]!, ref } : undefined,
  };
}

function post(message: FromWriter, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}
