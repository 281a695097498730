import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestResult } from './test-reporter.ts';

export interface FileResult {
  file: string;
  tests: TestResult[];
  durationMs: number;
  /** What the tests printed; worth reading when one failed. */
  output: string;
}

export interface RunOptions {
  limitMs: number;
  /** Only tests whose name matches one of these. */
  namePatterns?: string[];
}

const FILES = ['src/**/*.test.ts', 'tests/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'];

/** Paths from the top, with slashes. */
export function allTests(): string[] {
  return globSync(FILES, { exclude: path => path.includes('node_modules') });
}

const KILL_GRACE_MS = 5_000;
const OUTPUT_LIMIT_BYTES = 1 << 20;
const REPORTER = join(import.meta.dirname, 'test-reporter.ts');
const running = new Set<ChildProcess>();

/**
 * Runs one test file in a process of its own, which is ended when it takes too long. A file that has no tests, ends
 * badly or does not end counts as one failed test more.
 */
export async function runTestFile(file: string, options: RunOptions): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'));
  const from = performance.now();
  const child = start(file, join(folder, 'results'), options.namePatterns ?? []);
  const output: Buffer[] = [];
  let kept = 0;
  const keep = (chunk: Buffer): void => {
    if (kept < OUTPUT_LIMIT_BYTES) output.push(chunk);
    kept += chunk.length;
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    stop(child);
  }, options.limitMs);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(limit);
  running.delete(child);
  const all = results(join(folder, 'results'));
  // Where no name matches, Node leaves out the hooks before the tests but runs those after them, which may then fail.
  const chosen = !options.namePatterns?.length || all.some(test => test.name !== resolve(file));
  const tests = chosen ? all : [];
  rmSync(folder, { recursive: true, force: true });
  const durationMs = performance.now() - from;
  const trouble = late
    ? `the file did not end within ${options.limitMs / 1000} s: a test hangs, or something is still open after the last`
    : chosen && fileTrouble(tests, code, signal);
  if (trouble) tests.push({ name: 'the file as a whole', outcome: 'failed', durationMs, reason: trouble });
  return { file, tests, durationMs, output: Buffer.concat(output).toString() };
}

/** For when the run itself is ended from outside. */
export function stopAll(): void {
  for (const child of running) stop(child);
}

function start(file: string, destination: string, namePatterns: string[]): ChildProcess {
  const settings = Object.entries(process.env).filter(([name]) => !/^(PG|NODE_TEST|TIDEMARK_)/.test(name));
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      `--test-reporter=${REPORTER}`,
      `--test-reporter-destination=${destination}`,
      ...namePatterns.map(pattern => `--test-name-pattern=${pattern}`),
      file,
    ],
    { env: Object.fromEntries(settings), stdio: ['ignore', 'pipe', 'pipe'] },
  );
  running.add(child);
  return child;
}

function stop(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS).unref();
}

function results(path: string): TestResult[] {
  const lines = readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n');
  // The last piece is empty, or a line that was being written when the process was killed.
  return lines.slice(0, -1).map(line => JSON.parse(line) as TestResult);
}

function fileTrouble(
  tests: TestResult[],
  code: number | null,
  signal: NodeJS.Signals | null,
): string | undefined {
  if (code !== 0 && !tests.some(test => test.outcome === 'failed')) {
    return `the file ended with ${signal ?? `exit code ${code}`}, and no test failed`;
  }
  if (tests.length === 0) return 'the file has no tests';
  return undefined;
}
