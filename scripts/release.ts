/**
 * npm run release [-- --publish]: packs this version, installs the package into an empty folder and runs the demo from
 * there. With --publish it goes to the registry, with provenance: only where a workflow runs it (.github/workflows/release.yml)
 * can npm vouch for what it was built from.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packProject, tryPackage } from './package.ts';

const TOP = join(import.meta.dirname, '..');

function main(publish: boolean): number {
  const { version } = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as { version: string };
  const lacks = unready(version);
  for (const lack of lacks) console.error(`not ready: ${lack}`);
  if (lacks.length > 0) return 1;
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-release-'));
  try {
    const tarball = packProject(folder);
    const tried = tryPackage(tarball);
    if (tried.version !== version || !tried.demo.ok) {
      console.error(
        `the package says that it is ${tried.version}, and its demo ${JSON.stringify(tried.demo)}`,
      );
      return 1;
    }
    console.log(`tidemark ${version}: installed into an empty folder, its demo passes`);
    if (!publish) return 0;
    const args = ['publish', '--provenance', '--access', 'public', tarball];
    return spawnSync('npm', args, { cwd: TOP, stdio: 'inherit' }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What has to be done before this version can go out. */
function unready(version: string): string[] {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: TOP, encoding: 'utf8' }).stdout.trim();
  const changelog = readFileSync(join(TOP, 'CHANGELOG.md'), 'utf8');
  return [
    ...(git('status', '--porcelain') === '' ? [] : ['there are changes that are not committed']),
    ...(changelog.includes(`\n## ${version}\n`) ? [] : [`CHANGELOG.md has no part "## ${version}"`]),
    ...(git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`)
      ? []
      : [`this commit is not tagged: git tag v${version}`]),
  ];
}

process.exitCode = main(process.argv.includes('--publish'));
