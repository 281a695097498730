import { usageError } from '../../base/errors.ts';
import { type Address, refuseSettings, type StorageSettings } from '../kind.ts';

/** A folder on an SSH server. Plain data that may hold secrets: never printed. */
export interface SftpSpec {
  kind: 'sftp';
  host: string;
  port: number;
  /** Absent: whoever runs this. */
  user?: string;
  /** Absolute, or relative to the user's home. */
  path: string;
  /** `SHA256:…` of the one key that the host may have; absent: known_hosts decides. */
  hostKey?: string;
  credentials: SftpCredentials;
}

/** Files are absolute or begin with `~/`. All absent: the agent, then the keys in ~/.ssh. */
export interface SftpCredentials {
  privateKeyFile?: string;
  /** Of the private key. */
  passphrase?: string;
  password?: string;
  /** Instead of ~/.ssh/known_hosts and the system's. */
  knownHosts?: string;
}

const SSH_PORT = 22;
const KEYS = {
  private_key_file: 'privateKeyFile',
  passphrase: 'passphrase',
  password: 'password',
  known_hosts: 'knownHosts',
} as const satisfies Record<string, keyof SftpCredentials>;

export function parseSftp(address: Address, settings: StorageSettings): SftpSpec {
  refuseSettings(settings, 'a folder on an SSH server', ['credentials']);
  const { host, port = SSH_PORT, user, path, query } = address;
  if (host === '') throw addressError('names no host');
  if (port < 1 || port > 65_535) throw addressError(`has no port ${port}`);
  if (user === '') throw addressError('has an empty user name');
  const spec: SftpSpec = {
    kind: 'sftp',
    host: host.toLowerCase(),
    port,
    ...(user === undefined ? {} : { user }),
    path: folderOf(path),
    credentials: readCredentials(settings.credentials ?? {}),
  };
  for (const [key, written] of query) {
    // A query's + stands for a space, of which a fingerprint has none.
    const value = written.replaceAll(' ', '+');
    if (key !== 'host_key') throw addressError(`has ${key} in its address, which means nothing here`);
    if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(value)) {
      throw usageError(
        'STORAGE_ADDRESS',
        'has a host_key that is no fingerprint',
        "write it as 'ssh-keygen -lf' shows it: SHA256: and 43 characters",
      );
    }
    spec.hostKey = value;
  }
  return spec;
}

/** For people, and the same for two specs of the same folder. */
export function sftpLocation({ user, host, port, path }: SftpSpec): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const at = `${user === undefined ? '' : `${user}@`}${name}${port === SSH_PORT ? '' : `:${port}`}`;
  return `sftp://${at}${path.startsWith('/') ? path : `/~/${path}`}`;
}

function folderOf(path: string): string {
  const parts = path.split('/');
  const home = parts[0] === '~';
  if (home) parts.shift();
  if (parts.length === 0 || parts[0] === '') throw addressError('names no folder');
  if (parts.includes('..') || parts.includes('.'))
    throw addressError('has . or .. in the path of its address');
  return home ? parts.join('/') : `/${path}`;
}

function readCredentials(written: Readonly<Record<string, string>>): SftpCredentials {
  const credentials: SftpCredentials = {};
  for (const [key, value] of Object.entries(written)) {
    if (!Object.hasOwn(KEYS, key)) {
      const hint = `it has ${Object.keys(KEYS).join(', ')}`;
      throw usageError('STORAGE_CREDENTIALS', `has no use for ${key} in its credentials`, hint);
    }
    const name = KEYS[key as keyof typeof KEYS];
    const file = name === 'privateKeyFile' || name === 'knownHosts';
    if (file && !value.startsWith('/') && !value.startsWith('~/')) {
      const hint = 'write an absolute path, or one that begins with ~/';
      throw usageError('STORAGE_CREDENTIALS', `has a relative path as ${key} in its credentials`, hint);
    }
    credentials[name] = value;
  }
  return credentials;
}

function addressError(what: string) {
  return usageError(
    'STORAGE_ADDRESS',
    what,
    'write sftp://user@host:port/srv/backups for a folder of the server, sftp://user@host/~/backups for one of the home',
  );
}
