/**
 * libpq's connection keywords: their environment variables, and what Tidemark does with those it can't carry out.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS ("Parameter Key Words") and
 * https://www.postgresql.org/docs/current/libpq-envars.html ("Environment Variables").
 */
import { type TidemarkError, usageError } from '../../base/errors.ts';

/** Keyword → value, as given; an empty value shadows lower-ranking sources and then counts as not given, as in libpq. */
export type Keywords = Record<string, string>;

/** Keywords that have an effect here, with the environment variable that stands in for each (null: there is none). */
export const KEYWORD_VARIABLES: Readonly<Record<string, string | null>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  service: 'PGSERVICE',
  servicefile: 'PGSERVICEFILE',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  fallback_application_name: null,
  connect_timeout: 'PGCONNECT_TIMEOUT',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  load_balance_hosts: 'PGLOADBALANCEHOSTS',
  channel_binding: 'PGCHANNELBINDING',
  require_auth: 'PGREQUIREAUTH',
  sslmode: 'PGSSLMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslrootcert: 'PGSSLROOTCERT',
  sslcrl: 'PGSSLCRL',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslpassword: null,
  sslcertmode: 'PGSSLCERTMODE',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  keepalives: null,
  keepalives_idle: null,
};

/** libpq keywords whose absence here weakens nothing, with the reason. */
export const IDLE_KEYWORDS: Readonly<Record<string, string>> = {
  client_encoding: 'the encoding is always UTF8',
  replication: 'tidemark decides which of its connections replicate',
  keepalives_interval: 'Node.js leaves it to the operating system',
  keepalives_count: 'Node.js leaves it to the operating system',
  tcp_user_timeout: 'Node.js leaves it to the operating system',
  sslcompression: 'PostgreSQL dropped TLS compression',
  sslsni: 'the server name is always sent, which poolers route by',
  sslkeylogfile: 'a debugging aid of libpq',
  gssencmode: 'GSSAPI encryption is not spoken; TLS decides',
  gssdelegation: 'GSSAPI is not spoken',
  gsslib: 'GSSAPI is not spoken',
  krbsrvname: 'GSSAPI is not spoken',
  min_protocol_version: 'protocol 3.0 is spoken, which every server knows',
  max_protocol_version: 'protocol 3.0 is spoken, which every server knows',
};

/** libpq keywords that would be a false promise if they were ignored: their variable, and why they are refused. */
export const REFUSED_KEYWORDS: Readonly<Record<string, { variable: string | null; reason: string }>> = {
  requirepeer: {
    variable: 'PGREQUIREPEER',
    reason: 'Node.js can not ask who owns the other end of a socket',
  },
  sslcrldir: { variable: 'PGSSLCRLDIR', reason: 'revocation lists are read from one file only; use sslcrl' },
  scram_client_key: { variable: null, reason: 'SCRAM is spoken with a password only' },
  scram_server_key: { variable: null, reason: 'SCRAM is spoken with a password only' },
  oauth_issuer: { variable: null, reason: 'OAuth is not spoken' },
  oauth_client_id: { variable: null, reason: 'OAuth is not spoken' },
  oauth_client_secret: { variable: null, reason: 'OAuth is not spoken' },
  oauth_scope: { variable: null, reason: 'OAuth is not spoken' },
};

/** URL parameters that frameworks add to a database URL for themselves: ignored, since such URLs get pasted as they are. */
export const FRAMEWORK_PARAMETERS: Readonly<Record<string, string>> = {
  schema: 'Prisma: the schema its client looks in',
  pgbouncer: 'Prisma, Supabase: turns prepared statements off',
  connection_limit: 'Prisma: size of its pool',
  pool_timeout: 'Prisma: wait for its pool',
  socket_timeout: 'Prisma: limit of a query',
  statement_cache_size: 'Prisma, asyncpg: prepared statements kept',
  sslaccept: 'Prisma: its name for certificate checks; sslmode decides here',
  sslidentity: 'Prisma: a PKCS 12 file; sslcert and sslkey are read here',
  workaround: 'Prisma, Supabase: a switch of the pooler',
  supa: 'Vercel, Supabase: a mark of the pooler',
  pool: 'Rails: size of its pool',
  adapter: 'Rails: its driver',
  encoding: 'Rails: the encoding is always UTF8 here',
  prepared_statements: 'Rails: a switch of its client',
  advisory_locks: 'Rails: a switch of its migrations',
  reaping_frequency: 'Rails: its pool',
  idle_timeout: 'Rails, postgres.js: its pool',
  statement_timeout: 'Rails, pgx: its own limit; tidemark sets its own',
  lock_timeout: 'Rails, pgx: its own limit; tidemark sets its own',
  search_path: 'pgx, lib/pq: names are always qualified here',
  schema_search_path: 'Rails: names are always qualified here',
  timezone: 'pgx: tidemark sets its own',
  currentSchema: 'JDBC: names are always qualified here',
  ApplicationName: 'JDBC: the connection is called tidemark',
  prepareThreshold: 'JDBC: prepared statements',
  reWriteBatchedInserts: 'JDBC: inserts',
  prepared_statement_cache_size: 'SQLAlchemy: prepared statements kept',
  default_query_exec_mode: 'pgx: prepared statements',
  statement_cache_capacity: 'pgx: prepared statements kept',
  statement_cache_mode: 'pgx: prepared statements',
  pool_max_conns: 'pgx: its pool',
  pool_min_conns: 'pgx: its pool',
  pool_max_conn_lifetime: 'pgx: its pool',
  pool_max_conn_idle_time: 'pgx: its pool',
  pool_health_check_period: 'pgx: its pool',
  pool_size: 'Ecto, SQLAlchemy: its pool',
  max_overflow: 'SQLAlchemy: its pool',
  conn_max_age: 'Django: its pool',
  uselibpqcompat: 'node-postgres: libpq is always followed here',
  prepare: 'postgres.js: prepared statements',
  max: 'postgres.js: size of its pool',
};

/** A connection string or setting that can't be used. Callers never quote a value: any part may be a piece of a password. */
export function settingsError(fault: string, hint: string, cause?: unknown): TidemarkError {
  return usageError('CONNECTION_STRING', fault, hint, cause);
}

/** Throws for a keyword that nothing here knows, or that can't be carried out; `where` says who gave it. */
export function requireKnownKeyword(keyword: string, where: string): void {
  const refused = REFUSED_KEYWORDS[keyword];
  if (refused && Object.hasOwn(REFUSED_KEYWORDS, keyword)) {
    throw settingsError(`${keyword} in ${where} is not supported`, `${refused.reason}; leave ${keyword} out`);
  }
  if (isKnownKeyword(keyword)) return;
  // What is no word may be a piece of a password.
  const name = /^[a-z][a-z_-]{1,40}$/i.test(keyword) ? ` ${JSON.stringify(keyword)}` : '';
  throw settingsError(
    `unknown connection parameter${name} in ${where}`,
    "known are libpq's keywords, such as host, port, dbname, user, password, sslmode: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS",
  );
}

export function isKnownKeyword(keyword: string): boolean {
  return [KEYWORD_VARIABLES, IDLE_KEYWORDS, REFUSED_KEYWORDS].some(known => Object.hasOwn(known, keyword));
}

/** What the environment gives. PGREQUIREPEER and its like are refused here too: to ignore them would be a false promise. */
export function environmentKeywords(environment: NodeJS.ProcessEnv): Keywords {
  for (const [keyword, { variable }] of Object.entries(REFUSED_KEYWORDS)) {
    if (variable && environment[variable]) requireKnownKeyword(keyword, `the environment (${variable})`);
  }
  const found: Keywords = {};
  for (const [keyword, variable] of Object.entries(KEYWORD_VARIABLES)) {
    const value = variable === null ? undefined : environment[variable];
    if (value !== undefined) found[keyword] = value;
  }
  return found;
}
