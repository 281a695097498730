import { join } from 'node:path';
import { TidemarkError, usageError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import { fromHome } from './authentication.ts';
import {
  fingerprint,
  judgeHostKey,
  type KnownHost,
  keyType,
  knownName,
  knownTypes,
  parseKnownHosts,
} from './knownHosts.ts';
import type { SftpSpec } from './spec.ts';

/** What the system knows, for all users. */
const SYSTEM_FILE = '/etc/ssh/ssh_known_hosts';
/** Algorithms by the type of the key; the first is preferred (RFC 8332 for rsa-sha2). */
const ALGORITHMS: Record<string, readonly string[]> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** What one host may show for a key. */
export class HostKeyCheck {
  /** To ask the host for, the best first: those of known keys before others, since a host shows only one. */
  readonly algorithms: readonly string[];
  readonly #spec: SftpSpec;
  readonly #known: readonly KnownHost[];
  readonly #file: string;

  private constructor(spec: SftpSpec, known: readonly KnownHost[], file: string) {
    this.#spec = spec;
    this.#known = known;
    this.#file = file;
    const types = knownTypes(known, knownName(spec.host, spec.port));
    const all = Object.keys(ALGORITHMS);
    const ordered = [
      ...all.filter(type => types.includes(type)),
      ...all.filter(type => !types.includes(type)),
    ];
    this.algorithms = ordered.flatMap(type => ALGORITHMS[type]!);
  }

  static async load(spec: SftpSpec, home: string): Promise<HostKeyCheck> {
    const { knownHosts } = spec.credentials;
    if (knownHosts === undefined) {
      const own = join(home, '.ssh', 'known_hosts');
      const known = [await readKnownHosts(own), await readKnownHosts(SYSTEM_FILE)];
      return new HostKeyCheck(spec, known.flat(), own);
    }
    const file = fromHome(knownHosts, home);
    const known = await readKnownHosts(file, true);
    return new HostKeyCheck(spec, known, file);
  }

  /** What is wrong with the key that the host shows; undefined where it is the right one. */
  fault(key: Buffer): TidemarkError | undefined {
    const { host, port, hostKey } = this.#spec;
    const shown = `${keyType(key)} ${fingerprint(key)}`;
    const verdict = judgeHostKey(this.#known, knownName(host, port), key);
    if (verdict.is === 'revoked') {
      return new TidemarkError(
        'SSH_HOST_KEY_REVOKED',
        `${host} shows a key that was revoked: ${shown} (${verdict.where})`,
        'nothing was sent; whoever holds this key must not be trusted, so ask who runs the host',
      );
    }
    if (hostKey !== undefined)
      return hostKey === fingerprint(key) ? undefined : otherThanPinned(this.#spec, shown);
    if (verdict.is === 'unknown') return this.#unknown(keyType(key), shown);
    return verdict.is === 'changed' ? this.#changed(shown, verdict.where) : undefined;
  }

  #unknown(type: string, shown: string): TidemarkError {
    const { host, port } = this.#spec;
    const name = type.replace(/^ssh-|-sha2-nistp\d+$/g, '');
    return usageError(
      'SSH_HOST_KEY_UNKNOWN',
      `${host} is not in ${this.#file}; it shows the key ${shown}`,
      'compare that with what whoever runs the host says it is; if it is the same, make it known:\n' +
        `ssh-keyscan -t ${name}${port === 22 ? '' : ` -p ${port}`} ${host} >> ${this.#file}`,
    );
  }

  #changed(shown: string, where: string[]): TidemarkError {
    const { host, port } = this.#spec;
    return new TidemarkError(
      'SSH_HOST_KEY_CHANGED',
      `the key of ${host} is not the one that is known: it shows ${shown}, not what ${where.join(', ')} says; ` +
        'another machine may be in its place',
      'nothing was sent; ask who runs the host, and only if its key was changed on purpose, forget the old one: ' +
        `ssh-keygen -f ${this.#file} -R '${knownName(host, port)}'`,
    );
  }
}

function otherThanPinned({ host, hostKey }: SftpSpec, shown: string): TidemarkError {
  return new TidemarkError(
    'SSH_HOST_KEY_CHANGED',
    `the key of ${host} is not the one in its address: it shows ${shown}, not ${hostKey}; another machine may be in its place`,
    'nothing was sent; ask who runs the host. A host has several keys: host_key must be that of the type shown here',
  );
}

/** Some fleets have long ones. */
const KNOWN_HOSTS_BYTES_MAX = 50_000_000;

async function readKnownHosts(file: string, needed = false): Promise<KnownHost[]> {
  try {
    return parseKnownHosts((await readSmallFile(file, KNOWN_HOSTS_BYTES_MAX)).bytes.toString('utf8'), file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !needed) return [];
    const what = code === 'ENOENT' ? `there is no ${file}` : `${file} can't be read: ${code}`;
    throw usageError('SSH_KNOWN_HOSTS', what, 'make it a file that this user may read', cause);
  }
}
