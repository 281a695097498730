/** Slots that a service's key opens, through the services' own SDKs, against small services on this machine. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addKey } from '../../src/operations/key/add.ts';
import { rotateEpoch } from '../../src/operations/key/epoch.ts';
import { makeKit } from '../../src/operations/key/kit.ts';
import { listKeys } from '../../src/operations/key/list.ts';
import { rotateKey } from '../../src/operations/key/rotate.ts';
import { EpochKeys } from '../../src/repository/keys/keys.ts';
import type { Secret, ServiceKey } from '../../src/repository/keys/secrets/secret.ts';
import { loadKeySdk } from '../../src/repository/keys/secrets/service.ts';
import { openService } from '../../src/repository/keys/secrets/services.ts';
import { type KeySlot, parseSlot, plainObject, unwrapKey, wrapKey } from '../../src/repository/keys/slots.ts';
import { Repository } from '../../src/repository/repository.ts';
import { newFolder } from '../../src/repository/testing/sample.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { formatServiceKey } from '../../src/strategy/kms.ts';
import { FakeAwsKms } from '../support/keyServices/awsKms.ts';
import { FakeKeyVault } from '../support/keyServices/azureKeyVault.ts';
import { FakeGcpKms } from '../support/keyServices/gcpKms.ts';
import { KeySite } from '../support/keySite.ts';

type ServiceSecret = Extract<Secret, { kind: 'service' }>;

let aws: FakeAwsKms;
let gcp: FakeGcpKms;
let azure: FakeKeyVault;
let gcpEnvironment: Record<string, string>;

before(async () => {
  [aws, gcp, azure] = await Promise.all([FakeAwsKms.start(), FakeGcpKms.start(), FakeKeyVault.start()]);
  gcpEnvironment = await gcp.environment(join(newFolder(), 'account.json'));
  // The chain of Azure's SDK reads the process's own variables alone.
  Object.assign(process.env, azure.environment);
});

after(() => Promise.all([aws.close(), gcp.close(), azure.close()]));

const secret = (key: ServiceKey): ServiceSecret => ({ kind: 'service', where: 'the test', ...key });
const awsSecret = (key: string, environment = aws.environment) =>
  secret({ service: 'aws-kms', key, environment });
const gcpSecret = (key: string) => secret({ service: 'gcp-kms', key, environment: gcpEnvironment });
const azureSecret = (key: string) => secret({ service: 'azure-kv', key, environment: {} });

/** One of each service, and another key of the same. */
const EACH: { name: string; make(): [ServiceSecret, ServiceSecret] }[] = [
  { name: 'aws-kms', make: () => [awsSecret(aws.addKey()), awsSecret(aws.addKey())] },
  { name: 'gcp-kms', make: () => [gcpSecret(gcp.addKey('one')), gcpSecret(gcp.addKey('two'))] },
  { name: 'azure-kv', make: () => [azureSecret(azure.addKey('one')), azureSecret(azure.addKey('two'))] },
];

const newKeys = () => new EpochKeys(randomBytes(32), randomBytes(16).toString('hex'), 0);
const reread = (slot: KeySlot) => parseSlot(plainObject(slot), slot.slot);

for (const { name, make } of EACH) {
  test(`${name}: a slot is opened by its own key, in its own place alone`, async () => {
    const [own, other] = make();
    const keys = newKeys();
    const slot = reread(await wrapKey(keys, 'cloud', own));
    assert.equal(slot.kind, name);
    const open = (changed: KeySlot, secret: Secret, id = keys.repositoryId) => unwrapKey(changed, id, secret);
    assert.deepEqual(await open(slot, own), keys.master);
    assert.equal(await open(slot, other), undefined);
    assert.equal(await open(slot, { kind: 'passphrase', text: 'x', where: 'x' }), undefined);
    assert.equal(await open({ ...slot, slot: 'renamed' }, own), undefined);
    assert.equal(await open(slot, own, '0'.repeat(32)), undefined);
    const second = reread(await wrapKey(newKeys(), 'cloud', own));
    const swapped = { ...slot, sealed: second.sealed, key: second.key };
    assert.equal(await open(swapped as KeySlot, own), undefined, 'the sealed key of another repository');
  });

  test(`${name}: what the service gives back opens the slot as the text of a key`, async () => {
    const [own] = make();
    const keys = newKeys();
    const slot = reread(await wrapKey(keys, 'cloud', own));
    const service = await openService(own);
    const to = { repositoryId: keys.repositoryId, slot: 'cloud' };
    const text = await service.unseal(Buffer.from(slot.sealed!, 'base64'), slot.key!, to);
    assert.match(text!, /^tidemark-key-1:/);
    const byHand: Secret = { kind: 'key', text: text!, where: 'by hand' };
    assert.deepEqual(await unwrapKey(slot, keys.repositoryId, byHand), keys.master);
  });

  test(`${name}: a repository is made and opened`, async () => {
    const [own, other] = make();
    const storage = new LocalStorage(newFolder());
    const { id } = await Repository.create(storage, own, new Date());
    assert.equal((await Repository.open(storage, own)).id, id);
    await assert.rejects(Repository.open(storage, other), { code: 'KEY_WRONG', kind: 'usage' });
  });
}

test('the services are told which repository and slot', async () => {
  const keys = newKeys();
  await wrapKey(keys, 'cloud', awsSecret(aws.addKey()));
  const { context } = aws.asked.at(-1)!;
  assert.deepEqual(context, { 'tidemark-repository': keys.repositoryId, 'tidemark-slot': 'cloud' });
  await wrapKey(keys, 'cloud', gcpSecret(gcp.addKey('three')));
  assert.equal(gcp.asked.at(-1)!.aad, `tidemark/1 key ${keys.repositoryId} cloud`);
});

test('an alias, and a new version of a key', async () => {
  const keys = newKeys();
  const arn = aws.addKey();
  const byAlias = awsSecret(aws.addAlias('backups', arn));
  const slot = await wrapKey(keys, 'cloud', byAlias);
  assert.equal(slot.key, arn);
  for (const own of [byAlias, awsSecret(arn)])
    assert.deepEqual(await unwrapKey(slot, keys.repositoryId, own), keys.master);

  const url = azure.addKey('turning');
  const before = await wrapKey(keys, 'cloud', azureSecret(url));
  azure.addKey('turning');
  const after = await wrapKey(keys, 'cloud', azureSecret(url));
  assert.notEqual(before.key, after.key);
  for (const slot of [before, after])
    assert.deepEqual(await unwrapKey(slot, keys.repositoryId, azureSecret(url)), keys.master);
});

for (const { name, make } of EACH) {
  test(`${name}: by commands: added, rotated, carried into an epoch`, async t => {
    const [own] = make();
    const site = await KeySite.make();
    t.after(() => site.remove());
    const environment = { ...own.environment } as Record<string, string>;
    const request = async () => ({ strategy: await site.strategy(environment), repository: 'main' });
    const kms = formatServiceKey({ service: own.service, key: own.key });
    const added = await addKey({ ...(await request()), owner: { kms }, name: null });
    assert.deepEqual([added.slot, added.kind], [name, name]);
    assert.equal((await addKey({ ...(await request()), owner: { kms }, name: null })).added, false);
    const rotated = await rotateKey({ ...(await request()), slot: name, owner: {} });
    assert.deepEqual([rotated.slot, rotated.removed], [`${name}-2`, [name]]);
    const confirm = async () => true;
    const { slots } = await rotateEpoch({ ...(await request()), with: [], retire: [], confirm });
    assert.deepEqual(slots.map(each => each.replaces).sort(), [`${name}-2`, 'first'].sort());
    assert.equal((await site.open(own)).keys.newest, 1);
    await site.opensWith(`{ kms: "${kms}" }`);
    const listed = await listKeys((await request()).strategy, 'main');
    assert.deepEqual([listed.opensWith, listed.trouble], [`${name}-3`, null]);
    const { page } = await makeKit({ ...(await request()), withKey: false, version: '1' });
    assert.ok(page.includes(`      kms: "${kms}"`), page.join('\n'));
    assert.ok(page.length <= 66);
  });
}

test('an SDK that is not installed', async () => {
  const missing = 'no-such-package-anywhere';
  await assert.rejects(
    loadKeySdk(() => import(missing), missing, 'keys in nowhere'),
    {
      code: 'KEY_SDK_MISSING',
      hint: /npm install no-such-package-anywhere/,
    },
  );
});

async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(work, (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, code, error.stack);
    assert.match(error.message, message);
    assert.notEqual(error.hint, '');
    assert.ok(!JSON.stringify(error).includes(aws.secretAccessKey));
    return true;
  });
}

test('a permission that is missing, a key that is disabled or not there, credentials that are wrong', async () => {
  const keys = newKeys();
  const own = {
    aws: awsSecret(aws.addKey()),
    gcp: gcpSecret(gcp.addKey('four')),
    azure: azureSecret(azure.addKey('four')),
  };
  const slots = {
    aws: await wrapKey(keys, 'a', own.aws),
    gcp: await wrapKey(keys, 'g', own.gcp),
    azure: await wrapKey(keys, 'z', own.azure),
  };
  const open = (which: keyof typeof own) => unwrapKey(slots[which], keys.repositoryId, own[which]);
  aws.denied.add('kms:Decrypt');
  gcp.denied.add('decrypt');
  azure.denied.add('unwrapkey');
  await refused(open('aws'), 'KEY_SERVICE_DENIED', /AWS KMS denies kms:Decrypt on arn:aws/);
  await refused(open('gcp'), 'KEY_SERVICE_DENIED', /Google Cloud KMS denies .*useToDecrypt/);
  await refused(open('azure'), 'KEY_SERVICE_DENIED', /Azure Key Vault denies keys unwrapKey/);
  for (const each of [aws.denied, gcp.denied, azure.denied]) each.clear();
  aws.disabled.add(own.aws.key);
  gcp.disabled.add(own.gcp.key);
  azure.disabled.add('four');
  for (const which of ['aws', 'gcp', 'azure'] as const)
    await refused(open(which), 'KEY_SERVICE_DISABLED', /does not use .* now/);
  aws.disabled.clear();
  gcp.disabled.clear();
  azure.disabled.clear();

  const missing = own.aws.key.replace(/key\/.*/, 'key/none');
  await refused(wrapKey(keys, 'a', awsSecret(missing)), 'KEY_SERVICE_UNKNOWN', /has no key/);
  await refused(wrapKey(keys, 'g', gcpSecret(`${own.gcp.key}x`)), 'KEY_SERVICE_UNKNOWN', /has no key/);
  await refused(wrapKey(keys, 'z', azureSecret(`${own.azure.key}x`)), 'KEY_SERVICE_UNKNOWN', /has no key/);

  const wrong = { ...aws.environment, AWS_SECRET_ACCESS_KEY: 'nonsense' };
  await refused(
    wrapKey(keys, 'a', awsSecret(own.aws.key, wrong)),
    'KEY_SERVICE_CREDENTIALS',
    /no credentials/,
  );
});

test('what a proxy changes on the way is noticed', async () => {
  const keys = newKeys();
  const own = gcpSecret(gcp.addKey('five'));
  const slot = await wrapKey(keys, 'cloud', own);
  gcp.garble = true;
  await refused(unwrapKey(slot, keys.repositoryId, own), 'KEY_SERVICE_GARBLED', /changed on the way/);
  gcp.garble = true;
  await refused(wrapKey(keys, 'cloud', own), 'KEY_SERVICE_GARBLED', /changed on the way/);
});
