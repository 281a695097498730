/**
 * Which pg_dump reads a server's schema. pg_dump refuses servers newer than itself and reads all older ones down to
 * 9.2, so the newest one that is installed is asked first; a WebAssembly build that comes with tidemark is the last.
 */
import { execFile } from 'node:child_process';
import { access, constants, readdir, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { invariant, TidemarkError, usageError } from '../../base/errors.ts';

export interface PgDumpTool {
  kind: 'native' | 'wasm';
  /** As the tool says it: 15.20, 19beta1. */
  version: string;
  major: number;
  path: string;
}

export type Environment = Record<string, string | undefined>;

/** Where packages put it beside PATH; `*` stands for one folder's name. */
const INSTALL_FOLDERS = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/opt/homebrew/opt/libpq/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/usr/local/opt/libpq/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
];
/** Debian's /usr/bin/pg_dump is a script that picks a version by its own rules; the real ones lie in its folders. */
const DEBIAN_WRAPPER = 'pg_wrapper';
const VERSION_TIMEOUT_MS = 10_000;
/** pg_dump of the exact version of @electric-sql/pglite-tools that package.json pins. */
const WASM_VERSION = '18.3';
const WASM_MAJOR = 18;
const WASM_PACKAGE = '@electric-sql/pglite-tools/pg_dump';

/**
 * The pg_dump for servers of `serverMajor`: $TIDEMARK_PG_DUMP if it is set, else the newest installed one that is new
 * enough, else the WebAssembly one if it is. CLIENT_TOO_OLD where there is none.
 */
export async function findPgDump(serverMajor: number, environment: Environment): Promise<PgDumpTool> {
  const found = await pgDumpsAtHand(environment);
  const best = found.find(tool => tool.major >= serverMajor);
  if (best) return best;
  throw clientTooOld(serverMajor, found);
}

/** $TIDEMARK_PG_DUMP alone if it is set, else those that are installed, the newest first, and the WebAssembly one. */
export async function pgDumpsAtHand(environment: Environment): Promise<PgDumpTool[]> {
  const chosen = environment.TIDEMARK_PG_DUMP;
  return chosen ? [await chosenPgDump(chosen)] : [...(await installedPgDumps(environment)), ...builtIn()];
}

/** Every native pg_dump on PATH and in the usual folders, the newest first. */
export async function installedPgDumps(environment: Environment): Promise<PgDumpTool[]> {
  const folders = (environment.PATH ?? '').split(path.delimiter).filter(path.isAbsolute);
  for (const pattern of INSTALL_FOLDERS) folders.push(...(await matchingFolders(pattern)));
  const files = await Promise.all(folders.map(folder => executable(path.join(folder, 'pg_dump'))));
  const distinct = new Set(files.filter(file => file !== null));
  const tools = await Promise.all([...distinct].map(file => askVersion(file).catch(() => null)));
  return tools.filter(tool => tool !== null).sort(newestFirst);
}

/** The pg_dump that comes with tidemark, as a list that is empty where its package is missing. */
export function builtIn(): PgDumpTool[] {
  try {
    const file = createRequire(import.meta.url).resolve(WASM_PACKAGE);
    return [{ kind: 'wasm', version: WASM_VERSION, major: WASM_MAJOR, path: file }];
  } catch {
    return [];
  }
}

async function chosenPgDump(file: string): Promise<PgDumpTool> {
  try {
    return await askVersion(file);
  } catch (cause) {
    const message = `$TIDEMARK_PG_DUMP names ${file}, which does not run as pg_dump`;
    throw usageError(
      'PG_DUMP_UNUSABLE',
      message,
      'name the pg_dump program itself, or unset TIDEMARK_PG_DUMP',
      cause,
    );
  }
}

async function matchingFolders(pattern: string): Promise<string[]> {
  const segments = pattern.split('/');
  const at = segments.findIndex(segment => segment.includes('*'));
  if (at < 0) return [pattern];
  const parent = segments.slice(0, at).join('/');
  const prefix = segments[at]!.replace('*', '');
  const names = await readdir(parent).catch(() => []);
  const rest = segments.slice(at + 1);
  return names.filter(name => name.startsWith(prefix)).map(name => [parent, name, ...rest].join('/'));
}

/** The file itself behind links, or null where nothing can be run. */
async function executable(file: string): Promise<string | null> {
  try {
    await access(file, constants.X_OK);
    const target = await realpath(file);
    return path.basename(target) === DEBIAN_WRAPPER ? null : target;
  } catch {
    return null;
  }
}

async function askVersion(file: string): Promise<PgDumpTool> {
  const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: VERSION_TIMEOUT_MS });
  const match = /^pg_dump \(.*?\) (([0-9]+)[0-9a-z.]*)/.exec(stdout);
  invariant(match, `${file} --version printed ${JSON.stringify(stdout.slice(0, 200))}`);
  return { kind: 'native', version: match[1]!, major: Number(match[2]), path: file };
}

function newestFirst(a: PgDumpTool, b: PgDumpTool): number {
  return b.major - a.major || minorOf(b) - minorOf(a);
}

/** The number behind the major version's dot; betas and release candidates, which have none, come last. */
function minorOf(tool: PgDumpTool): number {
  return Number(/^[0-9]+\.([0-9]+)/.exec(tool.version)?.[1] ?? -1);
}

export function clientTooOld(serverMajor: number, found: readonly PgDumpTool[]): TidemarkError {
  const list = found.map(tool => `${tool.version} (${tool.kind === 'wasm' ? 'built in' : tool.path})`);
  return new TidemarkError(
    'CLIENT_TOO_OLD',
    `no pg_dump can read a PostgreSQL ${serverMajor} server: found ${list.join(', ') || 'none'}`,
    `install its client (apt install postgresql-client-${serverMajor}, dnf install postgresql${serverMajor}, ` +
      `brew install postgresql@${serverMajor}), or name a pg_dump in TIDEMARK_PG_DUMP`,
  );
}
