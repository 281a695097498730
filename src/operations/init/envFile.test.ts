import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { Undo } from '../key/undo.ts';
import { addVariable, chooseVariable } from './envFile.ts';

const URL_A = 'postgresql://u:p\'#$ä "x@h/db?a=b&c=d';

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'tidemark-env-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

test('DATABASE_URL is taken, unless it means another database', () => {
  const choose = (name: string, environment: Record<string, string>) =>
    chooseVariable('u', name, environment);
  assert.deepEqual(choose('shop', {}), { name: 'DATABASE_URL', isSet: false });
  assert.deepEqual(choose('shop', { DATABASE_URL: 'u' }), { name: 'DATABASE_URL', isSet: true });
  const taken = { DATABASE_URL: 'other' };
  assert.deepEqual(choose('rephlo', taken), { name: 'REPHLO_DATABASE_URL', isSet: false });
  assert.equal(choose('my "größe" db', taken).name, 'MY_GROSSE_DB_DATABASE_URL');
  assert.equal(choose('2024', taken).name, 'DB_2024_DATABASE_URL');
  assert.equal(choose('база', taken).name, 'TIDEMARK_DATABASE_URL');
  const both = { ...taken, SHOP_DATABASE_URL: 'third' };
  assert.deepEqual(choose('shop', both), { name: 'SHOP_DATABASE_URL_2', isSet: false });
  assert.deepEqual(choose('shop', { ...taken, SHOP_DATABASE_URL: 'u' }).isSet, true);
  // An empty variable is somebody's too: what is in .env could not win over it.
  assert.equal(choose('shop', { DATABASE_URL: '' }).name, 'SHOP_DATABASE_URL');
});

test('what is written is read back exactly, and nothing else changes', async t => {
  const file = join(await folder(t), '.env');
  await writeFile(file, 'A=1 # one\nB="two\nlines"\nexport C=3');
  await addVariable(file, 'DATABASE_URL', URL_A, new Undo());
  const text = await readFile(file, 'utf8');
  assert.ok(text.startsWith('A=1 # one\nB="two\nlines"\nexport C=3\n'));
  assert.deepEqual({ ...parseEnv(text) }, { A: '1', B: 'two\nlines', C: '3', DATABASE_URL: URL_A });
});

test('any URL is read back exactly, or refused', async t => {
  const file = join(await folder(t), '.env');
  const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter(text => !/[\r\n\0]/.test(text));
  await fc.assert(
    fc.asyncProperty(value, async url => {
      await rm(file, { force: true });
      try {
        await addVariable(file, 'DATABASE_URL', url, new Undo());
      } catch (error) {
        assert.equal((error as { code: string }).code, 'ENV_FILE_ODD');
        return;
      }
      assert.equal(parseEnv(await readFile(file, 'utf8')).DATABASE_URL, url);
    }),
    { numRuns: 200 },
  );
});

test('a file that others could read is closed; taking it back restores content and mode', async t => {
  const file = join(await folder(t), '.env');
  await writeFile(file, 'A=1');
  await chmod(file, 0o644);
  const undo = new Undo();
  assert.deepEqual(await addVariable(file, 'X', 'y', undo), { wasOpen: true });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await undo.run();
  assert.equal(await readFile(file, 'utf8'), 'A=1');
  assert.equal((await stat(file)).mode & 0o777, 0o644);
});

test('a file that was made is removed again', async t => {
  const file = join(await folder(t), '.env');
  const undo = new Undo();
  assert.deepEqual(await addVariable(file, 'X', 'y', undo), { wasOpen: false });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await undo.run();
  await assert.rejects(stat(file));
});

test('a file whose last line swallows what follows is left alone', async t => {
  const file = join(await folder(t), '.env');
  const odd = 'A="never closed\n';
  await writeFile(file, odd);
  const added = addVariable(file, 'X', 'a"b', new Undo()).then(
    async () => parseEnv(await readFile(file, 'utf8')).X,
    error => error.code,
  );
  assert.ok(['a"b', 'ENV_FILE_ODD'].includes((await added) as string));
});
