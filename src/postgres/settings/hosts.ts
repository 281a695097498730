/**
 * The list of servers to try: host, hostaddr and port may each name several, in step.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 * ("Specifying Multiple Hosts").
 */
import { existsSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { settingsError } from './keywords.ts';

export interface HostAddress {
  /** A name or address; a socket directory when it starts with `/`, an abstract one when it starts with `@`. */
  host: string;
  port: number;
  /** Where to connect instead of looking `host` up (hostaddr); the certificate is still checked against `host`. */
  address?: string;
  /** Whether it lets us turn event triggers off; found out by the first session (sessionStart.ts). */
  eventTriggers?: boolean;
}

export const DEFAULT_PORT = 5432;

/** What distributions and PostgreSQL itself compile in as the place of the server's socket. */
export const DEFAULT_SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp'];

export function parseHosts(host: string, hostaddr: string, port: string): HostAddress[] {
  const addresses = hostaddr === '' ? [] : hostaddr.split(',').map(each => each.trim());
  const names = host === '' ? addresses.map(() => '') : host.split(',').map(each => each.trim());
  if (names.length === 0) names.push('');
  if (addresses.length > 0 && addresses.length !== names.length) {
    throw settingsError(
      `there are ${names.length} hosts and ${addresses.length} host addresses`,
      'give one hostaddr for each host, or none at all',
    );
  }
  const ports = port.split(',').map(parsePort);
  if (ports.length > 1 && ports.length !== names.length) {
    throw settingsError(
      `there are ${names.length} hosts and ${ports.length} ports`,
      'give one port for each host, or one for all',
    );
  }
  return names.map((name, index) => {
    const address = addresses[index];
    if (name.indexOf('@') > 0) {
      throw settingsError('a host has an @ in it', 'percent-encode an @ in the user name or password as %40');
    }
    return {
      host: name || address || defaultSocketDirectory(),
      port: ports[index] ?? ports[0]!,
      ...(address ? { address } : {}),
    };
  });
}

export function isSocketDirectory(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@');
}

/** Whether the bytes to this server stay on this machine: a socket or a loopback address. */
export function isLocal({ host, address }: HostAddress): boolean {
  const target = (address ?? host).toLowerCase();
  if (isSocketDirectory(target) || target === 'localhost') return true;
  if (isIPv4(target)) return target.startsWith('127.');
  if (!isIPv6(target)) return false;
  const canonical = new URL(`http://[${target.replace(/%.*$/, '')}]`).hostname;
  return canonical === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical);
}

export function describeHost({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function defaultSocketDirectory(): string {
  if (process.platform === 'win32') return 'localhost';
  return DEFAULT_SOCKET_DIRECTORIES.find(directory => existsSync(directory)) ?? '/tmp';
}

function parsePort(text: string): number {
  const trimmed = text.trim();
  if (trimmed === '') return DEFAULT_PORT;
  const port = Number(trimmed);
  if (/^[0-9]+$/.test(trimmed) && port >= 1 && port <= 65_535) return port;
  throw settingsError(
    'the port is not a number from 1 to 65535',
    'PostgreSQL listens on 5432 unless told otherwise',
  );
}
