import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TidemarkError } from '../../src/base/errors.ts';

/** Azurite, Microsoft's emulator of Azure Blob storage, on loopback, with everything in memory. */
export interface Azurite {
  readonly account: string;
  /** Made for this server. */
  readonly accountKey: string;
  /** The blob service of the account: `http://127.0.0.1:port/account`, or https. */
  readonly endpoint: string;
  readonly port: number;
  /** Ends by itself when this process does, in whatever way. */
  stop(): void;
}

const PROGRAM = join(import.meta.dirname, '../servers/node_modules/azurite/dist/src/blob/main.js');
const ACCOUNT = 'tidemarktest';
const START_LIMIT_MS = 60_000;
/** Ends the server when the other end of its standard input is gone: when the process of the test is, even killed. */
const UNTIL_PARENT_ENDS = `data:text/javascript,${encodeURIComponent(
  "process.stdin.on('close', () => process.exit()).on('error', () => process.exit()).resume()",
)}`;
const ARGUMENTS = [
  ['--blobHost', '127.0.0.1'],
  ['--blobPort', '0'],
  '--inMemoryPersistence',
  '--skipApiVersionCheck',
  '--disableTelemetry',
  '--silent',
].flat();

/** Files of a server that speaks https and takes tokens of identities, which it looks at but can't check. */
export interface Certified {
  cert: string;
  key: string;
}

let shared: Promise<Azurite> | undefined;

/** The same one for every test of this process. */
export function azurite(): Promise<Azurite> {
  shared ??= startAzurite();
  return shared;
}

export async function startAzurite(certified?: Certified): Promise<Azurite> {
  if (!existsSync(PROGRAM)) throw notStarted('it is not installed');
  const accountKey = randomBytes(64).toString('base64');
  const secure = certified ? ['--oauth', 'basic', '--cert', certified.cert, '--key', certified.key] : [];
  const args = ['--import', UNTIL_PARENT_ENDS, PROGRAM, ...ARGUMENTS, ...secure];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, AZURITE_ACCOUNTS: `${ACCOUNT}:${accountKey}` },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const port = await listeningPort(child);
  // The test may end while the server runs: nothing of it is waited for.
  child.unref();
  for (const pipe of child.stdio) (pipe as { unref?(): void } | null)?.unref?.();
  const stop = (): void => void child.stdin.end();
  const endpoint = `${certified ? 'https' : 'http'}://127.0.0.1:${port}/${ACCOUNT}`;
  return { account: ACCOUNT, accountKey, endpoint, port, stop };
}

/** Read from what it prints once it listens. What it prints later is read too, or it would wait for that. */
function listeningPort(child: ChildProcess): Promise<number> {
  const listening = Promise.withResolvers<number>();
  const printed: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', line => {
      if (printed.length < 20) printed.push(line);
      const port = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port) listening.resolve(Number(port));
    });
  }
  child.on('error', error => listening.reject(notStarted(error.message)));
  child.on('exit', code => listening.reject(notStarted(`it ended with code ${code}: ${printed.join('\n')}`)));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    listening.reject(notStarted(`it was not ready after ${START_LIMIT_MS / 1000} s: ${printed.join('\n')}`));
  }, START_LIMIT_MS);
  return listening.promise.finally(() => clearTimeout(timer));
}

function notStarted(why: string): TidemarkError {
  return new TidemarkError('NO_TEST_SERVER', `can't start azurite: ${why}`, 'run npm ci in tests/servers');
}
