import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TidemarkError } from '../../src/base/errors.ts';
import { afterEnd } from './afterEnd.ts';

/** Ceph's S3 server, for tests: a monitor, one OSD that keeps everything in memory, and radosgw, on loopback. */
export interface Radosgw {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly user: S3User;
  /** A user who owns nothing of the first one's. */
  createUser(name: string): Promise<S3User>;
  /** Kills the servers and removes their folder; happens by itself when this process ends, in whatever way. */
  stop(): Promise<void>;
}

export interface S3User {
  accessKeyId: string;
  secretAccessKey: string;
}

/** Beside STANDARD, which is there by itself. Ceph only notes them: everything can be read at once. */
const STORAGE_CLASSES = ['STANDARD_IA', 'GLACIER_IR', 'GLACIER'];
/** The name of a key for encryption by `aws:kms`. */
export const KMS_KEY = 'tidemark-test';
const MEMORY_BYTES = 2 ** 31;
/** The monitor's database takes 40 MB and is synced with every step: in memory, the start takes 1 s instead of 11. */
const MONITOR_BYTES = 300 << 20;
const START_LIMIT_MS = 60_000;
const START_ATTEMPTS = 3;
const POLL_MS = 20;
const LOG_TAIL_LINES = 15;

/**
 * Kills the processes whose numbers are in a file of the folder, those that are still about the folder (a number may have
 * gone to somebody else), and removes the folder.
 */
const CLEAN_UP = `
for pid in $(cat "$1/pids"); do
  if grep -qsF "$1" "/proc/$pid/cmdline"; then kill -9 "$pid"; fi
done
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && break; sleep 0.1; done`;

let shared: Promise<Radosgw> | undefined;

/** The same one for every test of this process. */
export function radosgw(): Promise<Radosgw> {
  shared ??= startRadosgw();
  return shared;
}

/** Ports are looked for and then taken, so that somebody else may be quicker: begins again with others. */
async function startRadosgw(): Promise<Radosgw> {
  for (let attempt = 1; ; attempt++) {
    const cluster = await Cluster.make();
    try {
      return await cluster.start();
    } catch (error) {
      const log = cluster.log();
      await cluster.stop();
      if (attempt < START_ATTEMPTS) continue;
      throw new TidemarkError(
        'NO_TEST_SERVER',
        `can't start radosgw: ${error instanceof Error ? error.message : error}; its logs end with\n${log}`,
        'apt-get install --no-install-recommends ceph-mon ceph-osd radosgw, or read its logs',
        { cause: error },
      );
    }
  }
}

class Cluster {
  readonly #folder: string;
  readonly #cleanUp: () => Promise<void>;
  readonly #id = randomUUID();
  readonly #monitor: string;
  readonly #port: number;

  private constructor(folder: string, [first, second, port]: number[]) {
    this.#folder = folder;
    this.#cleanUp = afterEnd(CLEAN_UP, folder);
    this.#monitor = `[v2:127.0.0.1:${first},v1:127.0.0.1:${second}]`;
    this.#port = port!;
  }

  static async make(): Promise<Cluster> {
    const folder = mkdtempSync(join(memoryFolder(), 'tidemark-radosgw-'));
    return new Cluster(folder, await freePorts(3));
  }

  async start(): Promise<Radosgw> {
    await this.#startObjectStore();
    const user = await this.#createUser('tidemark');
    await this.#makeStorageClasses();
    const server = this.#launch('radosgw', '-n', 'client.rgw', '-f');
    await this.#listens(server);
    return {
      endpoint: `http://127.0.0.1:${this.#port}`,
      user,
      createUser: name => this.#createUser(name),
      stop: () => this.stop(),
    };
  }

  stop(): Promise<void> {
    return this.#cleanUp();
  }

  /** The last lines of every log. */
  log(): string {
    const folder = join(this.#folder, 'log');
    const tails = readdirSync(folder).map(file => {
      const lines = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES);
      return `${file}:\n${lines.join('\n')}`;
    });
    return tails.join('\n');
  }

  async #startObjectStore(): Promise<void> {
    for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) mkdirSync(join(this.#folder, name));
    writeFileSync(this.#path('ceph.conf'), this.#configuration());
    const [monmap, osdmap] = [this.#path('monmap'), this.#path('osdmap')];
    await run('monmaptool', ['--create', '--fsid', this.#id, '--addv', 'a', this.#monitor, monmap]);
    await run('osdmaptool', [osdmap, '--createsimple', '1', '-c', this.#path('ceph.conf')]);
    const made = ['--mkfs', '--fsid', this.#id];
    await run('ceph-mon', [...this.#common(), '-i', 'a', ...made, '--monmap', monmap, '--osdmap', osdmap]);
    this.#launch('ceph-mon', '-i', 'a', '-f');
    await run('ceph-osd', [...this.#common(), '-i', '0', ...made, '--osd-uuid', randomUUID()]);
    this.#launch('ceph-osd', '-i', '0', '-f');
  }

  async #makeStorageClasses(): Promise<void> {
    for (const name of STORAGE_CLASSES) {
      const placement = ['--placement-id', 'default-placement', '--storage-class', name];
      await this.#administer('zonegroup', 'placement', 'add', '--rgw-zonegroup', 'default', ...placement);
      const pool = ['--data-pool', 'default.rgw.buckets.data'];
      await this.#administer('zone', 'placement', 'add', '--rgw-zone', 'default', ...placement, ...pool);
    }
  }

  async #createUser(name: string): Promise<S3User> {
    const user = JSON.parse(
      await this.#administer('user', 'create', `--uid=${name}`, `--display-name=${name}`),
    );
    const { access_key, secret_key } = user.keys[0] as { access_key: string; secret_key: string };
    return { accessKeyId: access_key, secretAccessKey: secret_key };
  }

  #administer(...args: string[]): Promise<string> {
    return run('radosgw-admin', [...this.#common(), '-n', 'client.rgw', ...args], child => this.#note(child));
  }

  #launch(program: string, ...args: string[]): ChildProcess {
    const log = openSync(this.#path(`log/${program}.out`), 'a');
    const child = spawn(program, [...this.#common(), ...args], {
      cwd: this.#folder,
      env: ENVIRONMENT,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', () => {}); // no such program: whoever waits for the server says so
    child.unref();
    this.#note(child);
    return child;
  }

  /** A process that must not outlive this one; its arguments name the folder. */
  #note({ pid }: ChildProcess): void {
    if (pid !== undefined) appendFileSync(this.#path('pids'), `${pid}\n`);
  }

  async #listens(server: ChildProcess): Promise<void> {
    for (const from = Date.now(); Date.now() - from < START_LIMIT_MS; ) {
      if (server.exitCode !== null || server.signalCode !== null) throw notStarted('radosgw ended');
      if (await accepts(this.#port)) return;
      await delay(POLL_MS);
    }
    throw notStarted(`it was not ready after ${START_LIMIT_MS / 1000} s`);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #common(): string[] {
    return ['-c', this.#path('ceph.conf'), '--no-mon-config'];
  }

  #configuration(): string {
    const kmsKey = randomBytes(32).toString('base64');
    return `[global]
fsid = ${this.#id}
mon host = ${this.#monitor}
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
objecter tick interval = 0.2
mon client hunt interval = 0.2
osd mon report interval = 1
log file = ${this.#path('log')}/$name.log
admin socket =
run dir = ${this.#path('run')}
crash dir = ${this.#path('run')}
pid file =
keyring = ${this.#path('keyring')}
osd class load list = *
osd class default list = *
[mon.a]
mon data = ${this.#path('mon')}
mon data avail warn = 2
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
mon tick interval = 1
[osd.0]
osd data = ${this.#path('osd')}
osd objectstore = memstore
memstore device bytes = ${MEMORY_BYTES}
[client.rgw]
ms mon client mode = crc
rgw data = ${this.#path('rgw')}
rgw frontends = beast endpoint=127.0.0.1:${this.#port}
rgw thread pool size = 32
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = ${KMS_KEY}=${kmsKey}
`;
  }
}

const ENVIRONMENT = { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C', TZ: 'UTC' };

/** Runs a program to its end and returns what it printed. */
async function run(program: string, args: string[], note?: (child: ChildProcess) => void): Promise<string> {
  const options = { env: ENVIRONMENT, timeout: START_LIMIT_MS };
  try {
    const running = promisify(execFile)(program, args, options);
    note?.(running.child);
    return (await running).stdout;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw notStarted(`${program} failed${stderr ? `: ${stderr.trim().split('\n').at(-1)}` : ''}`, error);
  }
}

/** A folder in memory where there is room for a monitor, else the one for temporary things. */
function memoryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > MONITOR_BYTES) return '/dev/shm';
  } catch {
    // Not every system has it.
  }
  return tmpdir();
}

async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map(probe => once(probe, 'listening')));
  const ports = probes.map(probe => (probe.address() as { port: number }).port);
  await Promise.all(probes.map(probe => promisify(probe.close.bind(probe))()));
  return ports;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function notStarted(why: string, cause?: unknown): TidemarkError {
  return new TidemarkError('NO_TEST_SERVER', why, 'install ceph-mon, ceph-osd and radosgw', { cause });
}
