import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { bringDebianPrograms } from './debian-postgres.ts';

const TOP = join(import.meta.dirname, '..');
/** The npm packages of servers to test with. */
export const SERVERS = join(TOP, 'tests/servers');
/** The npm packages of applications' database tools, whose own checks the tests run on restored databases. */
const APPLICATIONS = join(TOP, 'tests/applications');
/** Debian's own PostgreSQL. */
export const STOCK_15 = '/usr/lib/postgresql/15/bin';

/** Something that tests need which is no package of the project. */
interface Need {
  /** A test needs it if this stands in it, or in what it imports of tests/. */
  mark: RegExp;
  /** npm packages of this folder. */
  packages?: string;
  /** Debian's packages, and what is looked for to know that they are there. */
  debian?: { packages: string; files: string[] };
  /** Only root can use it. */
  root?: true;
}

const stock = (...programs: string[]) => programs.map(program => join(STOCK_15, program));

const NEEDS: readonly Need[] = [
  { mark: /support\/(servers|azurite)\.ts/, packages: SERVERS },
  { mark: /'\.\.\/applications'/, packages: APPLICATIONS },
  {
    mark: /support\/servers\.ts|\/usr\/lib\/postgresql/,
    debian: {
      packages: 'postgresql-15',
      files: stock('postgres', 'psql', 'pg_dump', 'pg_dumpall', 'pg_restore', 'pg_basebackup', 'pgbench'),
    },
  },
  { mark: /pgbouncer/, debian: { packages: 'pgbouncer', files: ['/usr/sbin/pgbouncer'] } },
  {
    // Ceph's radosgw is the S3 server of the tests; none of its services is started.
    mark: /support\/radosgw\.ts/,
    debian: {
      packages: 'ceph-mon ceph-osd radosgw',
      files: ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'monmaptool', 'osdmaptool'].map(program =>
        join('/usr/bin', program),
      ),
    },
  },
  {
    mark: /support\/sshd\.ts|openssl/,
    debian: { packages: 'openssh-server openssl', files: ['/usr/sbin/sshd', '/usr/bin/openssl'] },
  },
  {
    // Sources of the C library's locales, which tests compile for their servers.
    mark: /support\/locales\.ts/,
    debian: { packages: 'locales', files: ['/usr/share/i18n/locales/de_DE'] },
  },
  {
    // A file system without hard links.
    mark: /support\/exfat\.ts/,
    debian: {
      packages: 'exfatprogs exfat-fuse',
      files: ['/usr/sbin/mkfs.exfat', '/usr/sbin/mount.exfat-fuse'],
    },
    root: true,
  },
];

/** Programs are wanted, not their services: without this, some start as they are installed (invoke-rc.d(8)). */
const NO_SERVICES = '/usr/sbin/policy-rc.d';

/**
 * Installs what these test files need and is not there; returns what can't be had, with the command that would get it.
 * `newest`: what is there is brought to its newest version too.
 */
export function prepareTests(files: readonly string[], { newest = false } = {}): string[] {
  const needs = needsOf(files);
  const folders = needs.flatMap(each => each.packages ?? []);
  const programs = needs.flatMap(each => each.debian ?? []);
  const lacks = [...folders.map(npmPackages), stockPrograms(programs, newest)].filter(
    lack => lack !== undefined,
  );
  // Without these only the tests that need them are skipped, which say so.
  if (folders.includes(SERVERS)) for (const lack of bringDebianPrograms({ newest })) console.error(lack);
  return lacks;
}

/** Whether a test file runs with what the project's own packages bring. */
export function needsNothing(file: string): boolean {
  return needsOf([file]).length === 0 && !closureOf(file).some(each => each.endsWith('server/throwaway.ts'));
}

function needsOf(files: readonly string[]): Need[] {
  const texts = [...new Set(files.flatMap(closureOf))]
    .filter(file => /^tests\/|\.test\.ts$|scratchServer\.ts$/.test(file))
    .map(file => `${file}\n${readFileSync(join(TOP, file), 'utf8')}`);
  const isRoot = process.geteuid?.() === 0;
  return NEEDS.filter(({ mark, root }) => (isRoot || !root) && texts.some(text => mark.test(text)));
}

const closures = new Map<string, string[]>();

/** A file and all that it imports of the project, at any depth. */
function closureOf(file: string): string[] {
  const found = new Set<string>([file]);
  for (const each of found) {
    let imported = closures.get(each);
    if (!imported) {
      const text = readFileSync(join(TOP, each), 'utf8');
      imported = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g)]
        .map(([, specifier]) => posix.join(posix.dirname(each), specifier!))
        .filter(path => existsSync(join(TOP, path)));
      closures.set(each, imported);
    }
    for (const path of imported) found.add(path);
  }
  return [...found];
}

/** Of servers: PostgreSQL 16 and 17 (and 15) and others. PostgreSQL 18 is a dependency of the project itself. */
function npmPackages(folder: string): string | undefined {
  if (isInstalled(folder)) return undefined;
  const place = relative(TOP, folder);
  console.error(`installing packages to test with (npm ci in ${place}) …`);
  const done = run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], folder);
  return done ? undefined : `npm ci failed in ${place}; run it there and read what it says`;
}

interface LockedPackage {
  integrity?: string;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
}

/**
 * Whether what npm has noted of its last work is there, and is what the lock file asks for: another branch may have asked
 * for more. Optional packages are asked for where they fit this machine.
 */
function isInstalled(folder: string): boolean {
  const wanted = packagesIn(join(folder, 'package-lock.json'));
  const installed = packagesIn(join(folder, 'node_modules/.package-lock.json'));
  delete wanted['']; // the folder itself
  return Object.entries(wanted).every(([path, { integrity, optional, os, cpu }]) => {
    if (installed[path] && existsSync(join(folder, path))) return installed[path].integrity === integrity;
    const fits =
      (os ?? [process.platform]).includes(process.platform) && (cpu ?? [process.arch]).includes(process.arch);
    return optional === true && !fits;
  });
}

function packagesIn(lockFile: string): Record<string, LockedPackage> {
  return existsSync(lockFile) ? JSON.parse(readFileSync(lockFile, 'utf8')).packages : {};
}

function stockPrograms(
  wanted: readonly { packages: string; files: string[] }[],
  newest: boolean,
): string | undefined {
  const isRoot = process.geteuid?.() === 0;
  const files = wanted.flatMap(each => each.files);
  const packages = wanted.map(each => each.packages).join(' ');
  const missing = (): string[] => files.filter(file => !existsSync(file));
  if (packages === '' || (missing().length === 0 && !(newest && isRoot))) return undefined;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages}`;
  if (existsSync('/etc/debian_version') && isRoot) {
    console.error(`installing ${packages} (apt-get) …`);
    const done = withoutServices(() => run('sh', ['-c', command], TOP));
    if (!done && newest) return `apt-get could not bring the newest of ${packages}; run: ${command}`;
    if (done && missing().length === 0) return undefined;
  }
  if (missing().length === 0) return undefined; // not Debian: what is there is tested with
  return `the tests need ${missing().join(', ')}; run: ${command}`;
}

function withoutServices<T>(work: () => T): T {
  if (existsSync(NO_SERVICES)) return work();
  writeFileSync(NO_SERVICES, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    rmSync(NO_SERVICES);
  }
}

/** Everything it prints goes to our standard error: standard output is the tests'. */
function run(program: string, args: string[], cwd: string): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(program, args, { cwd, env, stdio: ['ignore', 2, 2] }).status === 0;
}
