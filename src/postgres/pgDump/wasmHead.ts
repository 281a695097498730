/**
 * Reads an archive head with pg_dump's WebAssembly build, where no PostgreSQL client is installed.
 *
 * pg_dump wants a socket that blocks, which WebAssembly has not. So it runs in a thread of its own that may block, and
 * this side keeps the socket of an authenticated connection and passes bytes: what libpq sends comes as messages, what
 * the server answers goes back over a port that the thread polls, woken through shared memory.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Client } from 'pg';
import { TidemarkError } from '../../base/errors.ts';
import { parseArchive } from '../archive/parse.ts';
import { connect } from '../connect.ts';
import type { ConnectionSettings } from '../settings/settings.ts';
import type { ArchiveHead } from './archiveHead.ts';
import { pgDumpFailure, pgDumpWarnings } from './failure.ts';
import type { PgDumpTool } from './tool.ts';

export interface WasmHeadRequest {
  settings: ConnectionSettings;
  options: string[];
  signal?: AbortSignal;
  tool: PgDumpTool;
}

export interface WasmWorkerData {
  port: MessagePort;
  /** One Int32 that changes with each message to the worker. */
  signal: SharedArrayBuffer;
  /** What the server reported at its start (ParameterStatus). */
  parameters: Record<string, string>;
  environment: Record<string, string>;
  options: string[];
}

/** null: the server has closed the connection. */
export type FromServer = Uint8Array | null;

export interface Ended {
  kind: 'ended';
  exitCode: number;
  stderr: string;
  /** The table of contents with the first bytes of data, if any, behind it. */
  archive: Uint8Array<ArrayBuffer>;
}

export type FromWorker = { kind: 'query'; bytes: Uint8Array } | { kind: 'taken'; size: number } | Ended;

/** Answers on their way to the worker; above this the socket waits. */
const IN_FLIGHT_MAX_BYTES = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 2000;
const TERMINATE_TIMEOUT_MS = 5000;
const TERMINATE_MESSAGE = Buffer.from('X\0\0\0\x04', 'latin1');
/** The parameters that libpq keeps (protocol, "Asynchronous Operations") and pg_dump may ask for. */
const REPORTED_PARAMETERS = [
  'server_version',
  'server_encoding',
  'standard_conforming_strings',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
  'in_hot_standby',
];

export async function readWasmHead(request: WasmHeadRequest): Promise<ArchiveHead> {
  const { settings, signal, tool } = request;
  const client = await connect(settings, { signal });
  const { pid, parameters } = await prepare(client).catch(async error => {
    await client.end();
    throw error;
  });
  const socket = takeSocket(client);
  let ended: Ended | undefined;
  try {
    ended = await runWorker(request, socket, parameters);
  } finally {
    if (ended === undefined) await terminateBackend(settings, pid);
    await close(socket);
  }
  signal?.throwIfAborted();
  if (ended.exitCode !== 0) {
    throw pgDumpFailure(settings.database, ended.stderr, `with exit code ${ended.exitCode}`);
  }
  const output = Buffer.from(ended.archive.buffer, ended.archive.byteOffset, ended.archive.byteLength);
  const { archive, length } = parseArchive(output);
  return { bytes: output.subarray(0, length), archive, tool, warnings: pgDumpWarnings(ended.stderr) };
}

/**
 * pg sets UTF8 as the session's encoding, where pg_dump takes the database's and states it in the archive. Last, so
 * that pg still reads the answer.
 */
async function prepare(client: Client): Promise<{ pid: number; parameters: Record<string, string> }> {
  const list = REPORTED_PARAMETERS.map(name => `'${name}', pg_catalog.current_setting('${name}')`).join(', ');
  const { rows } = await client.query(
    `SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.json_build_object(${list}) AS parameters`,
  );
  const { pid, parameters } = rows[0];
  await client.query(
    "SELECT pg_catalog.set_config('client_encoding', pg_catalog.current_setting('server_encoding'), false)",
  );
  return { pid, parameters: { ...parameters, client_encoding: parameters.server_encoding } };
}

/** From here on the connection is ours; pg hears of nothing but its end. */
function takeSocket(client: Client): Duplex {
  const socket = (client as unknown as { connection: { stream: Duplex } }).connection.stream;
  socket.removeAllListeners('data');
  return socket;
}

async function runWorker(
  request: WasmHeadRequest,
  socket: Duplex,
  parameters: Record<string, string>,
): Promise<Ended> {
  const { settings, options, signal } = request;
  const { port1: port, port2: workerPort } = new MessageChannel();
  const wake = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const environment = { PGDATABASE: settings.database, PGUSER: settings.user, PGSSLMODE: 'disable' };
  const data: WasmWorkerData = { port: workerPort, signal: wake, parameters, environment, options };
  const worker = new Worker(workerFile(), { workerData: data, transferList: [workerPort] });
  let onAbort = () => {};
  try {
    return await new Promise<Ended>((resolve, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
      pump(socket, port, new Int32Array(wake), resolve);
      socket.once('close', () => reject(connectionLost(settings.database)));
      worker.once('error', cause => reject(workerFailed(cause)));
      worker.once('exit', code => reject(workerFailed(new Error(`it ended with exit code ${code}`))));
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    port.close();
    await worker.terminate();
  }
}

/** Passes bytes both ways until the worker says that pg_dump has ended. */
function pump(socket: Duplex, port: MessagePort, wake: Int32Array, onEnded: (ended: Ended) => void): void {
  let inFlight = 0;
  socket.on('data', (chunk: Buffer) => {
    const bytes = new Uint8Array(chunk); // a copy: the chunk may be part of a larger buffer, which would go along
    inFlight += bytes.length;
    port.postMessage(bytes satisfies FromServer, [bytes.buffer]);
    Atomics.add(wake, 0, 1);
    Atomics.notify(wake, 0);
    if (inFlight > IN_FLIGHT_MAX_BYTES) socket.pause();
  });
  port.on('message', (message: FromWorker) => {
    if (message.kind === 'query') socket.write(message.bytes);
    else if (message.kind === 'ended') onEnded(message);
    else {
      inFlight -= message.size;
      if (inFlight <= IN_FLIGHT_MAX_BYTES) socket.resume();
    }
  });
}

/** The worker's file beside this one, as source or compiled. */
function workerFile(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './wasmWorker.ts' : './wasmWorker.js', import.meta.url);
}

/** Ends the session in order and waits until the server has, so that its locks are gone. */
async function close(socket: Duplex): Promise<void> {
  if (socket.destroyed) return;
  const timer = new AbortController();
  const closed = once(socket, 'close').catch(() => null);
  socket.removeAllListeners('data').resume().end(TERMINATE_MESSAGE);
  await Promise.race([closed, delay(CLOSE_TIMEOUT_MS, null, { signal: timer.signal }).catch(() => null)]);
  timer.abort();
  socket.destroy();
}

/** A server at work, or waiting for a lock, does not notice that its client has gone. */
async function terminateBackend(settings: ConnectionSettings, pid: number): Promise<void> {
  try {
    const client = await connect(settings, { signal: AbortSignal.timeout(TERMINATE_TIMEOUT_MS) });
    await client.query('SELECT pg_catalog.pg_terminate_backend($1)', [pid]).finally(() => client.end());
  } catch {
    // what led here is reported; that the session may go on for a while changes nothing about it
  }
}

function connectionLost(database: string): TidemarkError {
  return new TidemarkError(
    'CONNECTION_LOST',
    `the server closed the connection while pg_dump read the schema of database ${database}`,
    "see the server's log for why, then run again",
  );
}

function workerFailed(cause: unknown): TidemarkError {
  return new TidemarkError(
    'PG_DUMP_FAILED',
    `the built-in pg_dump failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    'install a PostgreSQL client, or name its pg_dump in TIDEMARK_PG_DUMP; please report this as a defect',
    { cause },
  );
}
