import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Undo } from '../key/undo.ts';
import { ignoreInGit, isTracked } from './gitIgnore.ts';

async function workTree(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'tidemark-git-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  git(made, 'init', '-q');
  return made;
}

const git = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' });
const text = (folder: string) => readFile(join(folder, '.gitignore'), 'utf8').catch(() => null);

test('what git does not ignore yet is added, once', async t => {
  const folder = await workTree(t);
  await writeFile(join(folder, '.gitignore'), 'node_modules');
  const entries = ['.env', 'a [b]! #c/', 'node_modules/'];
  assert.deepEqual(await ignoreInGit(folder, entries, new Undo()), ['.env', 'a [b]! #c/']);
  assert.ok((await text(folder))!.startsWith('node_modules\n.env\n'));
  assert.deepEqual(await ignoreInGit(folder, entries, new Undo()), []);
});

test('in a folder below the top, by its own file', async t => {
  const top = await workTree(t);
  await writeFile(join(top, '.gitignore'), '.env*\n');
  const below = join(top, 'below');
  await mkdir(below);
  assert.deepEqual(await ignoreInGit(below, ['.env', 'x/'], new Undo()), ['x/']);
  assert.equal(await text(below), '/x/\n');
});

test('it is taken back', async t => {
  const folder = await workTree(t);
  const undo = new Undo();
  await ignoreInGit(folder, ['.env'], undo);
  await undo.run();
  assert.equal(await text(folder), null);
  await writeFile(join(folder, '.gitignore'), 'ä');
  await ignoreInGit(folder, ['.env'], undo);
  await undo.run();
  assert.equal(await text(folder), 'ä');
});

test('outside of a git repository nothing is written', async t => {
  const made = await mkdtemp(join(tmpdir(), 'tidemark-nogit-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  assert.deepEqual(await ignoreInGit(made, ['.env'], new Undo()), []);
  assert.equal(await text(made), null);
  assert.equal(await isTracked(made, '.env'), false);
});

test('a file under version control is noticed', async t => {
  const folder = await workTree(t);
  await writeFile(join(folder, '.env'), 'A=1\n');
  assert.equal(await isTracked(folder, '.env'), false);
  git(folder, 'add', '.env');
  assert.equal(await isTracked(folder, '.env'), true);
});
