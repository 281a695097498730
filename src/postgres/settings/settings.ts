/**
 * Finds out how to connect, by libpq's habits: what is given counts before the service file, that before PG*
 * environment variables, those before the defaults.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html ("Connection Strings", "Parameter Key Words").
 */
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { type ConnectionSettings, SESSION_ATTRIBUTES } from './connectionSettings.ts';
import { describeHost, type HostAddress, parseHosts } from './hosts.ts';
import { parseKeyValue } from './keyValue.ts';
import { environmentKeywords, type Keywords, requireKnownKeyword, settingsError } from './keywords.ts';
import { findPassword, readPasswordFile } from './passwordFile.ts';
import { readService } from './serviceFile.ts';
import { oneOf, resolveTls } from './tls.ts';
import { isUrl, parseUrl } from './url.ts';

const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const;

const AUTHENTICATION_METHODS = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth', 'none'];

/** Without connect_timeout libpq waits for ever; a backup that hangs on a lost packet is no backup. */
const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;
/** Node's timers end at once where they are given more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A connection string, or libpq keywords one by one, or both: then a keyword replaces the same one of the string. */
export interface SettingsSource {
  /** `postgresql://…`, `postgres://…` or `host=… dbname=…`. */
  url?: string;
  [keyword: string]: string | number | undefined;
}

/**
 * @param home the directory that holds .pgpass, .pg_service.conf and .postgresql/
 * @throws CONNECTION_STRING (usage) for what can't be understood or honoured.
 */
export async function resolveSettings(
  source: SettingsSource,
  environment: NodeJS.ProcessEnv,
  home: string,
): Promise<ConnectionSettings> {
  const given = givenKeywords(source);
  const inherited = environmentKeywords(environment);
  const service = given.service ?? inherited.service;
  const file = given.servicefile || inherited.servicefile || undefined;
  const fromService = service ? await readService(service, file, environment, home) : {};
  const all: Keywords = { ...inherited, ...fromService, ...given };

  const hosts = parseHosts(all.host ?? '', all.hostaddr ?? '', all.port ?? '');
  const user = all.user || operatingSystemUser();
  const database = all.dbname || user;
  const secrets = await findSecrets(all, hosts, user, home);
  return {
    hosts,
    database,
    user,
    ...secrets,
    ...resolveTls(all, hosts, home),
    channelBinding: oneOf('channel_binding', all.channel_binding || 'prefer', CHANNEL_BINDINGS),
    requireAuth: authenticationMethods(all.require_auth),
    targetSessionAttrs: oneOf('target_session_attrs', all.target_session_attrs || 'any', SESSION_ATTRIBUTES),
    loadBalanceHosts: oneOf('load_balance_hosts', all.load_balance_hosts || 'disable', [
      'disable',
      'random',
    ] as const),
    connectTimeoutMs: all.connect_timeout
      ? Math.min(Math.max(0, seconds('connect_timeout', all.connect_timeout)) * 1000, TIMER_MS_MAX)
      : DEFAULT_CONNECT_TIMEOUT_MS,
    options: all.options || undefined,
    applicationName: all.application_name || all.fallback_application_name || undefined,
    keepalives: all.keepalives !== '0',
    keepalivesIdleMs: all.keepalives_idle
      ? seconds('keepalives_idle', all.keepalives_idle) * 1000
      : undefined,
  };
}

/** `app on db.example.com:5432`: what errors and logs call the connection. Never a secret. */
export function describeSettings(settings: Pick<ConnectionSettings, 'database' | 'hosts'>): string {
  return `${settings.database} on ${settings.hosts.map(describeHost).join(', ')}`;
}

/** The same server and user, another database. */
export function withDatabase(settings: ConnectionSettings, database: string): ConnectionSettings {
  return { ...settings, database };
}

/** The password for one of the hosts: the one given, else the password file's for that host and database. */
export function passwordFor(settings: ConnectionSettings, host: HostAddress): string | undefined {
  return (
    settings.password ?? findPassword(settings.passwordEntries ?? [], host, settings.database, settings.user)
  );
}

/** What a source says itself, without variables, service files and defaults. */
export function givenKeywords({ url, ...parts }: SettingsSource): Keywords {
  const keywords = url === undefined ? {} : parseConnectionString(url.trim());
  for (const [keyword, value] of Object.entries(parts)) {
    if (value === undefined || value === null) continue;
    requireKnownKeyword(keyword, 'the connection settings');
    keywords[keyword] = String(value);
  }
  for (const [keyword, value] of Object.entries(keywords)) {
    if (value.includes('\0'))
      throw settingsError(`${keyword} holds a zero byte`, 'PostgreSQL can not take it');
  }
  return keywords;
}

function parseConnectionString(text: string): Keywords {
  if (isUrl(text)) return parseUrl(text);
  if (/^[a-z][a-z0-9+.:-]*:\/\//i.test(text)) {
    throw settingsError(
      'the connection URL does not start with postgresql:// or postgres://',
      "write postgresql:// in place of what stands before the host: drivers' own schemes (jdbc:, +asyncpg, prisma://) are not known here",
    );
  }
  return parseKeyValue(text);
}

async function findSecrets(all: Keywords, hosts: HostAddress[], user: string, home: string) {
  if (all.password) return { password: all.password, warnings: [] };
  const passfile = resolve(all.passfile || join(home, '.pgpass'));
  const { entries, warning } = await readPasswordFile(passfile);
  const passwordEntries = entries.filter(entry =>
    hosts.some(host => findPassword([{ ...entry, database: null }], host, '', user) !== undefined),
  );
  return { passwordEntries, passfile, warnings: warning === undefined ? [] : [warning] };
}

function authenticationMethods(given: string | undefined): string[] | undefined {
  if (!given) return undefined;
  const methods = given.split(',').map(each => each.trim());
  for (const method of methods) oneOf('require_auth', method.replace(/^!/, ''), AUTHENTICATION_METHODS);
  if (methods.some(each => each.startsWith('!')) && !methods.every(each => each.startsWith('!'))) {
    throw settingsError(
      'require_auth mixes methods with and without !',
      'list what is allowed, or what is not',
    );
  }
  return methods;
}

function seconds(keyword: string, text: string): number {
  if (/^\s*-?[0-9]{1,9}\s*$/.test(text)) return Number(text);
  throw settingsError(`${keyword} is not a whole number`, 'give it in seconds');
}

function operatingSystemUser(): string {
  try {
    return userInfo().username;
  } catch (error) {
    throw settingsError('no user is given, and this process has no user name', 'add user=… or PGUSER', error);
  }
}
