/** Slots and epochs, by the operations behind `tidemark key`, on a repository in a folder. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { mock, type TestContext, test } from 'node:test';
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { TidemarkError } from '../../src/base/errors.ts';
import { addKey } from '../../src/operations/key/add.ts';
import { rotateEpoch } from '../../src/operations/key/epoch.ts';
import { makeKit, writeKit } from '../../src/operations/key/kit.ts';
import { listKeys } from '../../src/operations/key/list.ts';
import type { OwnerOptions } from '../../src/operations/key/owner.ts';
import { removeKey } from '../../src/operations/key/remove.ts';
import { rotateKey } from '../../src/operations/key/rotate.ts';
import { checkKeyObject, checkKeys } from '../../src/repository/keys/checkKeys.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { unsealAge } from '../../src/repository/keys/secrets/age.ts';
import { parseSlot, plainObject, type Secret } from '../../src/repository/keys/slots.ts';
import { Repository } from '../../src/repository/repository.ts';
import { localKind } from '../../src/storage/local/storage.ts';
import type { Storage, StoredObject } from '../../src/storage/storage.ts';
import { type Call, WrappedStorage } from '../../src/storage/wrap/wrapped.ts';
import { ClockedStorage } from '../support/clockedStorage.ts';
import { KeySite } from '../support/keySite.ts';
import { readBack, smallBackup } from '../support/smallBackup.ts';

const WORDS = 'five words are long enough';
const passphrase = (text = WORDS): Secret => ({ kind: 'passphrase', text, where: 'the test' });
const keySecret = (text: string): Secret => ({ kind: 'key', text, where: 'the test' });
const ageSecret = (text: string): Secret => ({ kind: 'age', text, where: 'the test' });

async function made(t: TestContext, key?: string, secret?: Secret): Promise<KeySite> {
  const site = await KeySite.make(key, secret);
  t.after(() => site.remove());
  return site;
}

const add = async (site: KeySite, owner: OwnerOptions, environment = {}) =>
  addKey({ strategy: await site.strategy(environment), repository: 'main', owner, name: null });

const epoch = async (site: KeySite, more: { with?: string[]; retire?: string[] } = {}, environment = {}) =>
  rotateEpoch({
    strategy: await site.strategy(environment),
    repository: 'main',
    with: more.with ?? [],
    retire: more.retire ?? [],
    confirm: async () => true,
  });

const states = async (site: KeySite) => {
  const { slots } = await listKeys(await site.strategy(), 'main');
  return slots.map(each => `${each.slot} ${each.epoch} ${each.state}`);
};

test('slots of every kind that needs no service open the repository, and no other secret does', async t => {
  const site = await made(t);
  const environment = { WORDS, KEY: newKeyText() };
  const [x25519, hybrid, other] = await Promise.all([
    generateX25519Identity(),
    generateHybridIdentity(),
    generateX25519Identity(),
  ]);
  const recipients = await Promise.all([x25519, hybrid].map(identityToRecipient));
  assert.deepEqual(await add(site, { passphraseEnv: 'WORDS' }, environment), {
    ...{ repository: 'main', slot: 'passphrase', kind: 'passphrase', added: true, keyFile: null },
  });
  await add(site, { keyEnv: 'KEY' }, environment);
  const file = await add(site, { keyFile: site.path('second.key') });
  assert.deepEqual([file.slot, file.keyFile], ['key-2', site.path('second.key')]);
  assert.equal((await stat(site.path('second.key'))).mode & 0o777, 0o600);
  await add(site, { age: recipients });
  const { id } = await site.open();
  for (const secret of [
    passphrase(),
    keySecret(environment.KEY),
    await site.keyFile('second.key'),
    ageSecret(x25519),
    ageSecret(`# created: now\n\n${other}\n${hybrid}\n`),
  ]) {
    assert.equal((await site.open(secret)).id, id, secret.kind);
  }
  for (const secret of [passphrase('another one'), keySecret(newKeyText()), ageSecret(other)])
    await assert.rejects(site.open(secret), { code: 'KEY_WRONG', kind: 'usage' });
  await assert.rejects(site.open(ageSecret('nonsense')), { code: 'AGE_IDENTITY', kind: 'usage' });
  // What is there already is not added again.
  const again = await add(site, { passphraseEnv: 'WORDS' }, environment);
  assert.deepEqual([again.slot, again.added], ['passphrase', false]);
});

test('what age decrypts is a key that opens the slot', async t => {
  const site = await made(t);
  const identity = await generateX25519Identity();
  await add(site, { age: [await identityToRecipient(identity)] });
  const slot = JSON.parse(await readFile(site.path('repository/keys/age.json'), 'utf8'));
  assert.match(slot.sealed, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  const text = await unsealAge(slot.sealed, { text: identity, where: 'the test' });
  assert.match(text!, /^tidemark-key-1:/);
  await site.open(keySecret(text!));
});

test('what is no owner is refused before anything is written', async t => {
  const site = await made(t);
  const identity = await generateX25519Identity();
  const refused: [OwnerOptions, string][] = [
    [{}, 'KEY_OPTION'],
    [{ keyEnv: 'A', passphraseEnv: 'B' }, 'KEY_OPTION'],
    [{ keyEnv: 'NONE' }, 'KEY_MISSING'],
    [{ passphraseEnv: 'SHORT' }, 'PASSPHRASE_SHORT'],
    [{ age: ['nonsense'] }, 'AGE_RECIPIENT'],
    [{ age: ['ssh-ed25519 AAAA'] }, 'AGE_RECIPIENT'],
    [{ age: [identity] }, 'AGE_RECIPIENT'],
    [{ kms: 'nonsense' }, 'KEY_URI'],
    [{ keyFile: site.path('repository/inside.key') }, 'KEY_IN_STORAGE'],
  ];
  for (const [owner, code] of refused) {
    await assert.rejects(add(site, owner, { SHORT: 'short' }), (error: Error & { code: string }) => {
      assert.equal(error.code, code, error.stack);
      assert.ok(!`${error.stack}${String(error.cause)}`.includes(identity), 'an identity is secret');
      return true;
    });
  }
  assert.deepEqual(await site.objects('keys'), ['first.json']);
  assert.deepEqual(await site.objects('leases/keys'), []);
});

test('a slot is removed, but never the last', async t => {
  const site = await made(t);
  const remove = async (slot: string, yes = true) => {
    let warnings: string[] = [];
    const request = { strategy: await site.strategy(), repository: 'main', slot };
    await removeKey({
      ...request,
      async confirm(planned) {
        warnings = planned.warnings;
        return yes;
      },
    });
    return warnings;
  };
  await assert.rejects(remove('first'), { code: 'LAST_SLOT' });
  await assert.rejects(remove('nonsense'), { code: 'SLOT_UNKNOWN' });
  await add(site, { keyFile: site.path('second.key') });
  await assert.rejects(remove('first', false), { code: 'NOT_CONFIRMED' });
  assert.deepEqual(await site.objects('keys'), ['first.json', 'key.json']);
  // A slot that is damaged, or of no epoch, is no way in.
  await writeFile(site.path('repository/keys/broken.json'), '{}');
  assert.match((await remove('first')).join(), /nothing will run until key says one of key\b/);
  await assert.rejects(site.open(), { kind: 'fault' }, 'it may be the damaged slot that this key belongs to');
  await site.opensWith('{ file: ./second.key }');
  await assert.rejects(remove('key'), { code: 'LAST_SLOT' });
  await remove('broken');
  assert.deepEqual(await states(site), ['key 0 current']);
});

test('a key file gets a new key in its place', async t => {
  const site = await made(t);
  const old = await site.keyFile();
  const manifest = await smallBackup(await site.open(), { a: 'a', b: 'b' });
  const rotated = await rotateKey({
    strategy: await site.strategy(),
    repository: 'main',
    slot: null,
    owner: {},
  });
  assert.deepEqual(rotated, {
    ...{
      repository: 'main',
      slot: 'first-2',
      removed: ['first'],
      keyFile: site.path('main.key'),
      next: null,
    },
  });
  assert.ok(!existsSync(site.path('main.key.new')));
  assert.equal((await stat(site.path('main.key'))).mode & 0o777, 0o600);
  await assert.rejects(site.open(old), { code: 'KEY_WRONG' });
  assert.deepEqual(await readBack(await site.open(), manifest), { a: 'a', b: 'b' });
});

test('a secret that is not in a file is rotated in two steps, and the old one goes last', async t => {
  const site = await made(t, '{ passphrase_env: OLD }', passphrase());
  const environment = { OLD: WORDS, NEW: 'five other words for later' };
  const rotate = async (owner: OwnerOptions) =>
    rotateKey({ strategy: await site.strategy(environment), repository: 'main', slot: null, owner });
  await assert.rejects(rotate({}), { code: 'KEY_OPTION' });
  const first = await rotate({ passphraseEnv: 'NEW' });
  assert.deepEqual([first.slot, first.removed], ['first-2', []]);
  assert.match(first.next!, /run: tidemark key rotate main/);
  for (const text of Object.values(environment)) await site.open(passphrase(text));
  await assert.rejects(rotate({ passphraseEnv: 'OLD' }), { code: 'KEY_SAME' });
  await site.opensWith('{ passphrase_env: NEW }');
  const second = await rotate({});
  assert.deepEqual([second.slot, second.removed, second.next], [null, ['first'], null]);
  await site.open(passphrase(environment.NEW));
  await assert.rejects(site.open(passphrase()), { code: 'KEY_WRONG' });
});

test('a slot for recipients is made anew for the same, or for others', async t => {
  const site = await made(t);
  const [a, b] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
  await add(site, { age: [await identityToRecipient(a)] });
  const rotate = async (owner: OwnerOptions) =>
    rotateKey({ strategy: await site.strategy(), repository: 'main', slot: 'age', owner }).then(
      each => each.slot,
    );
  assert.equal(await rotate({}), 'age-2');
  await site.open(ageSecret(a));
  const owner = { age: [await identityToRecipient(b)] };
  const last = await rotateKey({ strategy: await site.strategy(), repository: 'main', slot: 'age-2', owner });
  assert.deepEqual([last.slot, last.removed], ['age-3', ['age-2']]);
  await site.open(ageSecret(b));
  await assert.rejects(site.open(ageSecret(a)), { code: 'KEY_WRONG' });
});

test('an epoch: old data stays readable, new data is not for who is retired', async t => {
  const site = await made(t);
  const identity = await generateX25519Identity();
  await add(site, { age: [await identityToRecipient(identity)] });
  await add(site, { passphraseEnv: 'WORDS' }, { WORDS });
  const before = await smallBackup(await site.open(), { a: 'a', b: 'b' });
  await assert.rejects(epoch(site), {
    code: 'KEYS_LEFT_BEHIND',
    message: /passphrase/,
    hint: /--retire passphrase/,
  });
  assert.deepEqual(await site.objects('epochs'), []);
  const begun = await epoch(site, { retire: ['passphrase'] });
  assert.equal(begun.epoch, 1);
  assert.deepEqual(await states(site), ['age-2 1 current', 'first-2 1 current', 'passphrase 0 retired']);

  const after = await smallBackup(await site.open(), { a: 'a', b: 'b' });
  assert.equal(after.base, null, 'chunks of another epoch are others');
  assert.deepEqual(after.epochs, { [after.snapshot]: 1 });
  const next = await smallBackup(await site.open(), { a: 'a', b: 'c' });
  assert.equal(next.base, after.snapshot);
  for (const secret of [undefined, ageSecret(identity)]) {
    const repository = await site.open(secret);
    assert.equal((await repository.manifests()).length, 3);
    assert.deepEqual(await readBack(repository, await repository.manifest(before.snapshot)), {
      a: 'a',
      b: 'b',
    });
    assert.deepEqual(await readBack(repository, await repository.manifest(next.snapshot)), {
      a: 'a',
      b: 'c',
    });
  }
  const retired = await site.open(passphrase());
  assert.deepEqual(await readBack(retired, await retired.manifest(before.snapshot)), { a: 'a', b: 'b' });
  await assert.rejects(retired.manifest(after.snapshot), { code: 'KEY_RETIRED' });
  await assert.rejects(smallBackup(retired, { a: 'a' }), {
    code: 'KEY_RETIRED',
    message: /opens epoch 0 .* in epoch 1/,
  });
  await assert.rejects(retired.manifests(), { code: 'KEY_RETIRED' });
  const newer: string[] = [];
  const read = retired.read(await retired.snapshotNames(), { damaged: name => void newer.push(name) });
  const readable = await Array.fromAsync(read, each => each.snapshot);
  assert.deepEqual(readable, [before.snapshot]);
  assert.deepEqual(newer.sort(), [after.snapshot, next.snapshot].sort());
});

test('epoch after epoch, with secrets at hand', async t => {
  const site = await made(t);
  await add(site, { passphraseEnv: 'WORDS' }, { WORDS });
  const manifests = [];
  for (let n = 0; n < 4; n++) {
    if (n > 0) await epoch(site, { with: ['passphrase-env=WORDS'] }, { WORDS });
    manifests.push(await smallBackup(await site.open(passphrase()), { a: `a${n}` }));
  }
  assert.deepEqual(await site.objects('keys'), ['first-4.json', 'passphrase-4.json'], 'no name returns');
  for (const secret of [undefined, passphrase()]) {
    const repository = await site.open(secret);
    assert.equal(repository.keys.newest, 3);
    for (const [n, { snapshot }] of manifests.entries())
      assert.deepEqual(await readBack(repository, await repository.manifest(snapshot)), { a: `a${n}` });
  }
});

test('a backup that began before the epoch did ends well', async t => {
  const site = await made(t);
  await smallBackup(await site.open(), { a: 'a' });
  const running = await site.open();
  const manifest = await smallBackup(
    running,
    { a: 'a', b: 'b' },
    { stored: async () => void (await epoch(site)) },
  );
  assert.equal(manifest.epochs, undefined);
  const repository = await site.open();
  assert.equal(repository.keys.newest, 1);
  assert.deepEqual(await readBack(repository, await repository.manifest(manifest.snapshot)), {
    a: 'a',
    b: 'b',
  });
  const later = await smallBackup(repository, { a: 'a', b: 'b' });
  assert.equal(later.base, null);
  // Who has it open since before the epoch sees that something began, and doesn't take it for damage.
  await assert.rejects(running.manifest(later.snapshot), { code: 'EPOCH_UNKNOWN' });
});

test('a repository opens while an epoch begins', async t => {
  const site = await made(t);
  const beginning = new BetweenLooks(await site.bare(), async () => void (await epoch(site)));
  const repository = await Repository.open(beginning, await site.keyFile());
  assert.equal(repository.keys.newest, 1);
});

/** Lets something happen after epochs were listed for the first time. */
class BetweenLooks extends WrappedStorage {
  readonly #happens: () => Promise<void>;
  #looked = false;

  constructor(inner: Storage, happens: () => Promise<void>) {
    super(inner);
    this.#happens = happens;
  }

  protected around<T>(_call: Call, run: () => Promise<T>): Promise<T> {
    return run();
  }

  protected override async *aroundList({ name }: Call, run: () => AsyncIterable<StoredObject>) {
    yield* run();
    if (!name.startsWith('epochs/') || this.#looked) return;
    this.#looked = true;
    await this.#happens();
  }
}

test('who owns the storage does not get into the next epoch', async t => {
  const site = await made(t);
  const [friend, thief] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
  await add(site, { age: [await identityToRecipient(friend)] });
  const file = site.path('repository/keys/age.json');
  const slot = parseSlot(await readFile(file), 'age');
  const forged = { ...slot, recipients: [await identityToRecipient(thief)] };
  await writeFile(file, plainObject(forged));
  assert.deepEqual(await states(site), ['age 0 damaged', 'first 0 current']);
  await writeFile(
    site.path('repository/keys/new.json'),
    plainObject({ ...forged, slot: 'new', mac: undefined }),
  );
  await assert.rejects(epoch(site), { code: 'KEYS_LEFT_BEHIND', message: /: age, new$/ });
  const begun = await epoch(site, { retire: ['age', 'new'] });
  assert.deepEqual(begun.slots, [{ slot: 'first-2', replaces: 'first' }]);
});

/** With slots of the kinds key, age and passphrase, of an epoch that has begun. */
async function ofThreeKinds(t: TestContext): Promise<{ site: KeySite; identity: string }> {
  const site = await made(t);
  const identity = await generateX25519Identity();
  await add(site, { age: [await identityToRecipient(identity)] });
  await add(site, { passphraseEnv: 'WORDS' }, { WORDS });
  await epoch(site, { with: ['passphrase-env=WORDS'] }, { WORDS });
  return { site, identity };
}

test('a slot of any kind that is damaged is found, and hurts no other', async t => {
  const { site, identity } = await ofThreeKinds(t);
  for (const file of await site.objects('keys')) {
    const object = site.path(`repository/keys/${file}`);
    const whole = await readFile(object);
    const flipped = Buffer.from(whole);
    flipped[whole.indexOf('"wrapped": "') + 12]! ^= 1;
    await writeFile(object, flipped);
    const other = file.startsWith('first') ? ageSecret(identity) : undefined;
    const { faults } = await checkKeys(await site.open(other));
    const found = faults.map(each => each.object);
    assert.deepEqual(found, [`keys/${file}`]);
    await writeFile(object, whole);
  }
});

test('no bit of a slot or of the object of an epoch can be another without being noticed', async t => {
  const { site } = await ofThreeKinds(t);
  const { keys } = await site.open();
  const objects = ['keys', 'epochs'].map(async folder =>
    (await site.objects(folder)).map(file => `${folder}/${file}`),
  );
  for (const object of (await Promise.all(objects)).flat()) {
    const whole = await readFile(site.path(`repository/${object}`));
    checkKeyObject(object, whole, keys);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(
        () => checkKeyObject(object, flipped, keys),
        { kind: 'fault' },
        `${object}:\n${flipped.toString('latin1')}`,
      );
    }
  }
});

test('a slot of another repository, or of another name, opens nothing', async t => {
  const [site, other] = [await made(t), await made(t)];
  const identity = await generateX25519Identity();
  for (const each of [site, other]) await add(each, { age: [await identityToRecipient(identity)] });
  const slot = await readFile(other.path('repository/keys/age.json'));
  await writeFile(site.path('repository/keys/age.json'), slot);
  await assert.rejects(site.open(ageSecret(identity)), { code: 'KEY_WRONG' });
  const renamed = { ...JSON.parse(slot.toString()), slot: 'anna' };
  await writeFile(other.path('repository/keys/anna.json'), plainObject(renamed));
  await other.open(ageSecret(identity)); // by the slot that is whole
  await writeFile(other.path('repository/keys/age.json'), '{}');
  await assert.rejects(other.open(ageSecret(identity)), { kind: 'fault' });
});

test('a slot that is locked stays, and the error says what was done', async t => {
  const site = await made(t);
  const open = localKind.open;
  mock.method(
    localKind,
    'open',
    async (spec: Parameters<typeof open>[0]) => new LockedKeys(await open(spec)),
  );
  t.after(() => mock.restoreAll());
  await assert.rejects(epoch(site), {
    code: 'OBJECT_LOCKED',
    message: /^epoch 1 has begun, but its slot first of before could not be removed: .*locked until/,
    hint: /wait for the lock to end[\s\S]*key remove/,
  });
  assert.deepEqual(await states(site), ['first 0 retired', 'first-2 1 current']);
  assert.equal((await site.open()).keys.newest, 1);
  mock.restoreAll();
  const rotated = await rotateKey({
    strategy: await site.strategy(),
    repository: 'main',
    slot: null,
    owner: {},
  });
  assert.deepEqual(rotated.removed, ['first'], 'the next change of keys finishes it');
});

test('who slept so long at the question that others may have changed the keys changes none', async t => {
  const site = await made(t);
  await add(site, { age: [await identityToRecipient(await generateX25519Identity())] });
  const clock = new ClockedStorage(await site.bare(), new Date('2026-11-21T02:00:00Z'));
  mock.method(localKind, 'open', async () => clock);
  t.after(() => mock.restoreAll());
  const slots = await states(site);
  const request = { strategy: await site.strategy(), repository: 'main' };
  const confirm = async () => {
    clock.pass(31 * 60 * 1000);
    return true;
  };
  const lost = { code: 'LEASE_LOST', hint: /run the command again/ };
  await assert.rejects(removeKey({ ...request, slot: 'age', confirm }), lost);
  await assert.rejects(rotateEpoch({ ...request, with: [], retire: [], confirm }), lost);
  assert.deepEqual(await states(site), slots);
});

class LockedKeys extends WrappedStorage {
  protected around<T>({ method, name }: Call, run: () => Promise<T>): Promise<T> {
    if (method !== 'remove' || !name.startsWith('keys/')) return run();
    throw new TidemarkError('OBJECT_LOCKED', `${name} is locked until 2027`, 'wait for the lock to end');
  }
}

test('a repository that is made with age identities, for all of them', async t => {
  const [a, b] = await Promise.all([generateX25519Identity(), generateHybridIdentity()]);
  const site = await made(t, '{ age_identity_env: IDENTITIES }', ageSecret(`${a}\n${b}\n`));
  for (const each of [a, b]) await site.open(ageSecret(each));
  const { opensWith, slots } = await listKeys(await site.strategy({ IDENTITIES: b }), 'main');
  assert.deepEqual([opensWith, slots[0]!.for.split(', ').length], ['first', 2]);
  const none = await listKeys(await site.strategy({ IDENTITIES: await generateX25519Identity() }), 'main');
  assert.deepEqual([none.opensWith, none.trouble?.code, none.slots.length], [null, 'KEY_WRONG', 1]);
});

test('an epoch whose object is damaged is read, and not written', async t => {
  const site = await made(t);
  const before = await smallBackup(await site.open(), { a: 'a' });
  await epoch(site);
  const after = await smallBackup(await site.open(), { a: 'b' });
  const object = site.path('repository/epochs/1.json');
  const whole = await readFile(object);
  const flipped = Buffer.from(whole);
  flipped[whole.indexOf('"older": "') + 20]! ^= 1;
  for (const bytes of [Buffer.from('{}'), flipped]) {
    await writeFile(object, bytes);
    const repository = await site.open();
    for (const { snapshot } of [before, after])
      await readBack(repository, await repository.manifest(snapshot));
    await assert.rejects(smallBackup(repository, { a: 'c' }), { code: 'EPOCH_DAMAGED', kind: 'fault' });
  }
  await writeFile(object, whole);
  await smallBackup(await site.open(), { a: 'c' });
});

test('the kit: one page, and the key on it only where it is asked for', async t => {
  const site = await made(t);
  await add(site, { passphraseEnv: 'WORDS' }, { WORDS });
  const key = (await readFile(site.path('main.key'), 'utf8')).trim();
  const kit = async (withKey: boolean) =>
    makeKit({ strategy: await site.strategy(), repository: 'main', withKey, version: '1.2.3' });
  const squeezed = (page: string[]) => page.join('').replace(/\s/g, '');
  const [bare, full] = [await kit(false), await kit(true)];
  assert.ok(!squeezed(bare.page).includes(key.slice(15, 67)));
  assert.ok(squeezed(full.page).includes(key));
  for (const { page } of [bare, full]) {
    assert.ok(page.length <= 66, `${page.length} lines`);
    for (const line of page) assert.ok([...line].length <= 84, line);
    assert.ok(page.some(line => line.includes(bare.id)));
    assert.ok(page.some(line => line.includes(site.path('repository'))));
    assert.ok(page.some(line => /passphrase \(passphrase\)/.test(line)));
  }
  await writeKit(full.page, site.path('kit.txt'), true);
  assert.equal((await stat(site.path('kit.txt'))).mode & 0o777, 0o600);
  await assert.rejects(writeKit(full.page, site.path('kit.txt'), true), { code: 'KIT_EXISTS' });
  await site.opensWith('{ passphrase_env: WORDS }');
  const words = { strategy: await site.strategy({ WORDS }), repository: 'main', version: '1' };
  await makeKit({ ...words, withKey: false });
  await assert.rejects(makeKit({ ...words, withKey: true }), { code: 'KIT_WITHOUT_KEY' });
});
