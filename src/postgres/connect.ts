/**
 * Opens a connection as libpq would, on pg's client: hosts in order, TLS by the settings, every failure explained.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html ("Specifying Multiple Hosts",
 * target_session_attrs, sslmode).
 */
import type { Socket, SocketConnectOpts } from 'node:net';
import pg from 'pg';
import { asTidemarkError, TidemarkError } from '../base/errors.ts';
import { findTransactionPooler, transactionPoolerError } from './pooler.ts';
import { ReadingSocket } from './readingSocket.ts';
import {
  isTransactionTimeout,
  mayRefuseOptions,
  refusesEventTriggers,
  sessionState,
  setForSession,
  startOptions,
} from './sessionStart.ts';
import { AuthenticationGuard, type PgConnection } from './settings/authentication.ts';
import {
  explainFailure,
  isWorthAnotherHost,
  isWorthOtherTransport,
  summarizeFailures,
} from './settings/connectionFailure.ts';
import type { ConnectionSettings, TargetSessionAttrs } from './settings/connectionSettings.ts';
import type { HostAddress } from './settings/hosts.ts';
import { tlsOptions, transports } from './settings/tls.ts';

export interface ConnectOptions {
  /** Replaces the settings' own; `tidemark` when neither says. */
  applicationName?: string;
  /** A walsender: `true` for physical replication, `database` for logical. */
  replication?: 'true' | 'database';
  signal?: AbortSignal;
  /**
   * Takes a pooler in transaction mode too, which is refused otherwise; `isTransactionPooled` then says that it is one.
   * Nothing is set there but what each transaction sets for itself (setForTransaction).
   */
  transactionPooler?: boolean;
}

const APPLICATION_NAME = 'tidemark';

/** Node gives each address of a name 250 ms before it tries the next, too short for another continent. */
const ADDRESS_ATTEMPT_TIMEOUT_MS = 3_000;

/** pg's own limit is 100 000, which servers with a higher scram_iterations exceed; this one takes about two seconds. */
const MAX_SCRAM_ITERATIONS = 4_000_000;

/**
 * @returns a client that is ready for queries, under our settings (sessionStart.ts). The caller ends it. A connection that
 * drops while idle is not thrown anywhere: the next query fails.
 * @throws TidemarkError for every failure; INTERRUPTED when the signal aborts, which is only heeded while connecting.
 */
export async function connect(
  settings: ConnectionSettings,
  options: ConnectOptions = {},
): Promise<pg.Client> {
  const wanted = settings.targetSessionAttrs;
  const passes: TargetSessionAttrs[] = wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted];
  let failures: { host: HostAddress; error: TidemarkError }[] = [];
  for (const attributes of passes) {
    failures = [];
    for (const host of inOrder(settings)) {
      try {
        return await connectToHost(settings, host, attributes, options);
      } catch (error) {
        const failure = error as TidemarkError;
        failures.push({ host, error: failure });
        if (!isWorthAnotherHost(failure)) throw summarizeFailures(failures, settings);
      }
    }
  }
  throw summarizeFailures(failures, settings);
}

/** A copy of the hosts, shuffled for load_balance_hosts=random. */
function inOrder(settings: ConnectionSettings): HostAddress[] {
  const hosts = [...settings.hosts];
  if (settings.loadBalanceHosts !== 'random') return hosts;
  return hosts
    .map(host => ({ host, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ host }) => host);
}

async function connectToHost(
  settings: ConnectionSettings,
  host: HostAddress,
  attributes: TargetSessionAttrs,
  options: ConnectOptions,
): Promise<pg.Client> {
  const kinds = transports(settings, host);
  let first: TidemarkError | undefined;
  for (const encrypted of kinds) {
    try {
      return await attempt(settings, host, encrypted, attributes, options);
    } catch (error) {
      if (options.signal?.aborted) throw asTidemarkError(abortError());
      const failure = explainFailure(error, settings, host, encrypted);
      // Where the server answered but found the first transport wanting, that answer says more than the second's.
      if (encrypted === kinds.at(-1) || !isWorthOtherTransport(error)) throw first ?? failure;
      first = failure.code.startsWith('TLS_') ? undefined : failure;
    }
  }
  throw first!;
}

interface AttemptOptions extends ConnectOptions {
  /** As the server gives it, with none of our settings. */
  bare?: boolean;
}

/** With our settings in the start-up packet; without them where those were refused. */
async function attempt(
  settings: ConnectionSettings,
  host: HostAddress,
  encrypted: boolean,
  attributes: TargetSessionAttrs,
  options: ConnectOptions,
): Promise<pg.Client> {
  const start = {
    own: settings.options,
    keepReadOnly: attributes.startsWith('read-'),
    transactionTimeout: false,
    eventTriggers: host.eventTriggers ?? true,
  };
  const dial = (startup: string | undefined) =>
    attemptOnce(settings, host, encrypted, attributes, options, startup);
  for (;;) {
    try {
      return await dial(startOptions(start));
    } catch (error) {
      if (start.eventTriggers && refusesEventTriggers(error)) {
        start.eventTriggers = false;
        host.eventTriggers = false;
      } else if (!start.transactionTimeout && isTransactionTimeout(error)) start.transactionTimeout = true;
      else if (mayRefuseOptions(error)) return dial(settings.options);
      else throw error;
    }
  }
}

async function attemptOnce(
  settings: ConnectionSettings,
  host: HostAddress,
  encrypted: boolean,
  attributes: TargetSessionAttrs,
  options: AttemptOptions,
  startup: string | undefined,
): Promise<pg.Client> {
  const guard = new AuthenticationGuard(settings, host);
  const client = await newClient(settings, host, encrypted, options, guard);
  startupOf(client).options = startup;
  const connection = client.connection as unknown as PgConnection;
  const reported = new Map<string, string>();
  const note = (status: { parameterName: string; parameterValue: string }) => {
    reported.set(status.parameterName, status.parameterValue);
  };
  guard.watch(connection, encrypted);
  connection.on('parameterStatus', note);
  const stop = (error: Error) => connection.stream.destroy(error);
  const onAbort = () => stop(abortError());
  const timer =
    settings.connectTimeoutMs > 0
      ? setTimeout(() => stop(timeoutError()), settings.connectTimeoutMs)
      : undefined;
  options.signal?.addEventListener('abort', onAbort, { once: true });
  // What the server says when it ends the session between two statements; the next one only hears that it is gone.
  let ended: Error | undefined;
  client.on('error', error => {
    ended ??= error;
  });
  try {
    options.signal?.throwIfAborted();
    await client.connect();
    guard.requireAllowed();
    await requireAttributes(client, reported, attributes);
    if (!options.bare && options.replication !== 'true') {
      const another = () =>
        attemptOnce(settings, host, encrypted, 'any', { ...options, bare: true }, startup);
      await prepare(client, { settings, host }, options, another);
    }
    return client;
  } catch (error) {
    connection.stream.destroy();
    throw isTransactionTimeout(ended) ? ended : error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
    connection.off('parameterStatus', note);
  }
}

/** Makes the session ours, before anything else is asked of it. */
async function prepare(
  client: pg.Client,
  place: { settings: ConnectionSettings; host: HostAddress },
  options: ConnectOptions,
  another: () => Promise<pg.Client>,
): Promise<void> {
  const state = await sessionState(client);
  if (!(await findTransactionPooler(client, state.pid, place, another))) {
    await setForSession(client, state);
  } else if (!options.transactionPooler) {
    throw transactionPoolerError(place.settings);
  }
}

/** A client whose every parameter is ours: where one is missing, pg would look in process.env and ~/.pgpass. */
async function newClient(
  settings: ConnectionSettings,
  host: HostAddress,
  encrypted: boolean,
  options: ConnectOptions,
  guard: AuthenticationGuard,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: host.host,
    port: host.port,
    user: settings.user,
    database: settings.database,
    password: () => guard.password(),
    ssl: encrypted ? await tlsOptions(settings) : false,
    sslnegotiation: encrypted ? (settings.sslnegotiation ?? 'postgres') : 'postgres',
    stream: () => dialer(host),
    application_name: options.applicationName ?? settings.applicationName ?? APPLICATION_NAME,
    connectionTimeoutMillis: 0,
    enableChannelBinding: encrypted && settings.channelBinding !== 'disable',
    scramMaxIterations: MAX_SCRAM_ITERATIONS,
    keepAlive: settings.keepalives ?? true,
    keepAliveInitialDelayMillis: settings.keepalivesIdleMs ?? 0,
  } as pg.ClientConfig);
  startupOf(client).replication = options.replication;
  client.on('error', () => {});
  return client;
}

/** What pg puts into the start-up packet. */
function startupOf(client: pg.Client): Record<string, unknown> {
  return (client as unknown as { connectionParameters: Record<string, unknown> }).connectionParameters;
}

/** A socket that goes where the host says, whatever pg would make of it: hostaddr and abstract sockets are news to pg. */
function dialer(host: HostAddress): Socket {
  const socket: Socket = new ReadingSocket();
  const dial = socket.connect.bind(socket) as (to: SocketConnectOpts) => Socket;
  const target = host.address ?? host.host;
  const path = `${target.replace(/^@/, '\0')}/.s.PGSQL.${host.port}`;
  const to: SocketConnectOpts = /^[/@]/.test(target)
    ? { path }
    : {
        host: target,
        port: host.port,
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_TIMEOUT_MS,
      };
  socket.connect = () => dial(to);
  return socket;
}

/** Servers report both facts at startup (since PostgreSQL 14); a pooler may not, and is asked. */
async function requireAttributes(
  client: pg.Client,
  reported: Map<string, string>,
  attributes: TargetSessionAttrs,
): Promise<void> {
  if (attributes === 'any') return;
  const standby =
    (reported.get('in_hot_standby') ?? (await ask(client, 'show in_hot_standby'))) === 'on'
      ? 'standby'
      : 'primary';
  const readOnly =
    standby === 'standby' ||
    (reported.get('default_transaction_read_only') ??
      (await ask(client, 'show default_transaction_read_only'))) === 'on';
  const access = readOnly ? 'read-only' : 'read-write';
  if (attributes === standby || attributes === access) return;
  const found = attributes.startsWith('read-') ? access : standby;
  throw new TidemarkError(
    'SESSION_ATTRIBUTES',
    `the server is ${found}, and target_session_attrs=${attributes}`,
    `name a host that is ${attributes}, or change target_session_attrs`,
  );
}

async function ask(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<Record<string, string>>(sql);
  return Object.values(rows[0] ?? {})[0] ?? '';
}

function abortError(): Error {
  return Object.assign(new Error('interrupted'), { name: 'AbortError', code: 'ABORT_ERR' });
}

function timeoutError(): Error {
  return Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' });
}
