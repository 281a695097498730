import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from '../../base/disposal.ts';
import { TidemarkError } from '../../base/errors.ts';
import { type Account, serverAccount, tempRoot } from './account.ts';
import { runnablePrograms } from './programs.ts';

export interface ServerOptions {
  /** The folder with `postgres` and `initdb`. */
  programs: string;
  /** Settings for postgresql.conf. With `listen_addresses`, a free port is taken unless `port` is given. */
  configuration?: Record<string, string>;
  /** More arguments for initdb; the defaults are UTF-8 and the C locale. */
  initdbArgs?: string[];
  signal?: AbortSignal;
}

/**
 * A running server of our own, empty at first, trusting whoever can enter its socket's folder (its user, and root).
 * It and all its data are gone after `stop()`, and when this process ends in any way that Node can see.
 */
export interface Server {
  /** Connects as the superuser over the Unix socket. */
  url(database?: string): string;
  readonly socketDir: string;
  readonly port: number;
  readonly dataDir: string;
  readonly superuser: 'postgres';
  readonly pid: number;
  /** Ends the server at once, without a checkpoint, and removes its folder. May be called again. */
  stop(): Promise<void>;
  /** What the server has written so far: its start-up, and then its log. */
  log(): string;
}

const SUPERUSER = 'postgres';
const DEFAULT_PORT = 5432;
/** sockaddr_un.sun_path holds 104 bytes on macOS, 108 on Linux, with the ending zero. */
const SOCKET_PATH_LIMIT_BYTES = 103;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const EXIT_STOP_LIMIT_MS = 1_000;
const POLL_MS = 10;
const REMOVE_TRIES = 50;
const LOG_TAIL_LINES = 20;

/** Where a server lives: everything is under `root`, which belongs to the account that runs it. */
interface Place {
  root: string;
  dataDir: string;
  logFile: string;
  account: Account | null;
  programs: string;
  /** The program that was started last: initdb, then postgres. */
  child?: ChildProcess;
}

export async function startServer(options: ServerOptions): Promise<Server> {
  options.signal?.throwIfAborted();
  const account = serverAccount();
  const programs = await runnablePrograms(options.programs, account);
  const place = makePlace(programs, account);
  const forget = atExit(() => removeNow(place));
  try {
    await initialize(place, options);
    const port = await configure(place, options.configuration ?? {});
    const server = launch(place, 'postgres', ['-D', place.dataDir]);
    await ready(place, server, options.signal);
    return describe(place, server, port, forget);
  } catch (error) {
    if (place.child) await end(place.child);
    const log = tail(place);
    removeFolder(place.root);
    forget();
    if (options.signal?.aborted) throw options.signal.reason;
    throw startError(error, log);
  }
}

function makePlace(programs: string, account: Account | null): Place {
  const root = mkdtempSync(join(tempRoot(account), 'tidemark-'));
  const socket = join(root, `.s.PGSQL.${DEFAULT_PORT}0`);
  if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT_BYTES) {
    rmSync(root, { recursive: true, force: true });
    throw new TidemarkError(
      'SOCKET_PATH_TOO_LONG',
      `the temporary folder's path is too long for a Unix socket: ${socket}`,
      'set TMPDIR to a folder with a short path, such as /tmp',
    );
  }
  if (account) chownSync(root, account.uid, account.gid);
  return { root, dataDir: join(root, 'data'), logFile: join(root, 'log'), account, programs };
}

async function initialize(place: Place, options: ServerOptions): Promise<void> {
  const args = [
    '-D',
    place.dataDir,
    '-U',
    SUPERUSER,
    '--auth=trust',
    '--no-sync',
    '--encoding=UTF8',
    '--locale=C',
  ];
  const child = launch(place, 'initdb', [...args, ...(options.initdbArgs ?? [])]);
  const onAbort = (): void => killGroup(child);
  options.signal?.addEventListener('abort', onAbort);
  try {
    const [code] = await exited(child);
    if (code !== 0) throw notStarted('initdb failed');
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function configure(place: Place, configuration: Record<string, string>): Promise<number> {
  const listens = Boolean(configuration.listen_addresses);
  const port = Number(configuration.port ?? (listens ? await freePort() : DEFAULT_PORT));
  const settings = {
    listen_addresses: '',
    unix_socket_directories: place.root,
    ...configuration,
    port: String(port),
  };
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  await appendFile(join(place.dataDir, 'postgresql.conf'), lines.join(''));
  return port;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

/**
 * Runs one of the programs as the account, in its own folder, with nothing of our environment that could steer it;
 * LOCPATH only says where the C library's locales are.
 */
function launch(place: Place, program: string, args: string[]): ChildProcess {
  const log = openSync(place.logFile, 'a', 0o644);
  const { account } = place;
  const child = spawn(join(place.programs, program), args, {
    cwd: place.root,
    detached: true,
    env: { PATH: process.env.PATH, LOCPATH: process.env.LOCPATH, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', log, log],
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  closeSync(log);
  place.child = child;
  // Without a listener, an error before anyone waits (no such program) would end the process.
  child.on('error', () => {});
  return child;
}

async function exited(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.pid !== undefined && (child.exitCode !== null || child.signalCode !== null)) {
    return [child.exitCode, child.signalCode];
  }
  return (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
}

/** The last line of postmaster.pid is the server's state; pg_ctl waits for it in the same way. */
async function ready(place: Place, child: ChildProcess, signal?: AbortSignal): Promise<void> {
  const lockFile = join(place.dataDir, 'postmaster.pid');
  for (const from = Date.now(); Date.now() - from < START_LIMIT_MS; ) {
    await delay(POLL_MS, undefined, { signal });
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      throw notStarted('the server ended');
    }
    const lines = existsSync(lockFile) ? readFileSync(lockFile, 'utf8').split('\n') : [];
    if (lines[7]?.trim() === 'ready') return;
  }
  throw notStarted(`it was not ready after ${START_LIMIT_MS / 1000} s`);
}

function describe(place: Place, child: ChildProcess, port: number, forget: () => void): Server {
  child.unref();
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await end(child);
    removeFolder(place.root);
    forget();
  };
  return {
    url: (database = SUPERUSER) =>
      `postgresql://${SUPERUSER}@${encodeURIComponent(place.root)}:${port}/${encodeURIComponent(database)}`,
    socketDir: place.root,
    port,
    dataDir: place.dataDir,
    superuser: SUPERUSER,
    pid: child.pid!,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
    log: () => readFileSync(place.logFile, 'utf8'),
  };
}

/** SIGQUIT is PostgreSQL's immediate shutdown: no checkpoint, and no shared memory left behind as after SIGKILL. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = exited(child);
  child.ref();
  child.kill('SIGQUIT');
  const killer = setTimeout(() => killGroup(child), STOP_LIMIT_MS);
  await gone;
  clearTimeout(killer);
}

/** For the exit hook, where no event arrives any more: that the server ended is seen from its lock file's absence. */
function removeNow(place: Place): void {
  const { child } = place;
  if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGQUIT');
    for (let waited = 0; waited < EXIT_STOP_LIMIT_MS; waited += POLL_MS) {
      if (!existsSync(join(place.dataDir, 'postmaster.pid'))) break;
      napNow();
    }
    killGroup(child);
  }
  removeFolder(place.root);
}

/** initdb runs postgres under itself; each of our programs leads a process group, so that both go. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** What was just killed may still write: a folder can fill again while it is being removed. */
function removeFolder(path: string): void {
  for (let tries = 0; existsSync(path) && tries < REMOVE_TRIES; tries++) {
    if (tries > 0) napNow();
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (tries === REMOVE_TRIES - 1) throw error;
    }
  }
}

function napNow(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
}

function tail(place: Place): string {
  if (!existsSync(place.logFile)) return '';
  return readFileSync(place.logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

function notStarted(why: string, cause?: unknown): TidemarkError {
  const message = `can't start a PostgreSQL server: ${why}`;
  return new TidemarkError('SERVER_START_FAILED', message, 'read its log; it says what the server lacks', {
    cause,
  });
}

function startError(error: unknown, log: string): TidemarkError {
  const why =
    error instanceof TidemarkError
      ? error
      : notStarted(error instanceof Error ? error.message : String(error), error);
  return log === ''
    ? why
    : new TidemarkError(why.code, `${why.message}; its log ends with\n${log}`, why.hint, { cause: error });
}
