/**
 * Which TLS a connection gets, and Node's options for it.
 * Source: https://www.postgresql.org/docs/current/libpq-ssl.html ("SSL Support"). One rule is stricter than libpq's:
 * a server on another machine is spoken to over TLS unless sslmode=disable says otherwise in so many words.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ConnectionOptions, getCACertificates, rootCertificates, type SecureVersion } from 'node:tls';
import { TidemarkError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import type { ConnectionSettings, SslMode } from './connectionSettings.ts';
import { type HostAddress, isLocal, isSocketDirectory } from './hosts.ts';
import { type Keywords, settingsError } from './keywords.ts';

export const SSL_MODES: readonly SslMode[] = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
];
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

type TlsSettings = Pick<
  ConnectionSettings,
  | 'sslmode'
  | 'sslrootcert'
  | 'sslcrl'
  | 'sslcert'
  | 'sslkey'
  | 'sslpassword'
  | 'sslnegotiation'
  | 'sslMinVersion'
  | 'sslMaxVersion'
>;

export function resolveTls(given: Keywords, hosts: HostAddress[], home: string): TlsSettings {
  const system = given.sslrootcert === 'system';
  let sslmode = system && !given.sslmode ? 'verify-full' : resolveMode(given.sslmode || undefined, hosts);
  if (system && sslmode !== 'verify-full') {
    throw settingsError(
      `sslmode=${sslmode} with sslrootcert=system`,
      'use sslmode=verify-full: anyone can get a certificate from a public authority',
    );
  }
  const sslnegotiation = oneOf('sslnegotiation', given.sslnegotiation || 'postgres', [
    'postgres',
    'direct',
  ] as const);
  if (sslnegotiation === 'direct' && ['disable', 'allow', 'prefer'].includes(sslmode)) {
    throw settingsError(`sslmode=${sslmode} with sslnegotiation=direct`, 'use sslmode=require or stricter');
  }
  const file = (keyword: string, name: string) => fileOf(given[keyword], join(home, '.postgresql', name));
  const sslrootcert = system ? 'system' : file('sslrootcert', 'root.crt');
  // With an authority at hand libpq checks against it: "backwards compatibility", section "Client Verification".
  if (sslmode === 'require' && sslrootcert !== undefined) sslmode = 'verify-ca';
  const sslcert = given.sslcertmode === 'disable' ? undefined : file('sslcert', 'postgresql.crt');
  oneOf('sslcertmode', given.sslcertmode || 'allow', ['disable', 'allow', 'require'] as const);
  if (given.sslcertmode === 'require' && !sslcert) {
    throw settingsError(
      'sslcertmode=require without a client certificate',
      'name one with sslcert and sslkey',
    );
  }
  return {
    sslmode,
    sslrootcert,
    sslcrl: sslrootcert && sslrootcert !== 'system' ? file('sslcrl', 'root.crl') : undefined,
    sslcert,
    sslkey: sslcert && file('sslkey', 'postgresql.key'),
    sslpassword: given.sslpassword || undefined,
    sslnegotiation,
    sslMinVersion: version('ssl_min_protocol_version', given.ssl_min_protocol_version),
    sslMaxVersion: version('ssl_max_protocol_version', given.ssl_max_protocol_version),
  };
}

function resolveMode(given: string | undefined, hosts: HostAddress[]): SslMode {
  const wanted = given === 'no-verify' ? 'require' : given; // node-postgres's word for require without an authority
  if (wanted !== undefined) oneOf('sslmode', wanted, SSL_MODES);
  if (hosts.every(isLocal)) return (wanted as SslMode | undefined) ?? 'prefer';
  return wanted === undefined || wanted === 'allow' || wanted === 'prefer' ? 'require' : (wanted as SslMode);
}

/** The kinds of transport to try for a host, in order; `true` is TLS. libpq never speaks TLS over a socket. */
export function transports(settings: ConnectionSettings, host: HostAddress): boolean[] {
  if (isSocketDirectory(host.address ?? host.host) || settings.sslmode === 'disable') return [false];
  if (!isLocal(host)) return [true];
  if (settings.sslmode === 'allow') return [false, true];
  return settings.sslmode === 'prefer' ? [true, false] : [true];
}

/** @throws TLS_FILE when a certificate or key can't be read or used. */
export async function tlsOptions(settings: ConnectionSettings): Promise<ConnectionOptions> {
  const verify = settings.sslmode === 'verify-ca' || settings.sslmode === 'verify-full';
  const options: ConnectionOptions = { rejectUnauthorized: verify };
  if (verify) {
    options.ca = await authorities(settings.sslrootcert);
    if (settings.sslcrl) options.crl = await read(settings.sslcrl, 'the revocation list');
    if (settings.sslmode === 'verify-ca') options.checkServerIdentity = () => undefined;
  }
  if (settings.sslMinVersion) options.minVersion = settings.sslMinVersion as SecureVersion;
  if (settings.sslMaxVersion) options.maxVersion = settings.sslMaxVersion as SecureVersion;
  if (settings.sslcert) {
    if (!settings.sslkey) {
      throw new TidemarkError(
        'TLS_FILE',
        `the client certificate ${settings.sslcert} has no private key`,
        'name the key file with sslkey, or put it at ~/.postgresql/postgresql.key',
      );
    }
    await requirePrivate(settings.sslkey);
    options.cert = await read(settings.sslcert, 'the client certificate');
    options.key = await read(settings.sslkey, 'the private key');
    if (settings.sslpassword !== undefined) options.passphrase = settings.sslpassword;
  }
  return options;
}

async function authorities(sslrootcert: string | undefined): Promise<string[] | Buffer> {
  if (sslrootcert === 'system') {
    const system = getCACertificates('system');
    return system.length > 0 ? system : [...rootCertificates];
  }
  if (sslrootcert !== undefined) return read(sslrootcert, 'the root certificate');
  throw new TidemarkError(
    'TLS_FILE',
    'the server is to be verified, but no root certificate is there to check it against',
    "name the provider's with sslrootcert, put it at ~/.postgresql/root.crt, or use sslrootcert=system for a public authority",
  );
}

/** libpq's rule: a key is its owner's alone (0600), or root's and readable by a group (0640). */
async function requirePrivate(path: string): Promise<void> {
  const info = await stat(path).catch(error => {
    throw unreadable(path, 'the private key', error);
  });
  const allowed = info.uid === 0 ? 0o027 : 0o077;
  if (process.platform === 'win32' || (info.mode & allowed) === 0) return;
  throw new TidemarkError('TLS_FILE', `others can read the private key ${path}`, `run chmod 600 ${path}`);
}

async function read(path: string, what: string): Promise<Buffer> {
  const found = await readSmallFile(path).catch(error => {
    throw unreadable(path, what, error);
  });
  return found.bytes;
}

function unreadable(path: string, what: string, error: NodeJS.ErrnoException): TidemarkError {
  return new TidemarkError(
    'TLS_FILE',
    `could not read ${what} ${path} (${error.code})`,
    'check the path, and that the user tidemark runs as may read the file',
    { cause: error },
  );
}

/** A file that was named is taken as named, so that a wrong name is found out; a default one only if it exists. */
function fileOf(given: string | undefined, byDefault: string): string | undefined {
  if (given) return resolve(given);
  return existsSync(byDefault) ? byDefault : undefined;
}

function version(keyword: string, given: string | undefined): string | undefined {
  return given ? oneOf(keyword, given, VERSIONS) : undefined;
}

export function oneOf<T extends string>(keyword: string, value: string, allowed: readonly T[]): T {
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw settingsError(`${keyword} has an unknown value`, `it is one of ${allowed.join(', ')}`);
}
