import { usageError } from '../../base/errors.ts';
import type { ConnectionSettings } from './connectionSettings.ts';
import { DEFAULT_PORT } from './hosts.ts';
import { KEYWORD_VARIABLES } from './keywords.ts';
import { readService } from './serviceFile.ts';
import { givenKeywords, resolveSettings, type SettingsSource } from './settings.ts';

/** Keywords that decide which database is meant. */
const DECIDING = ['host', 'hostaddr', 'port', 'dbname', 'service'] as const;

/**
 * As `resolveSettings`, for a database that will be overwritten: the source itself, or the service that it names, says
 * which host and database are meant. Neither PG* variables nor defaults decide that.
 *
 * @param what names the source in messages, such as `--to`.
 * @throws TARGET_UNNAMED (usage), and what `resolveSettings` throws.
 */
export async function resolveNamed(
  source: SettingsSource,
  environment: NodeJS.ProcessEnv,
  home: string,
  what: string,
): Promise<ConnectionSettings> {
  const given = givenKeywords(source);
  const file = given.servicefile || environment.PGSERVICEFILE || undefined;
  const service = given.service ? await readService(given.service, file, environment, home) : {};
  const named = { ...service, ...given };
  if (!named.dbname) throw unnamed(`${what} names no database`);
  const isHostGiven = [named.host, named.hostaddr].some(each =>
    each?.split(',').every(host => host.trim() !== ''),
  );
  if (!isHostGiven) throw unnamed(`${what} names no host`);
  const { PGPORT } = environment;
  if (!named.port && PGPORT && PGPORT !== String(DEFAULT_PORT))
    throw unnamed(`${what} names no port, and PGPORT says ${JSON.stringify(PGPORT)}`);
  const rest = { ...environment };
  for (const keyword of DECIDING) delete rest[KEYWORD_VARIABLES[keyword]!];
  return resolveSettings(source, rest, home);
}

function unnamed(fault: string) {
  return usageError(
    'TARGET_UNNAMED',
    fault,
    'name both, since what is there is overwritten: postgresql://USER@HOST:5432/DATABASE, or for a socket postgresql://USER@/DATABASE?host=/var/run/postgresql',
  );
}
