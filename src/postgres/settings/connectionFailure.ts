/**
 * What a failed connection means and what to do about it. SQLSTATEs:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html. System errors are Node's.
 */
import { asTidemarkError, TidemarkError } from '../../base/errors.ts';
import { PostgresError } from '../postgresError.ts';
import type { ConnectionSettings } from './connectionSettings.ts';
import { describeHost, type HostAddress, isSocketDirectory } from './hosts.ts';
import { describeSettings } from './settings.ts';

interface Meaning {
  code: string;
  /** Follows "could not connect to app on host:5432: ". */
  reason: string;
  hint: string;
}

/** The fields of a server's ErrorResponse and of a system error that are looked at. */
interface RawError {
  message?: string;
  code?: string;
  routine?: string;
  severity?: string;
  address?: string;
  errors?: unknown[];
}

/** pg's own words, when the server answers N to the request for TLS. */
const NO_TLS = /does not support SSL/;

const TRY_NEXT_HOST = new Set([
  'CONNECTION_REFUSED',
  'CONNECTION_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_FAILED',
  'HOST_NOT_FOUND',
  'HOST_UNREACHABLE',
  'SOCKET_NOT_FOUND',
  'SERVER_STARTING',
  'SESSION_ATTRIBUTES',
]);

/** Whether libpq would go on to the next host: not after a server answered, except that it is starting up. */
export function isWorthAnotherHost(error: TidemarkError): boolean {
  return TRY_NEXT_HOST.has(error.code);
}

/** Whether the other kind of transport may fare better: no TLS there, a failed handshake, or pg_hba.conf said no. */
export function isWorthOtherTransport(error: unknown): boolean {
  const { code = '', message = '' } = error as RawError;
  if (code === '28000' || NO_TLS.test(message) || /establishing an SSL connection/.test(message)) return true;
  return code.startsWith('ERR_SSL_') || code === 'EPROTO';
}

export function explainFailure(
  error: unknown,
  settings: ConnectionSettings,
  host: HostAddress,
  encrypted: boolean,
): TidemarkError {
  const where = describeSettings({ database: settings.database, hosts: [host] });
  if (error instanceof TidemarkError) {
    const message = `could not connect to ${where}: ${error.message}`;
    return new TidemarkError(error.code, message, error.hint, { kind: error.kind, cause: error.cause });
  }
  const raw = firstOf(error);
  const meaning =
    serverMeaning(raw, settings, encrypted) ??
    networkMeaning(raw, settings, host) ??
    tlsMeaning(raw, settings, host);
  if (meaning) {
    const hint = [meaning.hint, ...(PostgresError.of(raw)?.lines() ?? [])].join('\n');
    return new TidemarkError(meaning.code, `could not connect to ${where}: ${meaning.reason}`, hint, {
      cause: error,
    });
  }
  const { message, hint } = asTidemarkError(error);
  return new TidemarkError('CONNECTION_FAILED', `could not connect to ${where}: ${message}`, hint, {
    cause: error,
  });
}

/** One error for all the hosts, with the code and hint of the failure that ended the search, else of the first. */
export function summarizeFailures(
  failures: { host: HostAddress; error: TidemarkError }[],
  settings: ConnectionSettings,
): TidemarkError {
  const decisive = (failures.find(({ error }) => !isWorthAnotherHost(error)) ?? failures[0]!).error;
  if (failures.length === 1) return decisive;
  const reasons = failures.map(({ host, error }) => {
    const prefix = `could not connect to ${describeSettings({ database: settings.database, hosts: [host] })}: `;
    return `${describeHost(host)}: ${error.message.replace(prefix, '')}`;
  });
  const message = `could not connect to ${describeSettings(settings)}: ${reasons.join('; ')}`;
  return new TidemarkError(decisive.code, message, decisive.hint, { kind: decisive.kind, cause: decisive });
}

function firstOf(error: unknown): RawError {
  const raw = error as RawError;
  return (raw.errors?.[0] as RawError | undefined) ?? raw;
}

function serverMeaning(raw: RawError, settings: ConnectionSettings, encrypted: boolean): Meaning | undefined {
  if (raw.severity === undefined) return undefined;
  const { message = '', code = '' } = raw;
  const said = `the server says "${message}"`;
  if (code === '28000') return refusedMeaning(raw, settings, encrypted);
  const meanings: Record<string, Omit<Meaning, 'reason'> & { reason?: string }> = {
    '28P01': {
      code: 'PASSWORD_WRONG',
      reason: `the password for user ${settings.user} is wrong, or there is no such user`,
      hint: 'check the user and password; in a URL special characters must be percent-encoded (@ is %40); pooled users may need a suffix such as user.project',
    },
    '3D000': {
      code: 'DATABASE_NOT_FOUND',
      reason: `database ${settings.database} does not exist`,
      hint: 'check the database name (without one, the user name is taken), or create the database',
    },
    '42501': {
      code: 'CONNECT_DENIED',
      hint: `grant connect on database ${settings.database} to ${settings.user}`,
    },
    '53300': {
      code: 'TOO_MANY_CONNECTIONS',
      hint: "close idle connections, run with fewer jobs, or raise max_connections or the role's connection limit",
    },
    '57P03': {
      code: 'SERVER_STARTING',
      hint: 'the server is starting up, recovering or shutting down; try again in a moment',
    },
    '55000': {
      code: 'DATABASE_CLOSED',
      hint: 'the database does not accept connections (datallowconn); choose another one',
    },
    '08P01': {
      code: 'STARTUP_REFUSED',
      hint: "a connection pooler refuses what a backup needs: use the server's direct host and port instead of the pooler's, or leave out options=…",
    },
  };
  const { reason = `${said} (SQLSTATE ${code})`, ...meaning } = meanings[code] ?? {
    code: 'SERVER_REFUSED',
    hint: "look at the server's log",
  };
  return { ...meaning, reason };
}

/** 28000 has several causes; the C routine that raised it tells them apart in any language, English text where it is missing. */
function refusedMeaning(raw: RawError, settings: ConnectionSettings, encrypted: boolean): Meaning {
  const { message = '', routine } = raw;
  const said = `the server says "${message}"`;
  if (routine === 'InitializeSessionUserId' || /^role .* does not exist/.test(message)) {
    const hint = `check the user name, or create it: create role "${settings.user}" login`;
    return { code: 'ROLE_NOT_FOUND', reason: `role ${settings.user} does not exist`, hint };
  }
  if (/pg_hba|encryption|SSL (off|on)|certificate/i.test(message) || routine === 'ClientAuthentication') {
    const tls = encrypted
      ? 'the connection used TLS; where the entry is hostnossl only sslmode=disable fits'
      : 'the connection did not use TLS; if the entry is hostssl use sslmode=require';
    const hint = `add an entry to pg_hba.conf (or this machine's address to the provider's allow list) for this user, database and address; ${tls}`;
    return { code: 'PG_HBA_REFUSED', reason: said, hint };
  }
  const hint =
    'for peer and ident the operating system user must match the role: connect over TCP with a password, or run as that user';
  return { code: 'AUTHENTICATION_REFUSED', reason: said, hint };
}

function networkMeaning(raw: RawError, settings: ConnectionSettings, host: HostAddress): Meaning | undefined {
  const { code = '', message = '', address = '' } = raw;
  const socket = isSocketDirectory(host.host);
  if (code === 'ECONNREFUSED') {
    const hint =
      'check that the server is running, the port is right and listen_addresses includes the address';
    return { code: 'CONNECTION_REFUSED', reason: 'connection refused', hint };
  }
  if (socket && (code === 'ENOENT' || code === 'EACCES')) {
    const reason = code === 'ENOENT' ? 'there is no socket there' : 'no permission to use the socket';
    const hint =
      'check that the server is running and its unix_socket_directories, or give a host name for TCP';
    return { code: 'SOCKET_NOT_FOUND', reason, hint };
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_NONAME') {
    const hint = 'check the host name for typing errors, and that this machine can resolve names';
    return { code: 'HOST_NOT_FOUND', reason: 'the host name is not known', hint };
  }
  if (['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(code)) {
    const ipv6 = address.includes(':') || message.includes('::') || /[0-9a-f]:[0-9a-f]{0,4}:/.test(message);
    const hint = ipv6
      ? "the host has only an IPv6 address, which this network does not reach: use the provider's pooler in session mode, or its IPv4 add-on"
      : 'check the network: routes, VPN and firewall';
    return { code: 'HOST_UNREACHABLE', reason: 'the network does not reach it', hint };
  }
  if (code === 'ETIMEDOUT') {
    const limit = settings.connectTimeoutMs > 0 ? ` within ${settings.connectTimeoutMs / 1000} s` : '';
    const hint =
      "check firewalls and the provider's allow list; a sleeping server may need longer: connect_timeout=60";
    return { code: 'CONNECTION_TIMEOUT', reason: `no answer${limit}`, hint };
  }
  if (
    code === 'ECONNRESET' ||
    code === 'EPIPE' ||
    /terminated unexpectedly|disconnected before secure/.test(message)
  ) {
    const hint =
      "the other end hung up: check that it is PostgreSQL, and look at its log or the provider's status";
    return { code: 'CONNECTION_CLOSED', reason: 'the connection was closed before it was set up', hint };
  }
  return undefined;
}

function tlsMeaning(raw: RawError, settings: ConnectionSettings, host: HostAddress): Meaning | undefined {
  const { code = '', message = '' } = raw;
  if (NO_TLS.test(message)) {
    const hint =
      'turn on ssl on the server; only if you trust the network on the way: sslmode=disable in so many words';
    return { code: 'TLS_UNSUPPORTED', reason: 'the server does not support TLS', hint };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const hint =
      'connect by a name that the certificate bears (with hostaddr for the address), or check the chain only: sslmode=verify-ca';
    return { code: 'TLS_NAME_MISMATCH', reason: `the server's certificate is not for ${host.host}`, hint };
  }
  if (code === 'CERT_HAS_EXPIRED') {
    const hint = "renew the server's certificate, and check this machine's clock";
    return { code: 'TLS_EXPIRED', reason: "the server's certificate has expired", hint };
  }
  if (/^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|INVALID_PURPOSE)/.test(code)) {
    const root = settings.sslrootcert ?? '~/.postgresql/root.crt';
    const hint = `the authority in ${root} did not sign it: get the provider's root certificate and name it with sslrootcert`;
    return { code: 'TLS_NOT_TRUSTED', reason: `the server's certificate is not trusted (${code})`, hint };
  }
  if (code.startsWith('ERR_OSSL_') || /bad decrypt|no start line|PEM/.test(message)) {
    const hint =
      'check that sslcert, sslkey and sslrootcert are PEM files that belong together, and sslpassword if the key has one';
    return { code: 'TLS_FILE', reason: `a certificate or key file can not be used (${code})`, hint };
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO' || /establishing an SSL connection/.test(message)) {
    const hint =
      'the server may ask for a client certificate (sslcert, sslkey) or another TLS version; its log says which';
    return { code: 'TLS_FAILED', reason: `TLS could not be set up (${code || message})`, hint };
  }
  return undefined;
}
