/** What a strategy and its .env may be made of: text, in regular files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { StrategyError } from './faults.ts';
import { loadStrategy } from './load.ts';
import { BASE, ENVIRONMENT, faults, withPlan, withRepository, written } from './sample.ts';

async function refusal(file: string): Promise<StrategyError> {
  return loadStrategy(file, ENVIRONMENT).then(
    () => assert.fail('it was accepted'),
    error => error,
  );
}

test('bytes that are no text are refused with their line', async () => {
  for (const [bytes, column, what] of [
    [[0x66, 0xfc, 0x72], 17, /valid UTF-8/],
    [[0xed, 0xa0, 0x80], 16, /valid UTF-8/],
    [[0x61, 0x00, 0x62], 17, /zero byte/],
  ] as const) {
    const file = await written('');
    const text = `${BASE}# ${'ü'.repeat(3)}: \n`;
    await writeFile(
      file,
      Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from('- - - '), Buffer.from(bytes)]),
    );
    const { code, faults } = await refusal(file);
    assert.equal(code, 'STRATEGY_INVALID');
    assert.deepEqual([faults[0]!.line, faults.length], [BASE.split('\n').length, 1]);
    assert.equal(faults[0]!.column, column + 1);
    assert.match(faults[0]!.message, what);
  }
  const right = await written(`${BASE}# \ufffd is a character, too\n`);
  await loadStrategy(right, ENVIRONMENT);
});

test('values that no path or name can have are refused with their line', async () => {
  assert.deepEqual(await faults(withRepository('{ storage: "a\\0b", key: { file: k } }')), [
    '4:23 repositories.primary.storage holds a zero byte',
  ]);
  const latin1 = withRepository(`{ storage: "\${FOLDER}", key: { file: k } }`);
  assert.deepEqual(await faults(latin1, { ...ENVIRONMENT, FOLDER: 'f\ufffdr' }), [
    '4:23 repositories.primary.storage is not valid UTF-8',
  ]);
});

test("another user's home directory is not taken for a folder", async () => {
  const other = "names another user's home directory, which is not looked up";
  assert.deepEqual(await faults(withRepository('{ storage: ~root/x, key: { file: k } }')), [
    `4:23 repositories.primary: storage ${other}`,
  ]);
  assert.deepEqual(await faults(withRepository('{ storage: x, key: { file: ~root/k } }')), [
    `4:39 repositories.primary.key.file ${other}`,
  ]);
  for (const key of ['passphrase_file', 'age_identity_file'])
    assert.match(
      (await faults(withRepository(`{ storage: x, key: { ${key}: ~ann/k } }`)))[0]!,
      /another user's/,
    );
});

test('empty and blank patterns and names are refused', async () => {
  for (const tables of [
    'include: [""]',
    'include: [" "]',
    'exclude: [""]',
    'exclude: ["\\t"]',
    `include: ["\${NONE:-}"]`,
  ])
    assert.equal((await faults(withPlan(`tables: { ${tables} }`))).length, 1, tables);
});

test('a repository within another is refused, by whichever way it is named', async () => {
  const two = (a: string, b: string) =>
    BASE.replace(
      / {2}primary: .*/,
      `  primary: { storage: ${a}, key: { file: k } }\n  second: { storage: ${b}, key: { file: l } }`,
    );
  for (const [a, b, how] of [
    ['./x', './x/y', 'lies within'],
    ['./x/packs', 'x', 'contains'],
    ['./x', './y/../x/./z', 'lies within'],
    ['s3://bucket/x', 's3://bucket/x/y', 'lies within'],
  ] as const)
    assert.match(
      (await faults(two(a, b))).join(),
      new RegExp(`repositories.second ${how} repositories.primary`),
      a + b,
    );
  assert.deepEqual(await faults(two('./x', './xy')), []);

  const file = await written(two('./real/inner', './link'));
  await mkdir(path.join(path.dirname(file), 'real'));
  await symlink('real', path.join(path.dirname(file), 'link'));
  assert.match((await refusal(file)).message, /repositories.second contains repositories.primary/);
});

test('a strategy or .env that is no regular file is an error at once', async () => {
  for (const name of ['tidemark.yaml', '.env', '.env.local']) {
    const folder = path.dirname(await written(BASE));
    const file = path.join(folder, name);
    execFileSync('rm', ['-f', file]);
    execFileSync('mkfifo', [file]);
    const strategy = path.join(folder, 'tidemark.yaml');
    assert.match((await refusal(strategy)).message, /not a regular file/, name);
    execFileSync('rm', [file]);
    await symlink('/dev/zero', file);
    assert.match((await refusal(strategy)).message, /not a regular file/, name);
    execFileSync('rm', [file]);
    await symlink(name, file);
    assert.match((await refusal(strategy)).message, /symbolic links lead in a circle/, name);
    execFileSync('rm', [file]);
    await mkdir(file);
    assert.match((await refusal(strategy)).message, /it is a folder/, name);
    execFileSync('rmdir', [file]);
    execFileSync('truncate', ['-s', '2M', file]);
    assert.match((await refusal(strategy)).message, /longer than 1 MB/, name);
  }
});

test('a .env that is no text, or that anybody may change, is refused', async () => {
  const file = await written(BASE, { '.env': 'A=b\nPASSWORD=x\n' });
  const env = path.join(path.dirname(file), '.env');
  await chmod(env, 0o646);
  assert.equal((await refusal(file)).code, 'FILE_WRITABLE');
  await chmod(env, 0o644);
  await loadStrategy(file, ENVIRONMENT);
  await writeFile(env, Buffer.from('A=b\nPASSWORD=\xfc\n', 'latin1'));
  const { code, message } = await refusal(file);
  assert.equal(code, 'ENV_FILE_INVALID');
  assert.match(message, /\.env:2: this line is not valid UTF-8/);
});
