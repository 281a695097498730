/** Files that hold secrets: what others may do with them is said or refused, and nothing waits for what is no file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSite } from '../support/cli.ts';

const URL = 'postgresql://ann@localhost/shop';

test('a file with secrets that others can read is warned about each time; one that all may change is refused', async t => {
  const site = await makeSite({ shop: URL });
  t.after(() => site.remove());
  const key = join(site.folder, 'tidemark.key');
  const env = join(site.folder, '.env');
  await writeFile(env, 'A=b\n', { mode: 0o600 });
  assert.equal((await site.run('list')).stderr, '');
  for (const [file, other] of [
    [key, env],
    [env, key],
  ] as const) {
    for (const mode of [0o640, 0o604, 0o620]) {
      await chmod(file, mode);
      for (let run = 0; run < 2; run++) {
        const { code, stderr } = await site.run('list');
        assert.equal(code, 0, stderr);
        assert.ok(
          stderr.includes(`others can read ${file} (mode 0${mode.toString(8)}): chmod 600 ${file}`),
          stderr,
        );
        assert.equal(stderr.split('\n').length, 2, stderr);
      }
    }
    await chmod(file, 0o602);
    const { code, stderr } = await site.run('list');
    assert.equal(code, 2);
    assert.match(stderr, /can be changed by everybody.*FILE_WRITABLE\]\n.*chmod 600/);
    assert.ok(stderr.includes(file) && !stderr.includes(other));
    await chmod(file, 0o600);
  }
  const checked = await site.run('check');
  assert.equal(checked.stderr, '');
  await chmod(key, 0o644);
  assert.match((await site.run('check')).stderr, /others can read/);
  assert.match((await site.run('init')).stdout, /others can read/);
});

test('a key, password or age file that is a FIFO, a device or without end is an error at once', async t => {
  const site = await makeSite({ shop: URL });
  t.after(() => site.remove());
  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  const odd = join(site.folder, 'odd');
  const makers: [string, () => Promise<unknown>][] = [
    ['not a regular file', async () => execFileSync('mkfifo', [odd])],
    ['not a regular file', () => symlink('/dev/zero', odd)],
    ['longer than 1 MB', async () => execFileSync('truncate', ['-s', '1G', odd])],
    ['it is a folder', async () => execFileSync('mkdir', [odd])],
    ['symbolic links lead in a circle', () => symlink('odd', odd)],
  ];
  for (const [what, make] of makers) {
    await make();
    for (const key of ['file', 'passphrase_file', 'age_identity_file']) {
      await writeFile(strategy, text.replace('{ file: ./tidemark.key }', `{ ${key}: ./odd }`));
      const { code, stderr } = await site.run('list');
      assert.equal(code, 2, stderr);
      assert.match(stderr, new RegExp(`${what}.*KEY_UNREADABLE`), key);
    }
    const password = text.replace(
      JSON.stringify(URL),
      `postgresql://ann@localhost/shop, password_file: ./odd`,
    );
    await writeFile(strategy, password);
    assert.match((await site.run('backup', 'shop')).stderr, new RegExp(what));
    await writeFile(strategy, text);
    assert.match((await site.run('key', 'add', 'main', '--key-file', 'odd')).stderr, new RegExp(what));
    assert.match(
      (await site.run('list', '--config', 'odd')).stderr,
      new RegExp(`${what}.*STRATEGY_UNREADABLE`),
    );
    await rm(odd, { recursive: true });
  }
});

test('init makes no repository within another', async t => {
  const site = await makeSite({ shop: URL });
  t.after(() => site.remove());
  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  await writeFile(strategy, text.replace('./repository', './repository/packs/inner'));
  const { code, stderr } = await site.run('init');
  assert.equal(code, 2);
  assert.match(stderr, /lies within the repository .*STORAGE_NESTED/);
});
