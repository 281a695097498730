import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { usageError } from '../../base/errors.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { RepositoryKeys } from '../keys/keys.ts';
import { newSessionId } from '../manifest.ts';
import { newFolder } from '../testing/sample.ts';
import { FAILS, RecordFolder, type RecordRule } from './recordFolder.ts';

interface Note {
  format: 1;
  text: string;
}

const MASTERS = [randomBytes(32), randomBytes(32)];
const ID = randomBytes(16).toString('hex');
const STRICT: RecordRule<never> = { damaged: FAILS, tooNew: FAILS, newerKey: FAILS };

const strict = new RecordFolder<Note>('checks/', STRICT);
const lenient = new RecordFolder<Note, string>('checks/', {
  damaged: 'damaged',
  tooNew: 'too new',
  newerKey: 'newer key',
});

function site() {
  return { storage: new LocalStorage(newFolder()), keys: new RepositoryKeys(MASTERS.slice(0, 1), ID) };
}

const newId = () => newSessionId(new Date());

test('a record is written, listed once and in order, read and removed', async () => {
  const { storage, keys } = site();
  const ids = [newId(), newId()].sort();
  for (const id of ids.toReversed()) await strict.write({ storage, keys }, id, { text: id });
  await storage.put('checks/other', [Buffer.from('none of ours')]);
  const listed = await strict.list(storage);
  assert.deepEqual(
    listed.map(({ id, name }) => [id, name]),
    ids.map(id => [id, `checks/${id}`]),
  );
  assert.deepEqual(await strict.read({ storage, keys }, ids[0]!), { format: 1, text: ids[0]! });
  await strict.remove(storage, ids[0]!);
  await strict.remove(storage, ids[0]!);
  assert.equal((await strict.list(storage)).length, 1);
});

test('one that is gone is undefined, whatever the rule', async () => {
  assert.equal(await strict.read(site(), newId()), undefined);
  assert.equal(await lenient.read(site(), newId()), undefined);
});

test('one that is there already stays, where that was asked for', async () => {
  const { storage, keys } = site();
  const id = newId();
  await strict.write({ storage, keys }, id, { text: 'first' }, { ifAbsent: true });
  const again = strict.write({ storage, keys }, id, { text: 'second' }, { ifAbsent: true });
  await assert.rejects(again, { code: 'OBJECT_EXISTS' });
  assert.deepEqual(await strict.read({ storage, keys }, id), { format: 1, text: 'first' });
});

test('one that is damaged, or lies where another was, is what the rule says', async () => {
  const { storage, keys } = site();
  const [id, other, cut] = [newId(), newId(), newId()];
  await strict.write({ storage, keys }, other, { text: 'a note' });
  const sealed = await storage.get(`checks/${other}`);
  await storage.put(`checks/${id}`, [sealed]);
  await storage.put(`checks/${cut}`, [sealed.subarray(0, 5)]);
  for (const each of [id, cut]) {
    await assert.rejects(strict.read({ storage, keys }, each), { code: 'SEAL_BROKEN' });
    assert.equal(await lenient.read({ storage, keys }, each), 'damaged');
  }
});

test('one of a later version is FORMAT_TOO_NEW, unless the rule has something else to say', async () => {
  const { storage, keys } = site();
  const id = newId();
  await storage.put(`checks/${id}`, [keys.seal(`checks/${id}`, { format: 2, texts: [] })]);
  await assert.rejects(strict.read({ storage, keys }, id), { code: 'FORMAT_TOO_NEW' });
  assert.equal(await lenient.read({ storage, keys }, id), 'too new');
});

test('one under a newer key is what the rule says to a retired key, and asks the others to run again', async () => {
  const { storage, keys } = site();
  const id = newId();
  await strict.write({ storage, keys: new RepositoryKeys(MASTERS, ID) }, id, { text: 'a note' });
  const barred = usageError('KEY_RETIRED', 'the key was retired', 'use a newer one');
  const retired = { storage, keys: new RepositoryKeys(MASTERS.slice(0, 1), ID, barred) };
  await assert.rejects(strict.read(retired, id), { code: 'KEY_RETIRED' });
  assert.equal(await lenient.read(retired, id), 'newer key');
  for (const folder of [strict, lenient])
    await assert.rejects(folder.read({ storage, keys }, id), { code: 'EPOCH_UNKNOWN' });
});

test('what the storage can’t do now is thrown, whatever the rule', async () => {
  const { keys } = site();
  const trouble = Object.assign(new Error('away'), { code: 'ECONNRESET' });
  const storage = new LocalStorage(newFolder());
  storage.get = () => Promise.reject(trouble);
  await assert.rejects(lenient.read({ storage, keys }, newId()), trouble);
});

test('what stands in the place of a record ends the listing, unless the rule has it as damage', async () => {
  const { storage, keys } = site();
  const id = newId();
  mkdirSync(join(storage.place, 'checks'), { recursive: true });
  symlinkSync('/nowhere', join(storage.place, 'checks', id));
  await assert.rejects(strict.list(storage), { code: 'OBJECT_FOREIGN' });
  const named = new RecordFolder<Note, string>('checks/', {
    ...{ damaged: 'damaged', tooNew: 'too new', newerKey: 'newer key', foreignIsDamage: true },
  });
  assert.deepEqual(
    (await named.list(storage)).map(each => each.id),
    [id],
  );
  assert.equal(await named.read({ storage, keys }, id), 'damaged');
});
