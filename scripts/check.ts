import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { houseRules } from './house-rules.ts';
import type { Breach, Project } from './rule.ts';

/** npm run check: formatting and lint (biome), types (tsc), house rules. Runs all of them and fails if one does. */
const TOP = join(import.meta.dirname, '..');
const NOT_TEXT = /\.(png|jpe?g|gif|ico|woff2?|gz|zst|dump|bin|pack)$/;

function main(): number {
  process.chdir(TOP);
  const failed = [
    step('formatting and lint', () => run('biome', ['ci', '--colors=off', '.'])),
    step('types', () => run('tsc', ['-p', '.'])),
    step('house rules', checkHouseRules),
  ].filter(passed => !passed).length;
  console.log(failed === 0 ? 'check: all passed' : `check: ${failed} of 3 failed`);
  return failed === 0 ? 0 : 1;
}

function step(name: string, work: () => boolean): boolean {
  console.log(`${name} …`);
  return work();
}

function run(program: string, args: string[]): boolean {
  const { status, error } = spawnSync(join('node_modules/.bin', program), args, { stdio: 'inherit' });
  if (error) console.log(`can't run ${program}: ${error.message}; run npm ci`);
  return status === 0;
}

function checkHouseRules(): boolean {
  const breaches = houseRules(readProject());
  for (const breach of breaches) console.log(describe(breach));
  if (breaches.length > 0) console.log(`${breaches.length} breaches of the house rules (CONTRIBUTING.md)`);
  return breaches.length === 0;
}

function describe({ path, line, rule, fault, instead }: Breach): string {
  return `${path}${line > 0 ? `:${line}` : ''}: ${fault} [${rule}]\n    instead: ${instead}`;
}

/** What git has or would add: everything but what .gitignore names. */
function readProject(): Project {
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (listed.status !== 0) {
    console.log(`can't list the project's files: ${listed.stderr || listed.error?.message}`);
    process.exit(1);
  }
  const paths = [...new Set(listed.stdout.split('\0'))].filter(path => path !== '' && existsSync(path));
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
    readFileSync('package.json', 'utf8'),
  );
  return {
    files: paths
      .filter(path => !NOT_TEXT.test(path))
      .map(path => ({ path, text: readFileSync(path, 'utf8') })),
    has: path => existsSync(path),
    dependencies: Object.keys({ ...dependencies, ...optionalDependencies }),
    devDependencies: Object.keys(devDependencies ?? {}),
  };
}

process.exitCode = main();
