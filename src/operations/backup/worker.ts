/**
 * A capture worker: takes parts from the server's socket to sealed segments, in one thread. Only whole sealed pieces
 * leave it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import { postError } from '../../base/worker.ts';
import { quoteLiteral, Session } from '../../postgres/session.ts';
import type { CopyReceiver } from '../../postgres/wire.ts';
import { ChunkIndex } from '../../repository/chunkIndex.ts';
import { decodeChunkList } from '../../repository/chunkList.ts';
import { ChunkWriter, type PreviousStream } from '../../repository/chunkWriter.ts';
import { EpochKeys } from '../../repository/keys.ts';
import { PackWriter } from '../../repository/packWriter.ts';
import type { CaptureWorkerData, FromCaptureWorker, PreviousLists, ToCaptureWorker } from './protocol.ts';

/** Bytes of pieces on their way to the main thread before the socket is paused. */
const UNACKNOWLEDGED_BYTES = 8 << 20;
const PROGRESS_BYTES = 4 << 20;

const data = workerData as CaptureWorkerData;
const port = parentPort!;
const post = (message: FromCaptureWorker, transfer: ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

let unacknowledged = 0;
let wake: (() => void) | undefined;
let packs = 0;

const writer = new ChunkWriter(
  new PackWriter({
    keys: new EpochKeys(Buffer.from(data.master), data.repositoryId, data.epoch),
    session: data.session,
    sessionSalt: Buffer.from(data.sessionSalt),
    level: data.level,
    nextPack: () => data.firstPack + packs++ * data.packStep,
    output: {
      piece(pack, bytes) {
        unacknowledged += bytes.length;
        post({ type: 'piece', pack, bytes }, [bytes.buffer]);
      },
      end: (pack, sizeBytes) => post({ type: 'end', pack, sizeBytes }),
    },
  }),
);

/** The part's bytes go straight into the segment being filled. */
class Receiver implements CopyReceiver {
  #reported = 0;

  append(buffer: Buffer, from: number, to: number): void {
    writer.append(buffer, from, to);
  }

  endRow(): void {
    writer.endRow();
  }

  pressure(): Promise<void> | undefined {
    if (writer.bytes - this.#reported > PROGRESS_BYTES) this.report();
    if (unacknowledged <= UNACKNOWLEDGED_BYTES) return undefined;
    return new Promise(resolve => {
      wake = resolve;
    });
  }

  report(): void {
    post({ type: 'progress', bytes: writer.bytes - this.#reported });
    this.#reported = writer.bytes;
  }
}

const queue: ToCaptureWorker[] = [];
let running = false;
let session: Session | undefined;

port.on('message', (message: ToCaptureWorker) => {
  if (message.type === 'credit') {
    unacknowledged -= message.bytes;
    if (unacknowledged <= UNACKNOWLEDGED_BYTES) {
      wake?.();
      wake = undefined;
    }
    return;
  }
  queue.push(message);
  if (!running) void work();
});

async function work(): Promise<void> {
  running = true;
  let id: number | undefined;
  try {
    session ??= await openSession();
    for (let message = queue.shift(); message; message = queue.shift()) {
      if (message.type === 'part') {
        id = message.id;
        await capture(message);
      } else if (message.type === 'flush') {
        writer.flush();
        await session.close();
        post({ type: 'flushed' });
      }
    }
  } catch (error) {
    post({ type: 'failed', error: postError(error), id });
    session?.destroy();
  }
  running = false;
}

async function openSession(): Promise<Session> {
  const session = await Session.open(data.settings, 'tidemark backup');
  await session.run(data.sessionSettings);
  await session.run(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(data.snapshot)}`,
  );
  return session;
}

async function capture({ id, job, previous }: Extract<ToCaptureWorker, { type: 'part' }>): Promise<void> {
  const receiver = new Receiver();
  writer.begin(previous && previousStream(previous));
  const rows = await session!.copyOut(job.sql, receiver);
  if (job.after) await session!.run(job.after);
  if (rows !== writer.rows) throw miscounted(rows);
  receiver.report();
  post({ type: 'done', id, written: writer.finish('rows') });
}

function miscounted(rows: number): TidemarkError {
  return new TidemarkError(
    'ROWS_MISCOUNTED',
    `the server counted ${rows} rows, ${writer.rows} arrived`,
    'a proxy in between may change what it passes on; connect to the server directly',
  );
}

function previousStream({ lists, refs }: PreviousLists): PreviousStream {
  const encoded = lists.map(list => Buffer.from(list.buffer, list.byteOffset, list.byteLength));
  return {
    index: new ChunkIndex(encoded.map(list => decodeChunkList(list, 'the previous snapshot'))),
    same: encoded.length === 1 ? { encoded: encoded[0]!, ref: refs[0]! } : undefined,
  };
}

post({ type: 'ready' });
