import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bringDebianPrograms } from './debian-postgres.ts';

const TOP = join(import.meta.dirname, '..');
/** The npm packages of servers to test with. */
export const SERVERS = join(TOP, 'tests/servers');
/** The npm packages of applications' database tools, whose own checks the tests run on restored databases. */
const APPLICATIONS = join(TOP, 'tests/applications');
/** Debian's own PostgreSQL. */
export const STOCK_15 = '/usr/lib/postgresql/15/bin';
/** What the tests run of it: the server, and clients to compare with. */
const STOCK_PROGRAMS = [
  'postgres',
  'psql',
  'pg_dump',
  'pg_dumpall',
  'pg_restore',
  'pg_basebackup',
  'pgbench',
];
/** The pooler that the tests go through. */
const PGBOUNCER = '/usr/sbin/pgbouncer';
/** Ceph, whose radosgw is the S3 server of the tests; none of its services is started. */
const CEPH_PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'monmaptool', 'osdmaptool'];
/** An SSH server, and its users' passwords. */
const SSH_PROGRAMS = ['/usr/sbin/sshd', '/usr/bin/openssl'];
/** Sources of the C library's locales, which tests compile for their servers. */
const LOCALES = '/usr/share/i18n/locales/de_DE';
/** A file system without hard links; only root can mount one. */
const EXFAT_PROGRAMS = ['/usr/sbin/mkfs.exfat', '/usr/sbin/mount.exfat-fuse'];
const DEBIAN_PACKAGES =
  'postgresql-15 pgbouncer ceph-mon ceph-osd radosgw openssh-server openssl exfatprogs exfat-fuse locales';
/** Programs are wanted, not their services: without this, some start as they are installed (invoke-rc.d(8)). */
const NO_SERVICES = '/usr/sbin/policy-rc.d';

/**
 * Installs what the tests need and is not there; returns what can't be had, with the command that would get it.
 * `newest`: what is there is brought to its newest version too.
 */
export function prepareTests({ newest = false } = {}): string[] {
  const lacks = [npmPackages(SERVERS), npmPackages(APPLICATIONS), stockPrograms(newest)].filter(
    lack => lack !== undefined,
  );
  // Without these only the tests that need them are skipped, which say so.
  for (const lack of bringDebianPrograms({ newest })) console.error(lack);
  return lacks;
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

function stockPrograms(newest: boolean): string | undefined {
  const isRoot = process.geteuid?.() === 0;
  const wanted = [
    ...STOCK_PROGRAMS.map(program => join(STOCK_15, program)),
    PGBOUNCER,
    ...CEPH_PROGRAMS.map(program => join('/usr/bin', program)),
    ...SSH_PROGRAMS,
    LOCALES,
    ...(isRoot ? EXFAT_PROGRAMS : []),
  ];
  const missing = (): string[] => wanted.filter(program => !existsSync(program));
  if (missing().length === 0 && !(newest && isRoot)) return undefined;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${DEBIAN_PACKAGES}`;
  if (existsSync('/etc/debian_version') && isRoot) {
    console.error(`installing ${DEBIAN_PACKAGES} (apt-get) …`);
    const done = withoutServices(() => run('sh', ['-c', command], TOP));
    if (!done && newest) return `apt-get could not bring the newest of ${DEBIAN_PACKAGES}; run: ${command}`;
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
