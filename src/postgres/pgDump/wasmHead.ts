/**
 * Reads an archive head with pg_dump's WebAssembly build, where no PostgreSQL client is installed.
 *
 * pg_dump wants a socket that blocks, which WebAssembly has not. So it runs in a thread of its own that may block, and
 * this side passes bytes to and from the relay: what libpq sends comes as messages, what is answered goes back over a
 * port that the thread polls, woken through shared memory.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import { parseArchive } from '../archive/parse.ts';
import { pgDumpFailure, pgDumpWarnings } from './failure.ts';
import type { ArchiveHead } from './head.ts';
import type { HeadRequest } from './nativeHead.ts';
import type { Relay } from './relay.ts';

export interface WasmWorkerData {
  port: MessagePort;
  /** One Int32 that changes with each message to the worker. */
  signal: SharedArrayBuffer;
  environment: Record<string, string>;
  options: string[];
}

export interface Ended {
  kind: 'ended';
  exitCode: number;
  stderr: string;
  /** The table of contents with the first bytes of data, if any, behind it. */
  archive: Uint8Array<ArrayBuffer>;
}

export type FromWorker = { kind: 'query'; bytes: Uint8Array } | { kind: 'taken'; size: number } | Ended;

/** Answers on their way to the worker; above this the server waits. */
const IN_FLIGHT_MAX_BYTES = 1024 * 1024;

export async function readWasmHead(request: HeadRequest): Promise<ArchiveHead> {
  const { relay, signal, tool } = request;
  const ended = await runWorker(request);
  signal?.throwIfAborted();
  if (ended.exitCode !== 0 && !relay.dataReached) {
    throw pgDumpFailure(relay.database, ended.stderr, `with exit code ${ended.exitCode}`);
  }
  const output = Buffer.from(ended.archive.buffer, ended.archive.byteOffset, ended.archive.byteLength);
  const { archive, length } = parseArchive(output);
  return { bytes: output.subarray(0, length), archive, tool, warnings: pgDumpWarnings(ended.stderr) };
}

async function runWorker({ relay, options, signal }: HeadRequest): Promise<Ended> {
  const { port1: port, port2: workerPort } = new MessageChannel();
  const wake = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const environment = { PGDATABASE: relay.database, PGUSER: relay.user, PGSSLMODE: 'disable' };
  const data: WasmWorkerData = { port: workerPort, signal: wake, environment, options };
  const worker = new Worker(workerFile(), { workerData: data, transferList: [workerPort] });
  let onAbort = () => {};
  try {
    return await new Promise<Ended>((resolve, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
      pass(relay, port, new Int32Array(wake), resolve, () => reject(relay.failure));
      worker.once('error', cause => reject(workerFailed(cause)));
      worker.once('exit', code => reject(workerFailed(new Error(`it ended with exit code ${code}`))));
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    relay.output = () => undefined;
    port.close();
    await worker.terminate();
  }
}

/** Passes bytes both ways until the worker says that pg_dump has ended, or the server is gone, for which it would wait. */
function pass(
  relay: Relay,
  port: MessagePort,
  wake: Int32Array,
  onEnded: (ended: Ended) => void,
  onLost: () => void,
): void {
  let inFlight = 0;
  let makeRoom: (() => void) | undefined;
  relay.output = answer => {
    if (answer === null) {
      onLost();
      return undefined;
    }
    const bytes = new Uint8Array(answer); // a copy: it may be part of a larger buffer, which would go along
    inFlight += bytes.length;
    port.postMessage(bytes, [bytes.buffer]);
    Atomics.add(wake, 0, 1);
    Atomics.notify(wake, 0);
    if (inFlight <= IN_FLIGHT_MAX_BYTES) return undefined;
    return new Promise(resolve => {
      makeRoom = resolve;
    });
  };
  port.on('message', (message: FromWorker) => {
    if (message.kind === 'query') relay.take(message.bytes);
    else if (message.kind === 'ended') onEnded(message);
    else {
      inFlight -= message.size;
      if (inFlight <= IN_FLIGHT_MAX_BYTES) makeRoom?.();
    }
  });
}

/** The worker's file beside this one, as source or compiled. */
function workerFile(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './wasmWorker.ts' : './wasmWorker.js', import.meta.url);
}

function workerFailed(cause: unknown): TidemarkError {
  return new TidemarkError(
    'PG_DUMP_FAILED',
    `the built-in pg_dump failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    'install a PostgreSQL client, or name its pg_dump in TIDEMARK_PG_DUMP; please report this as a defect',
    { cause },
  );
}
