import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { allTests, type FileResult, runTestFile, stopAll } from './test-file.ts';
import { prepareTests } from './test-needs.ts';

/**
 * npm test [-- FILTER …]: runs every test, or those that the filters choose: part of a file's path, or else a pattern of
 * a test's name. What the chosen files need is installed first. Its last line is `N passed, N failed`, and `, N skipped` if any were.
 */
const TOP = join(import.meta.dirname, '..');
/** The kill test takes two minutes on two idle cores, and cores are not always idle. */
const FILE_LIMIT_MS = 420_000;
/** Started first, since they take longest and the end should not wait for one of them alone. */
const SLOWEST = [
  'tests/faults/sweep.test.ts',
  'tests/faults/kill.test.ts',
  'tests/restore/databaseProperties.test.ts',
  'tests/restore/loadOrder.test.ts',
  'tests/restore/versions.test.ts',
  'tests/restore/roundtrip.test.ts',
  'tests/cli/cli.test.ts',
];
/** Each file has servers of its own beside it. */
const FILES_AT_ONCE = Math.max(1, Math.min(4, availableParallelism()));
let stopped = false;

async function main(filters: string[]): Promise<number> {
  process.chdir(TOP);
  const all = allTests().sort(slowestFirst);
  const paths = filters.filter(filter => all.some(file => file.includes(filter)));
  const namePatterns = filters.filter(filter => !paths.includes(filter));
  const chosen = paths.length > 0 ? all.filter(file => paths.some(path => file.includes(path))) : [...all];
  const lacks = prepareTests(chosen);
  for (const lack of lacks) console.log(`can't run the tests: ${lack}`);
  if (lacks.length > 0) return conclude([], lacks.length);
  const results: FileResult[] = [];
  const work = async (): Promise<void> => {
    for (let file = chosen.shift(); file !== undefined && !stopped; file = chosen.shift()) {
      const result = await runTestFile(file, { limitMs: FILE_LIMIT_MS, namePatterns });
      if (result.tests.length > 0) print(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
  return conclude(results, 0);
}

function print(result: FileResult): void {
  const failed = result.tests.filter(test => test.outcome === 'failed');
  const seconds = (result.durationMs / 1000).toFixed(1).padStart(6);
  console.log(`${failed.length > 0 ? 'FAILED' : 'ok    '} ${seconds} s  ${result.file}: ${counts([result])}`);
  for (const test of failed) console.log(`\n  ✗ ${test.name}\n${indent(test.reason ?? '')}\n`);
  if (failed.length > 0 && result.output.trim())
    console.log(`  It printed:\n${indent(result.output.trimEnd())}\n`);
}

function conclude(results: FileResult[], lacking: number): number {
  const tests = results.flatMap(({ file, tests }) => tests.map(test => ({ file, ...test })));
  const skipped = tests.filter(test => test.outcome === 'skipped');
  for (const test of skipped) console.log(`skipped: ${test.file}: ${test.name}: ${test.reason}`);
  const failed = tests.filter(test => test.outcome === 'failed');
  if (failed.length > 0) console.log('\nfailed:');
  for (const test of failed) console.log(`  ${test.file}: ${test.name}`);
  const passed = tests.filter(test => test.outcome === 'passed').length;
  if (passed === 0 && failed.length + lacking === 0) console.log('no test matches');
  console.log(counts(results, lacking));
  return failed.length + lacking > 0 || passed === 0 ? 1 : 0;
}

function counts(results: FileResult[], lacking = 0): string {
  const number = (outcome: string): number =>
    results.flatMap(result => result.tests).filter(test => test.outcome === outcome).length;
  const skipped = number('skipped');
  return `${number('passed')} passed, ${number('failed') + lacking} failed${skipped ? `, ${skipped} skipped` : ''}`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopped = true;
    stopAll();
    process.exitCode = 130;
  });
}
const code = await main(process.argv.slice(2));
process.exitCode ??= code;

function slowestFirst(a: string, b: string): number {
  const rank = (file: string) => (SLOWEST.indexOf(file) + SLOWEST.length + 1) % (SLOWEST.length + 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
