/**
 * Reads `postgresql://user:password@host:port,host2:port2/database?keyword=value`, following libpq's own reader.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS ("Connection URIs").
 */
import {
  FRAMEWORK_PARAMETERS,
  isKnownKeyword,
  type Keywords,
  requireKnownKeyword,
  settingsError,
} from './keywords.ts';

const ENCODE_HINT =
  'percent-encode special characters in the user name and password: @ is %40, / is %2F, : is %3A, ? is %3F, % is %25, a space is %20';

export function isUrl(text: string): boolean {
  return text.startsWith('postgresql://') || text.startsWith('postgres://');
}

/** @throws CONNECTION_STRING, never quoting any part but the name of an unknown parameter. */
export function parseUrl(text: string): Keywords {
  const rest = text.slice(text.indexOf('://') + 3);
  const keywords: Keywords = {};
  const authorityStart = splitUserInfo(rest, keywords);
  const { hosts, ports, end } = readHosts(rest, authorityStart);
  const host = hosts.map(each => decode(each, 'host')).join(',');
  if (host !== '') keywords.host = host;
  if (ports.some(port => port !== '')) keywords.port = ports.map(port => decode(port, 'port')).join(',');

  const query = rest.indexOf('?', end);
  const pathEnd = query === -1 ? rest.length : query;
  // A password with an unencoded / or ? ends where the path or the parameters seem to begin, and its rest stands in them.
  if (rest.slice(end, pathEnd).includes('@'))
    throw settingsError('the connection URL has an @ behind its host', ENCODE_HINT);
  if (rest[end] === '/' && pathEnd > end + 1)
    keywords.dbname = decode(rest.slice(end + 1, pathEnd), 'database name');
  if (query !== -1) readParameters(rest.slice(query + 1), keywords);
  return keywords;
}

/** As in libpq the user part ends at the first `@` that comes before any `/`. Returns where the hosts begin. */
function splitUserInfo(rest: string, keywords: Keywords): number {
  const at = rest.search(/[@/]/);
  if (at === -1 || rest[at] !== '@') return 0;
  const userInfo = rest.slice(0, at);
  const colon = userInfo.indexOf(':');
  const user = colon === -1 ? userInfo : userInfo.slice(0, colon);
  const password = colon === -1 ? '' : userInfo.slice(colon + 1);
  if (user !== '') keywords.user = decode(user, 'user name');
  if (password !== '') keywords.password = decode(password, 'password');
  return at + 1;
}

function readHosts(rest: string, start: number): { hosts: string[]; ports: string[]; end: number } {
  const hosts: string[] = [];
  const ports: string[] = [];
  let at = start;
  for (;;) {
    let host: string;
    if (rest[at] === '[') {
      const close = rest.indexOf(']', at);
      if (close === -1)
        throw settingsError(
          'the connection URL has a [ without its ]',
          'write an IPv6 address as [2001:db8::1]',
        );
      host = rest.slice(at + 1, close);
      at = close + 1;
      if (host === '' || !/^[:/?,]?$/.test(rest[at] ?? '')) {
        throw settingsError(
          'the connection URL has a malformed IPv6 address',
          'write it as [2001:db8::1]:5432',
        );
      }
    } else {
      const end = endOf(rest, at, /[:/?,]/);
      host = rest.slice(at, end);
      at = end;
    }
    // A second @ means an unencoded one in the password, whose rest now looks like a host: never go on to print it.
    if (host.includes('@')) throw settingsError('the connection URL has more than one @', ENCODE_HINT);
    let port = '';
    if (rest[at] === ':') {
      const end = endOf(rest, at + 1, /[/?,]/);
      port = rest.slice(at + 1, end);
      at = end;
      if (!/^[0-9]*$/.test(port))
        throw settingsError('the connection URL has a port that is not a number', ENCODE_HINT);
    }
    hosts.push(host);
    ports.push(port);
    if (rest[at] !== ',') return { hosts, ports, end: at };
    at += 1;
  }
}

function readParameters(query: string, keywords: Keywords): void {
  for (const parameter of query.split('&')) {
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    if (equals === -1) {
      if (query.includes('@'))
        throw settingsError('the connection URL has an @ behind its host', ENCODE_HINT);
      throw settingsError(
        'the connection URL has a parameter without a value',
        'write ?keyword=value&keyword=value after the database name',
      );
    }
    const keyword = decode(parameter.slice(0, equals), 'parameter name');
    const value = decode(parameter.slice(equals + 1), `parameter ${keyword}`);
    if (keyword === 'ssl') {
      keywords.sslmode = sslmodeOfSsl(value);
    } else if (!Object.hasOwn(FRAMEWORK_PARAMETERS, keyword)) {
      if (query.includes('@') && !isKnownKeyword(keyword))
        throw settingsError('the connection URL has an @ behind its host', ENCODE_HINT);
      requireKnownKeyword(keyword, 'the connection URL');
      keywords[keyword] = value;
    }
  }
}

/** libpq reads JDBC's `ssl=true` as sslmode=require; asyncpg writes the mode itself. Nothing here turns TLS off. */
function sslmodeOfSsl(value: string): string {
  if (['true', '1', 'no-verify'].includes(value)) return 'require';
  if (['false', '0', ''].includes(value)) {
    throw settingsError(
      'the connection URL says ssl=' + value,
      'to do without TLS write sslmode=disable in so many words',
    );
  }
  return value;
}

function decode(text: string, what: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw settingsError(`the ${what} in the connection URL is not percent-encoded correctly`, ENCODE_HINT);
  }
  if (decoded.includes('\0')) {
    throw settingsError(
      `the ${what} in the connection URL holds a zero byte`,
      'take %00 out: PostgreSQL can not take it',
    );
  }
  return decoded;
}

function endOf(text: string, from: number, stop: RegExp): number {
  const length = text.slice(from).search(stop);
  return length === -1 ? text.length : from + length;
}
