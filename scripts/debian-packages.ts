import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One of Debian's suites: `{ archive: 'debian', suite: 'sid' }`. */
export interface Suite {
  archive: 'debian' | 'debian-security';
  suite: string;
}

const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** What has shared libraries in it. Scripts, and what they are written in, are not needed. */
const LIBRARY_PACKAGE = /^(lib(?!c-)|zlib1g)/;
const APT_LIMIT_MS = 180_000;

/**
 * Debian's packages as files: apt with lists, settings and an (empty) list of installed packages of its own. The system's
 * are neither used nor changed, so other suites than the system's may be read. Everything lies in one folder.
 */
export class DebianPackages {
  readonly #folder: string;
  readonly #options: string[];
  /** What went wrong with the lists; it matters if a package is not found. */
  readonly #trouble: string;

  /** `preferences` as apt_preferences(5) has them. A suite that can't be reached leaves the others. */
  constructor(folder: string, suites: Suite[], preferences: string) {
    chmodSync(folder, 0o755); // apt downloads as a user of its own
    this.#folder = folder;
    const settings = {
      'Dir::Etc::SourceList': this.#file('sources.list', sources(suites)),
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::Etc::Preferences': this.#file('preferences', preferences),
      'Dir::Etc::PreferencesParts': '/dev/null',
      'Dir::State': this.#made('state'),
      'Dir::State::Lists': this.#made('state/lists/partial', '..'),
      'Dir::State::status': this.#file('status', ''),
      'Dir::Cache': this.#made('cache/archives/partial', '../..'),
      'Dir::Cache::pkgcache': 'packages.bin',
      'Dir::Cache::srcpkgcache': 'sources.bin',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '1',
      'Acquire::http::Timeout': '15',
      'Acquire::https::Timeout': '15',
    };
    this.#options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    this.#trouble = firstFault(this.#run('apt-get', ['update']).stderr);
  }

  /** The packages, with those of libraries that they need, unpacked together into a new folder, which is returned. */
  unpack(packages: string[]): string {
    const wanted = this.#withLibraries(packages);
    const folder = this.#made('packages');
    // What was downloaded before is not downloaded again.
    const got = this.#run('apt-get', ['download', ...wanted], folder);
    if (got.status !== 0) throw new Error(`apt-get download failed: ${firstFault(got.stderr)}`);
    const root = mkdtempSync(join(this.#folder, 'root-'));
    for (const file of wanted.flatMap(name => globSync(`${name}_*.deb`, { cwd: folder }))) {
      const unpacked = spawnSync('dpkg-deb', ['-x', join(folder, file), root], { encoding: 'utf8' });
      if (unpacked.status !== 0) throw new Error(`dpkg-deb can't unpack ${file}: ${unpacked.stderr}`);
    }
    return root;
  }

  #withLibraries(packages: string[]): string[] {
    const found = this.#run('apt-cache', ['depends', '--recurse', '--important', ...packages]);
    if (found.status !== 0) {
      const said = [`no suite has ${packages.join(', ')}`, this.#trouble].filter(text => text !== '');
      throw new Error(said.join('; '));
    }
    const needs = new Map<string, string[]>();
    let current: string[] = [];
    for (const line of found.stdout.split('\n')) {
      const needed = /^ [ |](?:Pre)?Depends: ([^<\s]+)$/.exec(line)?.[1];
      if (needed !== undefined) current.push(needed);
      else if (/^[^\s<]/.test(line)) {
        current = [];
        needs.set(line, current);
      }
    }
    const wanted = new Set(packages);
    for (const name of wanted) {
      for (const needed of needs.get(name) ?? []) if (LIBRARY_PACKAGE.test(needed)) wanted.add(needed);
    }
    return [...wanted];
  }

  #run(program: string, args: string[], cwd = this.#folder) {
    const ran = spawnSync(program, [...this.#options, ...args], {
      cwd,
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      timeout: APT_LIMIT_MS,
    });
    if (ran.error) throw new Error(`can't run ${program}: ${ran.error.message}`);
    return ran;
  }

  #file(name: string, text: string): string {
    writeFileSync(join(this.#folder, name), text);
    return join(this.#folder, name);
  }

  #made(name: string, up = '.'): string {
    mkdirSync(join(this.#folder, name), { recursive: true });
    return join(this.#folder, name, up);
  }
}

/** From the mirror that this system uses, where that is known. */
function sources(suites: Suite[]): string {
  const { stdout } = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' });
  const known = (stdout ?? '').split('\n').map(uri => uri.replace(/\/$/, ''));
  const lines = suites.map(({ archive, suite }) => {
    const mirror = known.find(uri => uri.endsWith(`/${archive}`)) ?? `http://deb.debian.org/${archive}`;
    return `deb [signed-by=${KEYS}] ${mirror} ${suite} main\n`;
  });
  return lines.join('');
}

/** What apt complained of first: an error, or else a warning; they begin so. */
function firstFault(stderr: string): string {
  const lines = stderr.split('\n');
  return lines.find(line => line.startsWith('E: ')) ?? lines.find(line => line.startsWith('W: ')) ?? '';
}
