import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { LocalStorage } from '../storage/local/storage.ts';
import { EpochKeys } from './keys/keys.ts';
import { newKeyText } from './keys/keyText.ts';
import { type KeySlot, parseSlot, plainObject, type Secret, unwrapKey, wrapKey } from './keys/slots.ts';
import { Repository } from './repository.ts';
import { newFolder } from './testing/sample.ts';

const keySecret = () => ({ kind: 'key', text: newKeyText(), where: 'the test' }) as const;
const passphrase = { kind: 'passphrase', text: 'correct horse', where: 'the test' } as const;

async function made(): Promise<{ storage: LocalStorage; secret: Secret; repository: Repository }> {
  const storage = new LocalStorage(newFolder());
  const secret = keySecret();
  return { storage, secret, repository: await Repository.create(storage, secret, new Date()) };
}

test('a repository is opened by its key and by no other', async () => {
  const { storage, secret, repository } = await made();
  const opened = await Repository.open(storage, secret);
  assert.equal(opened.id, repository.id);
  assert.deepEqual(opened.keys.current.master, repository.keys.current.master);
  await assert.rejects(Repository.open(storage, keySecret()), { code: 'KEY_WRONG', kind: 'usage' });
  await assert.rejects(Repository.open(storage, passphrase), { code: 'KEY_WRONG', kind: 'usage' });
});

test('a repository is not made over another, nor among other things', async () => {
  const { storage } = await made();
  await assert.rejects(Repository.create(storage, keySecret(), new Date()), { code: 'REPOSITORY_EXISTS' });
  const other = new LocalStorage(newFolder());
  await other.put('photos/1.jpg', [Buffer.from('x')]);
  await assert.rejects(Repository.create(other, keySecret(), new Date()), { code: 'STORAGE_NOT_EMPTY' });
  await assert.rejects(Repository.open(other, keySecret()), { code: 'REPOSITORY_MISSING' });
});

test('of two that make a repository in one place, one has it, and can open it', async () => {
  const storage = new LocalStorage(newFolder());
  const secrets = [keySecret(), keySecret()];
  const made = await Promise.allSettled(
    secrets.map(secret => Repository.create(storage, secret, new Date())),
  );
  const winners = secrets.filter((_, i) => made[i]!.status === 'fulfilled');
  assert.equal(winners.length, 1);
  await Repository.open(storage, winners[0]!);
});

test('a damaged slot does not keep the others from opening the repository', async () => {
  const { storage, secret, repository } = await made();
  await storage.put('keys/a-damaged.json', [Buffer.from('{"tidemark":"key"')]);
  await storage.put('keys/b-null.json', [Buffer.from('null')]);
  await storage.put('keys/first.json.tmp', [Buffer.from('{')]);
  assert.equal((await Repository.open(storage, secret)).id, repository.id);
  // With another key, it may be the damaged one that it belongs to.
  await assert.rejects(Repository.open(storage, keySecret()), { kind: 'fault' });
});

test('a header that is none is a fault', async () => {
  const { storage, secret } = await made();
  for (const bytes of [
    '',
    'null',
    '[]',
    '{}',
    '{"tidemark":"repository","format":1,"id":"../"}',
    '"x"',
    '7',
  ]) {
    await storage.put('repository.json', [Buffer.from(bytes)]);
    await assert.rejects(Repository.open(storage, secret), { kind: 'fault' }, bytes);
  }
  await storage.put('repository.json', [
    Buffer.from(`{"tidemark":"repository","format":2,"id":"${'0'.repeat(32)}"}`),
  ]);
  await assert.rejects(Repository.open(storage, secret), { code: 'FORMAT_TOO_NEW' });
});

test('a slot that is malformed is refused before any work is done for it', async () => {
  const master = randomBytes(32);
  const id = '0'.repeat(32);
  const slot = await wrapKey(new EpochKeys(master, id, 0), 'first', passphrase);
  assert.deepEqual(await unwrapKey(parseSlot(plainObject(slot), 'it'), id, passphrase), master);
  const malformed: object[] = [
    { ...slot, tidemark: 'repository' },
    { ...slot, kind: 'other' },
    { ...slot, slot: 1 },
    { ...slot, nonce: '' },
    { ...slot, nonce: `${slot.nonce.slice(0, -1)}!` },
    { ...slot, wrapped: slot.wrapped.slice(4) },
    { ...slot, wrapped: undefined },
    { ...slot, kdf: undefined },
    { ...slot, kdf: { ...slot.kdf, salt: 'not base64' } },
  ];
  for (const each of malformed)
    assert.throws(
      () => parseSlot(plainObject(each), 'it'),
      { code: 'KEY_SLOT_DAMAGED' },
      JSON.stringify(each),
    );
  const greedy = [
    { N: 2 ** 21 },
    { N: 2 ** 20, r: 32 },
    { N: 2 ** 17, p: 1000 },
    { N: 1000 },
    { N: 0 },
    { N: -(2 ** 17) },
    { N: '131072' },
    { r: 0 },
    { r: 8.5 },
    { p: -1 },
  ];
  for (const change of greedy) {
    const changed = { ...slot, kdf: { ...slot.kdf, ...change } } as KeySlot;
    const started = performance.now();
    await assert.rejects(
      unwrapKey(changed, id, passphrase),
      { code: 'KEY_SLOT_DAMAGED' },
      JSON.stringify(change),
    );
    assert.ok(performance.now() - started < 200);
  }
});

test('what is forgotten is no snapshot any more', async () => {
  const { repository, storage } = await made();
  assert.deepEqual(await repository.snapshotNames(), []);
  await storage.put('snapshots/20261121-095747000-3f9c2a7b.tmp', [Buffer.from('x')]);
  assert.deepEqual(await repository.snapshotNames(), []);
});
