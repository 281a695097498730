import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { azureSpec, clientOf, sasToken } from '../../../tests/support/azureContainer.ts';
import { azurite } from '../../../tests/support/azurite.ts';
import { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { refuses, storageContract } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';
import type { AzureOptions } from './container.ts';
import { openAzure } from './open.ts';
import type { AzureStorage } from './storage.ts';

/** The service tells times in whole seconds. */
const clockMs = 1000;

storageContract('azure', async place => openStorage({ spec: await azureSpec(`contract/${place}`) }), {
  clockMs,
  plant: async (place, name) => {
    await (await clientOf()).getBlockBlobClient(`contract/${place}/${name}`).upload('x', 1);
  },
});

storageContract(
  'azure with a SAS token, a whole container',
  async place => {
    const container = `sas-${place}`;
    const credential = { sasToken: await sasToken('racwdl', 10, container) };
    return openStorage({ spec: { ...(await azureSpec('', { container })), credential } });
  },
  { clockMs },
);

/** A folder of its own, without our wrappers. */
async function fresh(options?: AzureOptions): Promise<AzureStorage> {
  return openAzure(await azureSpec(`fresh/${randomUUID()}`), options);
}

async function names(storage: Storage, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of storage.list(prefix)) found.push(name);
  return found.sort();
}

/** More than is sent at once, in pieces whose borders are not those of blocks. */
function large(): Buffer[] {
  return [randomBytes(20_000_001), Buffer.alloc(0), randomBytes(14_000_000), randomBytes(777)];
}

test('what is large goes in blocks, and is there as a whole or not at all', async () => {
  const storage = await fresh();
  const data = large();
  await storage.put('packs/large', data);
  assert.ok((await storage.get('packs/large')).equals(Buffer.concat(data)));
  await refuses('OBJECT_EXISTS', 'failed', storage.put('packs/large', large(), { ifAbsent: true }));
  assert.ok((await storage.get('packs/large')).equals(Buffer.concat(data)));
  await storage.put('packs/new', data, { ifAbsent: true, storageClass: 'Cool' });
  assert.equal((await storage.stat('packs/new'))?.sizeBytes, 34_000_778);
});

test('of two that write the same large object at once, one of them is there in the end, without a mixture', async () => {
  const spec = await azureSpec(`fresh/${randomUUID()}`);
  const writers = await Promise.all([openStorage({ spec }), openStorage({ spec })]);
  const data = [large(), large()];
  await Promise.all(writers.map((storage, i) => storage.put('packs/large', data[i]!)));
  const stored = await writers[0]!.get('packs/large');
  assert.ok(data.some(pieces => Buffer.concat(pieces).equals(stored)));
});

test('lists go on where the service ends a page, and leave out what is no object of ours', async () => {
  const storage = await fresh({ pageObjects: 3 });
  const expected = Array.from({ length: 10 }, (_, i) => `packs/${i}`);
  for (const name of expected) await storage.put(name, [Buffer.from(name)]);
  const prefix = storage.place.match(/fresh\/[^?]+/)![0];
  const others = await clientOf();
  const body = Buffer.alloc(1);
  await others.getBlockBlobClient(`${prefix}/packs/.hidden`).upload(body, 1);
  await others.getBlockBlobClient(`${prefix}/packs/with space`).upload(body, 1);
  await others.getBlockBlobClient(`${prefix}-beside/x`).upload(body, 1);
  const folder = { metadata: { hdi_isfolder: 'true' } };
  await others.getBlockBlobClient(`${prefix}/packs/folder`).upload(Buffer.alloc(0), 0, folder);
  assert.deepEqual(await names(storage), expected);
  assert.equal(await storage.stat('packs/folder'), undefined);
  await refuses('OBJECT_MISSING', 'fault', storage.get('packs/folder'));
});

test('tiers are set, and what is archived is frozen until it has been thawed', async () => {
  const storage = await fresh();
  const tier = async (name: string): Promise<string | undefined> => {
    const prefix = storage.place.match(/fresh\/[^?]+/)![0];
    return (await (await clientOf()).getBlobClient(`${prefix}/${name}`).getProperties()).accessTier;
  };
  for (const storageClass of ['Hot', 'Cool', 'Cold', 'Archive']) {
    await storage.put(storageClass, [Buffer.from(storageClass)], { storageClass });
    assert.equal(await tier(storageClass), storageClass);
  }
  for (const name of ['Hot', 'Cool', 'Cold']) {
    assert.equal(await storage.freezer.state(name), 'readable');
    assert.equal((await storage.get(name)).toString(), name);
    await storage.freezer.thaw(name, 1);
    assert.equal(await tier(name), name, 'what can be read stays where it is');
  }
  assert.equal(await storage.freezer.state('Archive'), 'frozen');
  await refuses('OBJECT_FROZEN', 'failed', storage.get('Archive'));
  await refuses('OBJECT_FROZEN', 'failed', storage.get('Archive', { offset: 0, length: 2 }));
  assert.deepEqual(await names(storage), ['Archive', 'Cold', 'Cool', 'Hot']);
  await storage.freezer.thaw('Archive', 1);
  // Azurite thaws at once; the state in between is in answers.test.ts.
  assert.equal(await storage.freezer.state('Archive'), 'readable');
  assert.equal((await storage.get('Archive')).toString(), 'Archive');
  await refuses('OBJECT_MISSING', 'fault', storage.freezer.state('missing'));
  await refuses('OBJECT_MISSING', 'fault', storage.freezer.thaw('missing', 1));
});

test('what is archived may be put again if it is the same, and only then', async () => {
  const storage = await fresh();
  const same = [Buffer.from('the same')];
  await storage.put('object', same, { storageClass: 'Archive' });
  await storage.put('object', same, { storageClass: 'Archive' });
  await refuses('OBJECT_FROZEN', 'failed', storage.put('object', [Buffer.from('another!')]));
  await refuses('OBJECT_EXISTS', 'failed', storage.put('object', same, { ifAbsent: true }));
  const data = large();
  await storage.put('large', data, { storageClass: 'Archive' });
  await storage.put('large', data, { storageClass: 'Archive' });
  await storage.remove('object');
  assert.deepEqual(await names(storage), ['large']);
});

test('a server that passes over locks is found out, and nothing stays without its lock', async () => {
  const storage = await fresh();
  const lock = { mode: 'governance', until: new Date(Date.now() + 3600_000) } as const;
  await refuses('STORAGE_NO_LOCKS', 'failed', storage.put('object', [Buffer.from('x')], { lock }));
  assert.equal(await storage.stat('object'), undefined);
});

test('a lease that somebody else has on an object forbids removing it', async () => {
  const storage = await fresh();
  await storage.put('object', [Buffer.from('x')]);
  const prefix = storage.place.match(/fresh\/[^?]+/)![0];
  const lease = (await clientOf()).getBlobClient(`${prefix}/object`).getBlobLeaseClient();
  await lease.acquireLease(-1);
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('object'));
  await refuses('OBJECT_LOCKED', 'failed', storage.put('object', [Buffer.from('y')]));
  await storage.put('object', [Buffer.from('x')]);
  await lease.releaseLease();
  await storage.remove('object');
});

test('an object with snapshots that others took is removed with them', async () => {
  const storage = await fresh();
  await storage.put('object', [Buffer.from('x')]);
  const prefix = storage.place.match(/fresh\/[^?]+/)![0];
  await (await clientOf()).getBlobClient(`${prefix}/object`).createSnapshot();
  await storage.remove('object');
  assert.equal(await storage.stat('object'), undefined);
});

/** Every call, so that none is left out. */
function calls(storage: AzureStorage): Promise<unknown>[] {
  return [
    storage.put('object', [Buffer.from('x')]),
    storage.put('large', large()),
    storage.get('object'),
    storage.stat('object'),
    names(storage),
    storage.remove('object'),
    storage.now(),
    storage.freezer.state('object'),
    storage.freezer.thaw('object', 1),
    storage.locks.until('object'),
    storage.locks.extend('object', { mode: 'governance', until: new Date(Date.now() + 1e7) }),
  ];
}

async function allRefuse(storage: AzureStorage, code: string, secret: string, hint: RegExp): Promise<void> {
  for (const call of await Promise.allSettled(calls(storage))) {
    assert.ok(call.status === 'rejected' && call.reason instanceof TidemarkError, JSON.stringify(call));
    assert.equal(call.reason.code, code, call.reason.message);
    assert.match(call.reason.hint, hint);
    assert.equal(call.reason.retry, undefined);
    const shown = `${JSON.stringify(call.reason)} ${call.reason.stack} ${call.reason.cause}`;
    assert.ok(!shown.includes(secret) && !shown.includes('sig='), shown);
  }
}

test('a container that is missing is named, whatever is asked of it', async () => {
  const storage = await openAzure({ ...(await azureSpec('x')), container: 'never-made' });
  await allRefuse(storage, 'STORAGE_BUCKET_MISSING', 'AccountKey', /make the container/);
});

test('a wrong key is refused, whatever is asked', async () => {
  const accountKey = randomBytes(64).toString('base64');
  const storage = await openAzure({ ...(await azureSpec('x')), credential: { accountKey } });
  // Azurite calls it AuthorizationFailure; the service itself says AuthenticationFailed (answers.test.ts).
  await allRefuse(storage, 'STORAGE_DENIED', accountKey, /account key/);
});

test('a SAS token that lacks a permission is refused', async () => {
  const token = await sasToken('rl', 10);
  const storage = await openAzure({ ...(await azureSpec('x')), credential: { sasToken: token } });
  await refuses('STORAGE_DENIED', 'failed', storage.put('object', [Buffer.from('x')]));
  await refuses('STORAGE_DENIED', 'failed', storage.put('large', large()));
  await storage.stat('object');
});

test('a SAS token that has expired is named as such', async () => {
  const token = await sasToken('racwdl', -5);
  const storage = await openAzure({ ...(await azureSpec('x')), credential: { sasToken: token } });
  await allRefuse(storage, 'STORAGE_CREDENTIALS', token, /new SAS token/);
});

test('the emulator ends with the process that started it, even where that is killed', async () => {
  await azurite(); // where it can't be started, this says why
  const support = JSON.stringify(join(import.meta.dirname, '../../../tests/support/azurite.ts'));
  const program = `const { azurite } = await import(${support});
    console.log((await azurite()).endpoint); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code]) => assert.fail(`it ended with ${code} before it listened`));
  const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
  ended.catch(() => {}); // as it is meant to, below
  const endpoint = line.toString().trim();
  assert.ok((await fetch(endpoint)).status >= 400);
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (const from = Date.now(); Date.now() - from < 10_000; await delay(50)) {
    if (
      await fetch(endpoint).then(
        () => false,
        () => true,
      )
    )
      return;
  }
  assert.fail('azurite still answers');
});
