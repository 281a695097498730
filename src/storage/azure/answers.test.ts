import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { type Answer, Answering, type Asked } from '../../../tests/support/answering.ts';
import { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { refuses } from '../storage.contract.ts';
import type { Lock } from '../storage.ts';
import { openAzure } from './open.ts';
import type { AzureSpec } from './spec.ts';

/**
 * What the service itself answers and azurite never does: its errors, its locks, its thawing. The answers are those of
 * learn.microsoft.com/rest/api/storageservices; that they are what it really says was not tried against an account.
 */
let server: Answering;
let spec: AzureSpec;
before(async () => {
  server = await Answering.with(() => ({ status: 500 }));
  spec = {
    kind: 'azure',
    account: 'rephlo1',
    container: 'backups',
    prefix: 'main',
    endpoint: server.url,
    credential: { sasToken: 'sv=2024-11-04&sp=racwdl&se=2099-01-01&sig=c3VwZXItc2VjcmV0' },
    rehydrate: 'High',
  };
});
after(() => server.close());
beforeEach(() => void server.asked.splice(0));

const IDS = { 'x-ms-request-id': '5a1c', date: new Date().toUTCString() };

function refusal(status: number, code: string, headers: Record<string, string> = {}): Answer {
  const detail = '<AuthenticationErrorDetail>sig=c3VwZXItc2VjcmV0 was it</AuthenticationErrorDetail>';
  return {
    status,
    headers: { ...IDS, 'x-ms-error-code': code, 'content-type': 'application/xml', ...headers },
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>Some words of the service.\nRequestId:5a1c</Message>${detail}</Error>`,
  };
}

const REFUSALS: [Answer, string, temporary: boolean, hint: RegExp][] = [
  [refusal(403, 'AuthenticationFailed'), 'STORAGE_CREDENTIALS', false, /clock/],
  [refusal(401, 'NoAuthenticationInformation'), 'STORAGE_CREDENTIALS', false, /account key/],
  [refusal(403, 'AuthorizationPermissionMismatch'), 'STORAGE_DENIED', false, /Storage Blob Data Contributor/],
  [refusal(403, 'AuthorizationFailure'), 'STORAGE_DENIED', false, /firewall/],
  [refusal(403, 'AuthorizationProtocolMismatch'), 'STORAGE_DENIED', false, /https/],
  [refusal(403, 'KeyBasedAuthenticationNotPermitted'), 'STORAGE_DENIED', false, /takes no keys/],
  [refusal(404, 'ContainerNotFound'), 'STORAGE_BUCKET_MISSING', false, /make the container/],
  [refusal(409, 'ContainerBeingDeleted'), 'STORAGE_BUCKET_MISSING', false, /being deleted/],
  [refusal(409, 'BlobImmutableDueToPolicy'), 'OBJECT_LOCKED', false, /immutability policy/],
  [refusal(409, 'BlobImmutableDueToLegalHold'), 'OBJECT_LOCKED', false, /legal hold/],
  [refusal(412, 'LeaseIdMissing'), 'OBJECT_LOCKED', false, /lease/],
  [refusal(409, 'BlobArchived'), 'OBJECT_FROZEN', false, /thawed/],
  [refusal(409, 'BlobBeingRehydrated'), 'OBJECT_FROZEN', false, /thawed/],
  [refusal(400, 'Md5Mismatch'), 'STORAGE_DAMAGED_UPLOAD', true, /proxy/],
  [refusal(400, 'InvalidBlockList'), 'STORAGE_CONTENDED', true, /another writer/],
  [refusal(503, 'ServerBusy'), 'STORAGE_BUSY', true, /later/],
  [refusal(500, 'OperationTimedOut'), 'STORAGE_UNAVAILABLE', true, /later/],
  [refusal(500, 'InternalError'), 'STORAGE_UNAVAILABLE', true, /later/],
  [refusal(429, 'TooManyRequests'), 'STORAGE_BUSY', true, /later/],
  [refusal(409, 'BlobAccessTierNotSupportedForAccountType'), 'STORAGE_CLASS_UNKNOWN', false, /LRS/],
  [refusal(501, 'APINotImplemented'), 'STORAGE_UNSUPPORTED', false, /emulators/],
  [refusal(400, 'SomethingNew'), 'STORAGE', false, /reason/],
  [
    { status: 502, body: '<html>Bad gateway of sig=c3VwZXItc2VjcmV0</html>' },
    'STORAGE_UNAVAILABLE',
    true,
    /later/,
  ],
  [{ status: 407 }, 'STORAGE_CREDENTIALS', false, /HTTPS_PROXY/],
  [{ status: 404, body: 'no such page' }, 'STORAGE_PROTOCOL', false, /endpoint/],
  [{ status: 418 }, 'STORAGE_PROTOCOL', false, /endpoint/],
];

test('what the service refuses has a code, says what to do, and whether to try again', async () => {
  const storage = await openAzure(spec);
  const data = [Buffer.from('x')];
  for (const [answer, code, temporary, hint] of REFUSALS) {
    server.answer = () => answer;
    const calls = {
      put: () => storage.put('packs/a', data),
      get: () => storage.get('packs/a'),
      now: () => storage.now(),
    };
    for (const [method, call] of Object.entries(calls)) {
      const error = await call().then(
        () => assert.fail(`${method} went well with ${JSON.stringify(answer)}`),
        (caught: unknown) => caught as TidemarkError,
      );
      assert.ok(error instanceof TidemarkError, String(error));
      assert.deepEqual([error.code, error.retry !== undefined], [code, temporary], error.message);
      assert.match(error.hint, hint);
      assert.match(error.message, /^can't (write|read) \S.* in azure:\/\/rephlo1\/backups\/main/);
      const shown = `${JSON.stringify(error)} ${error.stack} ${error.cause}`;
      assert.ok(!shown.includes('c3VwZXItc2VjcmV0'), shown);
    }
  }
});

test('the service says how long to wait, and that is done', async () => {
  const waits: number[] = [];
  const waiting = (_call: unknown, _error: TidemarkError, waitMs: number): void => void waits.push(waitMs);
  const storage = await openStorage({ spec }, { retry: { firstWaitMs: 1, waiting } });
  const answers = [
    refusal(503, 'ServerBusy', { 'retry-after': '1' }),
    refusal(429, 'TooManyRequests', { 'retry-after-ms': '150' }),
    refusal(503, 'ServerBusy', { 'retry-after': new Date(Date.now() + 3000).toUTCString() }),
    refusal(404, 'BlobNotFound'),
  ];
  server.answer = () => answers.shift()!;
  const from = Date.now();
  assert.equal(await storage.stat('packs/a'), undefined);
  assert.deepEqual([waits.length, waits[0], waits[1]], [3, 1000, 150]);
  assert.ok(waits[2]! > 200 && waits[2]! <= 3000, `${waits[2]}`);
  assert.ok(Date.now() - from >= 1150);
  assert.equal(server.asked.length, 4, 'each attempt is one request: the SDK repeats none by itself');
});

test('an answer with other bytes than were asked for is refused', async () => {
  const storage = await openAzure(spec);
  const body = randomBytes(100);
  const headers = { ...IDS, etag: '"1"', 'last-modified': IDS.date, 'x-ms-blob-type': 'BlockBlob' };
  server.answer = () => ({ status: 200, headers: { ...headers, 'content-length': '100' }, body });
  assert.deepEqual(await storage.get('packs/a'), body);
  await refuses('STORAGE_PROTOCOL', 'failed', storage.get('packs/a', { offset: 10, length: 100 }));
  await refuses('STORAGE_PROTOCOL', 'failed', storage.get('packs/a', { offset: 0, length: 5 }));
});

const isWhole = ({ path }: Asked): boolean => !path.includes('comp=');

test('every part of a write names the tier, the key and the checksum that belong to it', async () => {
  const storage = await openAzure({ ...spec, encryptionScope: 'scope1' });
  server.answer = () => ({ status: 201, headers: { ...IDS, etag: '"1"', 'last-modified': IDS.date } });
  await storage.put('small', [Buffer.from('abc')], { storageClass: 'Cool', ifAbsent: true });
  const [small] = server.asked.splice(0);
  assert.ok(small && isWhole(small));
  assert.equal(small.headers['content-md5'], 'kAFQmDzST7DWlj99KOF/cg==');
  assert.equal(small.headers['x-ms-access-tier'], 'Cool');
  assert.equal(small.headers['x-ms-encryption-scope'], 'scope1');
  assert.equal(small.headers['if-none-match'], '*');
  await storage.put('large', [randomBytes(34_000_000)], { storageClass: 'Archive' });
  const list = server.asked.pop()!;
  assert.match(list.path, /comp=blocklist/);
  assert.equal(list.headers['x-ms-access-tier'], 'Archive');
  assert.equal(list.headers['x-ms-encryption-scope'], 'scope1');
  assert.match(String(list.headers['x-ms-blob-content-md5']), /^[\w+/]{22}==$/);
  assert.equal(server.asked.length, 5);
  for (const block of server.asked) {
    assert.match(block.path, /comp=block&/);
    assert.equal(block.headers['x-ms-encryption-scope'], 'scope1');
    assert.match(String(block.headers['content-md5']), /^[\w+/]{22}==$/);
  }
});

test('what is being thawed says so, is asked for once, and with the priority of the address', async () => {
  const storage = await openAzure(spec);
  const properties = {
    ...IDS,
    'last-modified': IDS.date,
    'content-length': '3',
    'x-ms-access-tier': 'Archive',
  };
  const thawing = { ...properties, 'x-ms-archive-status': 'rehydrate-pending-to-hot' };
  let asked = false;
  server.answer = ({ path }) => {
    if (!path.includes('comp=tier')) return { status: 200, headers: asked ? thawing : properties };
    asked = true;
    return { status: 202, headers: IDS };
  };
  assert.equal(await storage.freezer.state('packs/a'), 'frozen');
  await storage.freezer.thaw('packs/a', 7);
  assert.equal(await storage.freezer.state('packs/a'), 'thawing');
  await storage.freezer.thaw('packs/a', 7);
  const orders = server.asked.filter(({ path }) => path.includes('comp=tier'));
  assert.equal(orders.length, 1);
  assert.equal(orders[0]!.headers['x-ms-access-tier'], 'Hot');
  assert.equal(orders[0]!.headers['x-ms-rehydrate-priority'], 'High');
});

/** A blob that may have a policy; keeps it as the service does, to the second. */
function lockable(): (asked: Asked) => Answer {
  let policy: Record<string, string> | undefined;
  return ({ method, path, headers }) => {
    const until = headers['x-ms-immutability-policy-until-date'];
    const mode = headers['x-ms-immutability-policy-mode'];
    if (method === 'DELETE') return { status: 202, headers: IDS };
    if (method === 'PUT') {
      if (until !== undefined || isWhole({ method, path, headers, body: Buffer.alloc(0) }))
        policy = undefined;
      if (until !== undefined) {
        policy = {
          'x-ms-immutability-policy-until-date': String(until),
          'x-ms-immutability-policy-mode': String(mode).toLowerCase(),
        };
      }
      return { status: path.includes('comp=') ? 200 : 201, headers: { ...IDS, etag: '"1"' } };
    }
    const date = new Date().toUTCString();
    return {
      status: 200,
      headers: { ...IDS, ...policy, date, 'last-modified': date, 'content-length': '1' },
    };
  };
}

test('locks are immutability policies: set with the object, looked at, and only ever made longer', async () => {
  const storage = await openAzure(spec);
  server.answer = lockable();
  const soon = new Date(Math.floor(Date.now() / 1000) * 1000 + 3600_500);
  const soonUp = new Date(soon.getTime() + 500);
  const later = new Date(soonUp.getTime() + 86_400_000);
  const policies = (): unknown[] =>
    server.asked
      .splice(0)
      .filter(({ method }) => method === 'PUT')
      .map(({ path, headers }) => [
        path.includes('comp=immutabilityPolicies'),
        headers['x-ms-immutability-policy-until-date'],
        headers['x-ms-immutability-policy-mode'],
      ]);
  const extend = (mode: Lock['mode'], until: Date) => storage.locks.extend('packs/a', { mode, until });

  await storage.put('packs/a', [Buffer.from('x')], { lock: { mode: 'governance', until: soon } });
  assert.deepEqual(policies(), [[false, soonUp.toUTCString(), 'Unlocked']], 'whole seconds, rounded up');
  assert.deepEqual(await storage.locks.until('packs/a'), soonUp);
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('packs/a'));
  assert.ok(server.asked.every(({ method }) => method !== 'DELETE'));

  await extend('governance', soon);
  assert.deepEqual(policies(), [], 'it is locked for as long already');
  await extend('governance', later);
  assert.deepEqual(policies(), [[true, later.toUTCString(), 'Unlocked']]);
  await extend('governance', soon);
  assert.deepEqual(policies(), [], 'never shorter');
  await extend('compliance', soon);
  assert.deepEqual(policies(), [[true, later.toUTCString(), 'Locked']], 'stronger, and no shorter');
  const last = new Date(later.getTime() + 86_400_000);
  await extend('governance', last);
  assert.deepEqual(policies(), [[true, last.toUTCString(), 'Locked']], 'longer, and no weaker');
  assert.deepEqual(await storage.locks.until('packs/a'), last);
});

test('a lock that has ended is none', async () => {
  const storage = await openAzure(spec);
  const ended = new Date(Date.now() - 5000).toUTCString();
  const policy = { 'x-ms-immutability-policy-until-date': ended, 'x-ms-immutability-policy-mode': 'locked' };
  const headers = {
    ...IDS,
    date: new Date().toUTCString(),
    'last-modified': IDS.date,
    'content-length': '1',
  };
  server.answer = ({ method }) =>
    method === 'DELETE' ? { status: 202, headers: IDS } : { status: 200, headers: { ...headers, ...policy } };
  assert.equal(await storage.locks.until('packs/a'), undefined);
  await storage.remove('packs/a');
  const [removal] = server.asked.filter(({ method }) => method === 'DELETE');
  assert.equal(removal?.headers['x-ms-delete-snapshots'], 'include');
  const hold = { 'x-ms-legal-hold': 'true' };
  server.answer = () => ({ status: 200, headers: { ...headers, ...hold } });
  await refuses('OBJECT_LOCKED', 'failed', storage.remove('packs/a'));
});
