import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FileResult, runTestFile } from './test-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-runner-'));
after(() => rmSync(folder, { recursive: true }));

const LIMIT_MS = 20_000;

async function run(
  source: string,
  options: { limitMs?: number; namePatterns?: string[] } = {},
): Promise<FileResult> {
  const file = join(folder, `${Math.random()}.test.ts`);
  writeFileSync(file, `import { describe, test } from 'node:test';\n${source}`);
  return runTestFile(file, { limitMs: LIMIT_MS, ...options });
}

function outcomes(result: FileResult): string[] {
  return result.tests.map(({ name, outcome }) => `${name}: ${outcome}`);
}

test('tests inside suites and tests are counted once, those that hold failed ones are not', async () => {
  const result = await run(`
    test('one', () => {});
    describe('suite', () => { test('two', () => {}); test('three', () => { throw new RangeError('no') }); });
    test('outer', async t => { await t.test('inner', () => { throw new Error('inside') }); });`);
  assert.deepEqual(outcomes(result), [
    'one: passed',
    'suite › two: passed',
    'suite › three: failed',
    'outer › inner: failed',
  ]);
  assert.match(result.tests[2]?.reason ?? '', /RangeError: no\n +at/);
});

test('skipped tests say why', async () => {
  const result = await run(
    `test('one', { skip: 'no network' }, () => {}); test('two', { todo: true }, () => {});
     describe('all', { skip: 'no server' }, () => { test('three', () => {}); });`,
  );
  assert.deepEqual(
    result.tests.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['skipped', 'no network'],
      ['skipped', 'no reason given'],
      ['skipped', 'no server'],
    ],
  );
});

test('a file without tests, and one that ends badly, are failures', async () => {
  assert.match((await run('console.log(1);')).tests[0]?.reason ?? '', /has no tests/);
  const thrown = await run(`console.log('before'); throw new Error('at load');`);
  assert.match(thrown.tests[0]?.reason ?? '', /exit code/);
  assert.match(thrown.output, /before\n[\s\S]*at load/);
  const late = await run(`test('one', () => {}); process.on('exit', () => { process.exitCode = 7; });`);
  assert.deepEqual(outcomes(late), ['one: passed', 'the file as a whole: failed']);
});

test('a file that does not end is ended, and what had passed counts', async () => {
  const result = await run(`test('one', () => {}); test('two', () => {}); setInterval(() => {}, 1000);`, {
    limitMs: 1500,
  });
  assert.deepEqual(outcomes(result), ['one: passed', 'two: passed', 'the file as a whole: failed']);
});

test('a pattern chooses tests by name, and may choose none of a file', async () => {
  const source = `test('one', () => {}); test('two', () => {});`;
  assert.deepEqual(outcomes(await run(source, { namePatterns: ['tw'] })), ['two: passed']);
  assert.deepEqual(outcomes(await run(source, { namePatterns: ['three'] })), []);
});
