/**
 * The connection service file: `[name]` sections of keyword=value lines.
 * Source: https://www.postgresql.org/docs/current/libpq-pgservice.html ("The Connection Service File").
 */
import { join } from 'node:path';
import { readSmallFile } from '../../base/smallFile.ts';
import { type Keywords, requireKnownKeyword, settingsError } from './keywords.ts';

/** Where libpq's builders put the system-wide file when PGSYSCONFDIR does not say: Debian, Red Hat. */
const SYSTEM_DIRECTORIES = ['/etc/postgresql-common', '/etc/sysconfig/pgsql'];

/**
 * The keywords of one service. As in libpq the first file that has the section counts; `file` (servicefile or
 * PGSERVICEFILE) stands instead of the one in the home directory and must exist.
 * @throws CONNECTION_STRING when no file has the section, or the section has a line that can't be used.
 */
export async function readService(
  service: string,
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  home: string,
): Promise<Keywords> {
  const systemDirectories = environment.PGSYSCONFDIR ? [environment.PGSYSCONFDIR] : SYSTEM_DIRECTORIES;
  const paths = [
    file || join(home, '.pg_service.conf'),
    ...systemDirectories.map(directory => join(directory, 'pg_service.conf')),
  ];
  for (const path of paths) {
    const text = await textOf(path, path === file);
    const found = text === undefined ? undefined : parseSection(text, service, path);
    if (found) return found;
  }
  throw settingsError(
    `no definition of service ${service}`,
    `add a [${service}] section to one of: ${paths.join(', ')}`,
  );
}

async function textOf(path: string, mustExist: boolean): Promise<string | undefined> {
  try {
    return (await readSmallFile(path)).bytes.toString('utf8');
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw settingsError(
      `could not read the service file ${path}`,
      'check that it exists and may be read',
      error,
    );
  }
}

/** Of a keyword that comes twice the first counts, as in libpq; blanks around `=` are forgiven. */
function parseSection(text: string, service: string, path: string): Keywords | undefined {
  let found: Keywords | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found) return found;
      if (line === `[${service}]`) found = {};
      continue;
    }
    if (!found) continue;
    const where = `line ${index + 1} of ${path}`;
    const equals = line.indexOf('=');
    if (equals === -1)
      throw settingsError(
        `${where} is not keyword=value`,
        'LDAP look-ups are not supported; write the values out',
      );
    const keyword = line.slice(0, equals).trimEnd();
    if (keyword === 'service' || keyword === 'servicefile') {
      throw settingsError(`${where} refers to another service`, 'write the values out; services do not nest');
    }
    requireKnownKeyword(keyword, where);
    found[keyword] ??= line.slice(equals + 1).trimStart();
  }
  return found;
}
