import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolders } from './makeFolders.ts';

test('folders are made with those above them, and what can’t be made is an error at once', async t => {
  const root = mkdtempSync(join(tmpdir(), 'tidemark-folders-'));
  t.after(() => rmSync(root, { recursive: true }));
  const deep = join(root, 'a/b/c');
  const made = await Promise.all([makeFolders(deep, 0o700), makeFolders(deep, 0o700)]);
  assert.ok(made.includes(join(root, 'a')));
  assert.equal(await makeFolders(deep, 0o700), undefined);
  assert.equal(statSync(deep).mode & 0o777, 0o700);
  writeFileSync(join(root, 'file'), '');
  await assert.rejects(makeFolders(join(root, 'file'), 0o700), { code: 'EEXIST' });
  await assert.rejects(makeFolders(join(root, 'file/x'), 0o700), { code: 'ENOTDIR' });
  if (process.platform === 'linux')
    await assert.rejects(makeFolders('/proc/none/x', 0o700), { code: 'ENOENT' });
});
