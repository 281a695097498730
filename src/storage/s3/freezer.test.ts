import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { radosgw } from '../../../tests/support/radosgw.ts';
import { makeBucket, specOf } from '../../../tests/support/s3Buckets.ts';
import { type Passing, S3Proxy } from '../../../tests/support/s3Proxy.ts';
import { refuses } from '../storage.contract.ts';
import { openS3, type S3Storage } from './storage.ts';

/** Ceph knows the classes but freezes nothing: what AWS would answer is put in by the proxy. */

let proxy: S3Proxy;
let storage: S3Storage;

const isGet = ({ method }: Passing) => method === 'GET';
const isHead = ({ method }: Passing) => method === 'HEAD';
const isOrder = ({ method, path }: Passing) => method === 'POST' && path.includes('restore');
const xml = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>x</Message></Error>`;

before(async () => {
  const { endpoint, user } = await radosgw();
  proxy = await S3Proxy.start(endpoint, user);
  await makeBucket('freezing');
  storage = await openS3(await specOf('freezing', { endpoint: proxy.endpoint }));
  await storage.put('archived', [Buffer.from('x')], { storageClass: 'GLACIER' });
  await storage.put('plain', [Buffer.from('x')]);
});

after(async () => {
  await storage.close();
  proxy.close();
});

test('an object is frozen, thawing, and readable again', async () => {
  const frozen = { kind: 'answer', status: 403, body: xml('InvalidObjectState') } as const;
  proxy.interfere(isGet, frozen, 2);
  await refuses('OBJECT_FROZEN', 'failed', storage.get('archived'));
  assert.equal(await storage.freezer.state('archived'), 'frozen');
  const restoring = { 'x-amz-restore': 'ongoing-request="true"' };
  proxy.interfere(isHead, { kind: 'addHeaders', headers: restoring });
  assert.equal(await storage.freezer.state('archived'), 'thawing');
  const restored = {
    'x-amz-restore': 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"',
  };
  proxy.interfere(isHead, { kind: 'addHeaders', headers: restored });
  assert.equal(await storage.freezer.state('archived'), 'readable');
  assert.equal(await storage.freezer.state('plain'), 'readable');
  await refuses('OBJECT_MISSING', 'fault', storage.freezer.state('none'));
});

test('a thaw is ordered for so many days, and may be ordered again', async () => {
  proxy.seen.length = 0;
  proxy.interfere(isOrder, { kind: 'answer', status: 202 });
  await storage.freezer.thaw('archived', 5);
  const order = proxy.seen.find(isOrder)!;
  assert.match(order.body!, /<Days>5<\/Days>/);
  assert.match(order.body!, /<Tier>Standard<\/Tier>/);
  proxy.interfere(isOrder, { kind: 'answer', status: 409, body: xml('RestoreAlreadyInProgress') });
  await storage.freezer.thaw('archived', 5);
  // What Ceph itself says.
  await refuses('STORAGE_UNSUPPORTED', 'failed', storage.freezer.thaw('archived', 5));
  await refuses('OBJECT_MISSING', 'fault', storage.freezer.thaw('none', 5));
});

test('the archive tiers of INTELLIGENT_TIERING', async () => {
  const headers = {
    'x-amz-storage-class': 'INTELLIGENT_TIERING',
    'x-amz-archive-status': 'DEEP_ARCHIVE_ACCESS',
  };
  proxy.interfere(isHead, { kind: 'addHeaders', headers }, 2);
  proxy.interfere(isGet, { kind: 'answer', status: 403, body: xml('InvalidObjectState') });
  assert.equal(await storage.freezer.state('plain'), 'frozen');
  proxy.seen.length = 0;
  proxy.interfere(isOrder, { kind: 'answer', status: 202 });
  await storage.freezer.thaw('plain', 5);
  assert.doesNotMatch(proxy.seen.find(isOrder)!.body!, /Days/);
});
