/** Names can't hide, move or colour what is printed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { columns, paint, printable } from './output.ts';

const HIDDEN: [string, string][] = [
  ['\x1b[8m', '\\x1b[8m'],
  ['\x1b]0;title\x07', '\\x1b]0;title\\x07'],
  ['\x9b31m', '\\x9b31m'],
  ['\r\n\t\0\x7f', '\\x0d\\x0a\\x09\\x00\\x7f'],
  ['\u202etxt\u2066\u061c\u200f', '\\u202etxt\\u2066\\u061c\\u200f'],
  ['a\u200bb\u200d\u2060\ufeff\u00ad', 'a\\u200bb\\u200d\\u2060\\ufeff\\xad'],
  ['\u2028\u2029\u115f\u3164\u034f\ufe0f', '\\u2028\\u2029\\u115f\\u3164\\u034f\\ufe0f'],
  ['\u{e0041}', '\\u{e0041}'],
  ['\ud800', '\\ud800'],
  ['größe 表 🙂', 'größe 表 🙂'],
];

test('what is hidden in names is shown escaped', () => {
  for (const [name, shown] of HIDDEN) assert.equal(printable(name), shown);
});

test('colours of ours stay, those of names are shown', t => {
  const terminal = Object.assign(Object.create(process.stdout), { isTTY: true });
  const before = { ...process.env };
  t.after(() => Object.assign(process.env, before));
  delete process.env.NO_COLOR;
  process.env.TERM = 'xterm';
  assert.equal(printable(paint('red', 'a\x1b[0mb', terminal)), '\x1b[31ma\\x1b[0mb\x1b[39m');
  const [first, second] = [
    ...columns([
      [paint('red', 'a\u202e', terminal), 'x'],
      ['12345678', 'y'],
    ]),
  ];
  assert.equal(printable(first!), '\x1b[31ma\\u202e\x1b[39m   x');
  assert.equal(printable(second!), '12345678  y');
});

test('errors of the command line and JSON show them too', () => {
  const run = (...args: string[]) =>
    spawnSync('bin/tidemark', args, { encoding: 'utf8', env: { ...process.env, HOME: '/nonexistent' } });
  for (const args of [['list', '--\x1b[8m'], ['\x1b[8m'], ['list', '--config', '\x1b[8m\u202e\x9b']]) {
    const { stdout, stderr } = run(...args);
    assert.match(stderr, /\\x1b\[8m/);
    const json = run(...args, '--json').stdout;
    assert.doesNotMatch(stdout + stderr + json, /[\x1b\x9b\u202e]/);
    JSON.parse(json);
  }
});

test('a checkout without its packages says so', async t => {
  const checkout = await mkdtemp(join(tmpdir(), 'tidemark-bare-'));
  t.after(() => rm(checkout, { recursive: true }));
  await mkdir(join(checkout, 'bin'));
  await mkdir(join(checkout, 'src'));
  await copyFile('bin/tidemark', join(checkout, 'bin/tidemark'));
  await copyFile('src/main.ts', join(checkout, 'src/main.ts'));
  const { status, stderr } = spawnSync(join(checkout, 'bin/tidemark'), ['list'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /packages are not installed\n {2}run 'npm ci' in /);
});
