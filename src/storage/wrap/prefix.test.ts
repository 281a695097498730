import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LocalStorage } from '../local/storage.ts';
import { storageContract } from '../storage.contract.ts';
import { PrefixedStorage } from './prefix.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-prefix-'));
after(() => rmSync(folder, { recursive: true, force: true }));

storageContract(
  'a part of a folder',
  async place => new PrefixedStorage(new LocalStorage(folder), `parts/${place}/`),
);

test('a part and the whole see each other’s objects under their own names', async () => {
  const whole = new LocalStorage(join(folder, 'whole'));
  const part = new PrefixedStorage(whole, 'a/b/');
  await part.put('c/1', [Buffer.from('x')]);
  await whole.put('a/bc', [Buffer.from('y')]);
  assert.equal((await whole.get('a/b/c/1')).toString(), 'x');
  const names = async (storage: LocalStorage | PrefixedStorage) =>
    (await Array.fromAsync(storage.list(''))).map(object => object.name).sort();
  assert.deepEqual(await names(part), ['c/1']);
  assert.deepEqual(await names(whole), ['a/b/c/1', 'a/bc']);
  assert.equal((await part.stat('c/1'))?.name, 'c/1');
  assert.equal(part.place, `${whole.place}/a/b`);
});
