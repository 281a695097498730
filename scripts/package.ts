import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const TOP = join(import.meta.dirname, '..');

/** Builds the package and packs it into the folder as a tarball; returns its path. */
export function packProject(into: string): string {
  run(process.execPath, [join(TOP, 'scripts/build.ts')], TOP);
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', into], TOP)) as {
    filename: string;
  }[];
  return join(into, packed!.filename);
}

export interface TriedPackage {
  version: string;
  /** What `tidemark demo --json` printed. */
  demo: { ok: boolean };
}

/** Installs the package into an empty folder, as a user does, and runs the demo from there. */
export function tryPackage(tarball: string): TriedPackage {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-package-'));
  try {
    const home = join(folder, 'home');
    mkdirSync(home);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    run('npm', ['install', '--no-fund', '--no-audit', '--loglevel=error', tarball], folder);
    const tidemark = (...args: string[]) =>
      run(join(folder, 'node_modules/.bin/tidemark'), args, folder, home);
    return { version: tidemark('--version').trim(), demo: JSON.parse(tidemark('demo', '--json')) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Its standard output; throws where it fails. The node that runs this one comes first in the path. */
function run(program: string, args: string[], cwd: string, home = process.env.HOME): string {
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  const env = { ...process.env, PATH: path, HOME: home };
  const { status, stdout, error } = spawnSync(program, args, {
    ...{ cwd, env, encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] },
  });
  if (status === 0) return stdout;
  throw new Error(
    `${program} ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}\n${stdout}`,
  );
}
