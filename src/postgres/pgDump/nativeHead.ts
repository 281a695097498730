/** Reads an archive head from an installed pg_dump's stdout. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ArchiveReader } from '../archive/parse.ts';
import { pgDumpFailure, pgDumpWarnings, StderrTail } from './failure.ts';
import type { ArchiveHead } from './head.ts';
import type { Relay } from './relay.ts';
import { RelaySocket } from './relaySocket.ts';
import type { Environment, PgDumpTool } from './tool.ts';

export interface HeadRequest {
  relay: Relay;
  options: string[];
  signal?: AbortSignal;
  tool: PgDumpTool;
}

/** After SIGTERM, on which pg_dump ends. */
const STOP_GRACE_MS = 2000;
/** What pg_dump needs besides the connection: libraries, and the zone of the archive's time. */
const KEPT_VARIABLES = ['PATH', 'HOME', 'LD_LIBRARY_PATH', 'TZ'];

export async function readNativeHead(
  request: HeadRequest & { environment: Environment },
): Promise<ArchiveHead> {
  const { relay, signal } = request;
  const socket = await RelaySocket.listen(relay);
  try {
    return await runPgDump(request, childEnvironment(relay, socket, request.environment));
  } finally {
    await socket.close();
    signal?.throwIfAborted();
  }
}

async function runPgDump(request: HeadRequest, env: Record<string, string>): Promise<ArchiveHead> {
  const { relay, tool, signal } = request;
  const child = spawn(tool.path, request.options, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const stderr = new StderrTail();
  child.stderr.setEncoding('utf8').on('data', text => stderr.append(text));
  const ended = awaitEnd(child);
  const onAbort = () => child.kill('SIGTERM');
  const onExit = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', onAbort);
  process.on('exit', onExit);
  let head: Awaited<ReturnType<typeof readUntilHead>>;
  let ending: string | null;
  try {
    head = await readUntilHead(child);
    ending = head === null ? await endOrStop(child, ended, signal) : null;
  } finally {
    await stop(child, ended);
    process.off('exit', onExit);
    signal?.removeEventListener('abort', onAbort);
  }
  signal?.throwIfAborted();
  if (head === null) throw relay.failure ?? pgDumpFailure(relay.database, stderr.text, ending ?? 'early');
  return { bytes: head.bytes, archive: head.archive, tool, warnings: pgDumpWarnings(stderr.text) };
}

async function readUntilHead(child: ChildProcess) {
  const reader = new ArchiveReader();
  for await (const chunk of child.stdout!) {
    const head = reader.push(chunk);
    if (head !== null) return head;
  }
  return null;
}

/** pg_dump has closed its output, so it ends by itself: unless it was told to stop. */
async function endOrStop(child: ChildProcess, ended: Promise<string>, signal?: AbortSignal): Promise<string> {
  if (signal?.aborted) await stop(child, ended);
  return ended;
}

/** How the process ended, in words; it never rejects. */
async function awaitEnd(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = await once(child, 'close');
    return signal === null ? `with exit code ${code}` : `by ${signal}`;
  } catch (error) {
    return `before it started: ${(error as Error).message}`;
  }
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  const timer = new AbortController();
  child.kill('SIGTERM');
  const timeout = delay(STOP_GRACE_MS, null, { signal: timer.signal }).catch(() => null);
  await Promise.race([ended, timeout]);
  timer.abort();
  child.kill('SIGKILL');
  await ended;
}

/** Messages in English, since failure.ts reads them. No secret is in it: the session has been authenticated. */
function childEnvironment(
  relay: Relay,
  socket: RelaySocket,
  environment: Environment,
): Record<string, string> {
  const kept = KEPT_VARIABLES.flatMap(name => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(kept),
    ...{ LC_ALL: 'C', LANG: 'C' },
    ...{ PGHOST: socket.folder, PGPORT: String(socket.port) },
    ...{ PGDATABASE: relay.database, PGUSER: relay.user },
    ...{ PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' },
  };
}
