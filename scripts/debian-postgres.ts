/**
 * PostgreSQL's programs of versions that this Debian has not, from newer Debians, beside the system and not in it: the
 * packages are unpacked into a folder, and each program gets a script of its name that starts it with the C library and
 * the other libraries that it was built for.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { DebianPackages, type Suite } from './debian-packages.ts';

export type BroughtMajor = 17 | 18 | 19;

const CLIENTS = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'];
const SERVER = ['postgres', 'initdb'];
/**
 * By package name: whichever minor version the suites have, or no longer a candidate. npm has no server of 19, and its
 * servers are often behind by minor versions, which change what is stored.
 */
const WANTED: Record<BroughtMajor, { packages: string[]; programs: string[] }> = {
  17: { packages: ['postgresql-17', 'postgresql-client-17'], programs: [...CLIENTS, ...SERVER] },
  18: { packages: ['postgresql-client-18'], programs: CLIENTS },
  19: { packages: ['postgresql-19', 'postgresql-client-19'], programs: [...CLIENTS, ...SERVER] },
};
export const BROUGHT = Object.keys(WANTED).map(Number) as BroughtMajor[];

const SUITES: Suite[] = [
  { archive: 'debian-security', suite: 'trixie-security' },
  { archive: 'debian', suite: 'trixie' },
  { archive: 'debian', suite: 'sid' },
  { archive: 'debian', suite: 'experimental' },
];
/** apt takes nothing from experimental unless it is told to. libpq5 is the newest client's, and serves all. */
const PREFERENCES =
  'Package: postgresql-19 postgresql-client-19 libpq5\nPin: release a=experimental\nPin-Priority: 500\n';

/** All checkouts share it. A server of root's tests runs as another user, who may not enter root's home. */
const CACHE =
  process.getuid?.() === 0
    ? '/var/cache/tidemark-tests'
    : join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidemark-tests');
/** What a run that was killed left behind is older than this. */
const LEFT_BEHIND_MS = 3_600_000;

/** The folder with the programs of that version, installed or brought; undefined where there is none. */
export function debianPrograms(major: BroughtMajor, cache = CACHE): string | undefined {
  const places = [`/usr/lib/postgresql/${major}/bin`, join(cache, folderName(major), binFolder(major))];
  return places.find(bin => WANTED[major].programs.every(program => existsSync(join(bin, program))));
}

export function howToGet(major: BroughtMajor): string {
  const where = `/usr/lib/postgresql/${major}/bin`;
  return `run npm test where apt-get reaches Debian's trixie, sid and experimental, or install it in ${where}`;
}

/**
 * Brings those that are missing; returns why any could not be had, each with what would get it. `newest`: those that were
 * brought before are brought again; where that fails, they stay.
 */
export function bringDebianPrograms({ cache = CACHE, newest = false } = {}): string[] {
  const wanted = (major: BroughtMajor): boolean =>
    debianPrograms(major, cache) === undefined || (newest && existsSync(join(cache, folderName(major))));
  const missing = BROUGHT.filter(wanted);
  if (missing.length === 0) return [];
  console.error(`bringing PostgreSQL ${missing.join(', ')} to test with, into ${cache} (apt-get download) …`);
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-packages-'));
  const umask = process.umask(0o022);
  try {
    const packages = new DebianPackages(folder, SUITES, PREFERENCES);
    return missing.flatMap(major => bring(major, packages, cache) ?? []);
  } catch (error) {
    return missing.map(major => lackOf(major, error));
  } finally {
    process.umask(umask);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Made in a folder of its own and then given its name, so that others see all of it or nothing. Returns what failed. */
function bring(major: BroughtMajor, packages: DebianPackages, cache: string): string | undefined {
  let made: string | undefined;
  try {
    const top = join(cache, folderName(major));
    mkdirSync(cache, { recursive: true });
    removeLeftBehind(cache);
    made = mkdtempSync(join(cache, '.making-'));
    chmodSync(made, 0o755);
    layOut(packages.unpack(WANTED[major].packages), made, major);
    writeScripts(made, top, major);
    for (const program of WANTED[major].programs) tryOut(made, program, major);
    if (existsSync(top)) renameSync(top, `${made}-before`);
    renameSync(made, top);
    rmSync(`${made}-before`, { recursive: true, force: true });
    return undefined;
  } catch (error) {
    if (debianPrograms(major, cache) === undefined) return lackOf(major, error);
    // Another run may have been quicker, or what was there before stays.
    return `PostgreSQL ${major} is as it was brought before: ${reasonOf(error)}`;
  } finally {
    if (made) rmSync(made, { recursive: true, force: true });
  }
}

function lackOf(major: BroughtMajor, error: unknown): string {
  return `without PostgreSQL ${major}, whose tests are skipped: ${reasonOf(error)}; ${howToGet(major)}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function folderName(major: BroughtMajor): string {
  return `postgresql-${major}`;
}

/** As Debian lays it out: from here a server looks for its lib and share. */
function binFolder(major: BroughtMajor): string {
  return `lib/postgresql/${major}/bin`;
}

function layOut(root: string, made: string, major: BroughtMajor): void {
  const copy = (from: string, to: string): void => {
    mkdirSync(dirname(join(made, to)), { recursive: true });
    cpSync(join(root, from), join(made, to), { recursive: true, verbatimSymlinks: true });
  };
  copy(`usr/${binFolder(major)}`, 'programs');
  for (const folder of [`lib/postgresql/${major}/lib`, `share/postgresql/${major}`])
    copy(`usr/${folder}`, folder);
  for (const file of globSync('{usr/lib,lib}/*-linux-gnu*/*.so*', { cwd: root }))
    copy(file, `libraries/${basename(file)}`);
}

/** For when the folder `made` is called `top`. */
function writeScripts(made: string, top: string, major: BroughtMajor): void {
  const bin = join(made, binFolder(major));
  mkdirSync(bin);
  for (const program of readdirSync(join(made, 'programs'))) {
    const start = `${loader(made, top)} --argv0 "$0" '${top}/programs/${program}'`;
    writeFileSync(join(bin, program), `#!/bin/sh\nexec ${start} "$@"\n`, { mode: 0o755 });
  }
}

/** The C library's own loader, told where the libraries are (ld.so(8)) once the folder `made` is called `top`. */
function loader(made: string, top: string): string {
  const found = globSync('libraries/ld-linux*.so.*', { cwd: made })[0];
  if (found === undefined) throw new Error('its C library has no loader');
  return `'${top}/${found}' --library-path '${top}/libraries'`;
}

function tryOut(made: string, program: string, major: BroughtMajor): void {
  const command = `exec ${loader(made, made)} '${made}/programs/${program}' --version`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  if (status === 0 && stdout.includes(`(PostgreSQL) ${major}`)) return;
  throw new Error(`${program} does not run: ${stderr.trim() || stdout.trim()}`);
}

function removeLeftBehind(cache: string): void {
  for (const name of readdirSync(cache).filter(name => name.startsWith('.making-'))) {
    const found = statSync(join(cache, name), { throwIfNoEntry: false });
    if (found && Date.now() - found.mtimeMs > LEFT_BEHIND_MS)
      rmSync(join(cache, name), { recursive: true, force: true });
  }
}
