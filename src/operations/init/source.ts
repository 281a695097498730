import { usageError } from '../../base/errors.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { resolveSettings } from '../../postgres/settings/settings.ts';
import type { Environment } from '../../strategy/environment.ts';
import { literal, reference } from '../../strategy/template.ts';
import { chooseVariable } from './envFile.ts';

/** Which database init is for, and how the strategy will say so without the password. */
export interface DatabaseSource {
  settings: ConnectionSettings;
  /** What found it, for people. */
  from: string;
  /** The keys of the database in the strategy, once its name there is known. */
  written(name: string): {
    url: string | Record<string, string>;
    /** A variable that has to be put into .env first. */
    variable: { name: string; value: string } | null;
  };
}

const PLACES = ['PGSERVICE', 'PGHOST', 'PGHOSTADDR', 'PGDATABASE', 'PGUSER'];

/** The URL given, else DATABASE_URL, else what libpq's variables say; URL_NEEDED where there is none of them. */
export async function findSource(
  given: string | undefined,
  environment: Environment,
  home: string,
): Promise<DatabaseSource> {
  const resolve = (url?: string) => resolveSettings({ url }, environment as NodeJS.ProcessEnv, home);
  if (given !== undefined) {
    const url = checkUrl(given.trim());
    return {
      settings: await resolve(url),
      from: 'the URL given',
      written: name => byUrl(url, name, environment),
    };
  }
  const url = environment.DATABASE_URL;
  if (url) {
    checkUrl(url);
    const written = { url: reference('DATABASE_URL'), variable: null };
    return { settings: await resolve(url), from: 'DATABASE_URL', written: () => written };
  }
  if (PLACES.some(name => environment[name])) {
    const settings = await resolve();
    const written = { url: byParts(environment, settings), variable: null };
    return { settings, from: 'the PG* variables', written: () => written };
  }
  throw usageError(
    'URL_NEEDED',
    'no database given',
    'tidemark init postgresql://user:password@host:5432/dbname, or set DATABASE_URL (in .env too: plain tidemark init reads it), or PGHOST and PGDATABASE',
  );
}

function checkUrl(url: string): string {
  if (/^postgres(ql)?:\/\//.test(url) && !/[\0\r\n]/.test(url)) return url;
  throw usageError(
    'CONNECTION_STRING',
    'the database is not given as a PostgreSQL URL',
    'it starts with postgresql://; for keywords (host=… dbname=…) set PGHOST, PGDATABASE and PGUSER instead',
  );
}

function byUrl(url: string, databaseName: string, environment: Environment) {
  const { name, isSet } = chooseVariable(url, databaseName, environment);
  return { url: reference(name), variable: isSet ? null : { name, value: url } };
}

/**
 * References to the variables, so that one that is missing later is noticed rather than replaced by a default; what no
 * variable says is written down as it turned out. The password stays where libpq finds it (PGPASSWORD, .pgpass).
 */
function byParts(environment: Environment, settings: ConnectionSettings): Record<string, string> {
  if (environment.PGSERVICE) return { service: reference('PGSERVICE') };
  const [host] = settings.hosts;
  const part = (variable: string, found: string) =>
    environment[variable] ? reference(variable) : literal(found);
  return {
    host: part('PGHOST', host!.host),
    ...(environment.PGPORT ? { port: reference('PGPORT') } : {}),
    user: part('PGUSER', settings.user),
    dbname: part('PGDATABASE', settings.database),
  };
}
