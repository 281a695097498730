import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect as tcp } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEnd } from './afterEnd.ts';

/**
 * OpenSSH's server on 127.0.0.1, with a user of its own. As root it runs in a namespace, where that user and its password
 * are in /etc/passwd and nobody else sees them; otherwise it knows only whoever runs the test, and no password.
 */
export interface Sshd {
  port: number;
  user: string;
  /** Undefined where only root could give one. */
  password: string | undefined;
  /** The user's, on this machine. */
  home: string;
  /** Of a key that may log in; it has no passphrase. */
  privateKeyFile: string;
  /** Has the server's keys. */
  knownHosts: string;
  /** Public host keys as known_hosts has them: type and key. */
  hostKeys: string[];
  /** A folder for what the test needs. */
  folder: string;
  log(): string;
  stop(): Promise<void>;
}

export interface SshdOptions {
  /** To sftp-server(8): `-P hardlink` denies requests. */
  sftpArguments?: string;
  /** Lines of sshd_config, before ours; the first of each keyword counts. */
  configuration?: string[];
  /** Folder in the home → size of the disk that is mounted there, in megabytes. As root only. */
  disks?: Record<string, number>;
}

const PROGRAM = '/usr/sbin/sshd';
const USER = 'backup-test';
const UID = 64_123;
const START_LIMIT_MS = 20_000;
export const isRoot = process.getuid?.() === 0;

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-sshd-'));
  chmodSync(folder, 0o755);
  const home = join(folder, 'home');
  mkdirSync(home);
  if (isRoot) chownSync(home, UID, UID);
  const hostKeys = ['ed25519', 'ecdsa'].map(type => makeKey(join(folder, `host_${type}`), type));
  const privateKeyFile = join(folder, 'id');
  writeFileSync(join(folder, 'authorized_keys'), `${makeKey(privateKeyFile, 'ed25519')}\n`);
  const port = await freePort();
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, hostKeys.map(key => `[127.0.0.1]:${port} ${key}\n`).join(''));
  writeFileSync(join(folder, 'sshd_config'), configuration(folder, port, options));
  const password = isRoot ? makeAccount(folder, home) : undefined;
  const stop = launch(folder, options);
  await answering(folder, port);
  return {
    port,
    user: isRoot ? USER : userInfo().username,
    password,
    home,
    privateKeyFile,
    knownHosts,
    hostKeys,
    folder,
    log: () => readFileSync(join(folder, 'log'), 'utf8'),
    stop,
  };
}

/** Makes a pair of keys; returns the public one as `type key`. */
export function makeKey(file: string, type: string, passphrase = ''): string {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', file]);
  return readFileSync(`${file}.pub`, 'utf8').trim();
}

function configuration(folder: string, port: number, options: SshdOptions): string {
  return [
    ...(options.configuration ?? []),
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host_ed25519`,
    `HostKey ${folder}/host_ecdsa`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    `Subsystem sftp internal-sftp -d ${folder}/home ${options.sftpArguments ?? ''}`,
    'LogLevel VERBOSE',
    'MaxStartups 100',
    '',
  ].join('\n');
}

/** Files that stand for /etc/passwd and /etc/shadow, with one user more. */
function makeAccount(folder: string, home: string): string {
  const password = 'correct horse';
  const hashed = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: password, encoding: 'utf8' });
  const passwd = readFileSync('/etc/passwd', 'utf8');
  writeFileSync(join(folder, 'passwd'), `${passwd.trimEnd()}\n${USER}:x:${UID}:${UID}::${home}:/bin/sh\n`);
  writeFileSync(join(folder, 'shadow'), `${USER}:${hashed.trim()}:19000:0:99999:7:::\n`, { mode: 0o600 });
  return password;
}

const IN_NAMESPACE = `
set -e
folder=$1; shift
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 755 /run/sshd
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/shadow" /etc/shadow
while [ $# -gt 0 ]; do
  mkdir "$folder/home/$1"
  mount -t tmpfs -o "size=$2m,mode=700,uid=${UID},gid=${UID}" tmpfs "$folder/home/$1"
  shift 2
done
exec ${PROGRAM} -D -e -f "$folder/sshd_config"
`;

function launch(folder: string, { disks = {} }: SshdOptions): () => Promise<void> {
  const log = openSync(join(folder, 'log'), 'a');
  const inside = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child=KILL',
    'sh',
    '-c',
    IN_NAMESPACE,
    'sshd',
    folder,
  ];
  const mounts = Object.entries(disks).flatMap(([name, sizeMb]) => [name, String(sizeMb)]);
  const [program, args] = isRoot
    ? ['unshare', [...inside, ...mounts]]
    : [PROGRAM, ['-D', '-e', '-f', join(folder, 'sshd_config')]];
  const server = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
  server.unref();
  return afterEnd('kill -KILL "$1"; rm -rf "$2"', String(server.pid), folder);
}

/** Until the server shows its banner. */
async function answering(folder: string, port: number): Promise<void> {
  for (const from = Date.now(); Date.now() - from < START_LIMIT_MS; await sleep(20)) {
    const greeted = await new Promise<boolean>(resolve => {
      const socket = tcp(port, '127.0.0.1');
      socket.once('error', () => resolve(false));
      socket.once('data', data => {
        resolve(data.toString('latin1').startsWith('SSH-2.0-'));
        socket.destroy();
      });
    });
    if (greeted) return;
  }
  throw new Error(`sshd did not start: ${readFileSync(join(folder, 'log'), 'utf8')}`);
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise(resolve => probe.close(resolve));
  return port;
}
