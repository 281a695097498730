import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import type { StorageSettings } from '../kind.ts';
import { locationOf } from '../kinds.ts';
import { gcsKind } from './kind.ts';

const GOOGLE = 'https://storage.googleapis.com';
const KEY = 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k';

test('an address is a bucket, a folder in it, and what else is said', () => {
  assert.deepEqual(parseStorage('gs://my-bucket_1.example', {}), {
    kind: 'gcs',
    bucket: 'my-bucket_1.example',
    prefix: '',
    endpoint: GOOGLE,
  });
  const settings: StorageSettings = {
    region: 'Europe-West1',
    storageClass: 'COLDLINE',
    encryption: { mode: 'kms', keyId: KEY },
    credentials: { credentials_file: '~/key.json' },
  };
  const address =
    'gcs://bucket/a/b%20c/?project=payer&endpoint=https://storage.europe-west1.rep.googleapis.com/';
  assert.deepEqual(parseStorage(address, settings), {
    kind: 'gcs',
    bucket: 'bucket',
    prefix: 'a/b c',
    endpoint: 'https://storage.europe-west1.rep.googleapis.com',
    project: 'payer',
    region: 'europe-west1',
    kmsKey: KEY,
    credentials: { file: '~/key.json' },
  });
  assert.deepEqual(
    parseStorage('gs://bucket', { encryption: { mode: 'provider' } }),
    parseStorage('gs://bucket', {}),
  );
});

test('two addresses of the same objects have one location', () => {
  const location = (written: string) => locationOf(parseStorage(written, {}));
  assert.equal(location('gs://bucket/a/?project=x'), 'gs://bucket/a');
  assert.equal(location('gcs://bucket/a'), 'gs://bucket/a');
  assert.equal(location('gs://bucket?endpoint=https://storage.us-east1.rep.googleapis.com'), 'gs://bucket');
  assert.equal(location('gs://bucket?endpoint=http://127.0.0.1:4443'), 'gs://bucket at 127.0.0.1:4443');
});

test('what is wrong with an address or its settings is said, with what would be right', () => {
  const faults: [string, StorageSettings, string, RegExp, RegExp][] = [
    ['gs:///folder', {}, 'STORAGE_ADDRESS', /^has no bucket$/, /gs:\/\/bucket\/folder/],
    ['gs://Bucket', {}, 'STORAGE_ADDRESS', /no name of a bucket/, /lower-case/],
    ['gs://bucket:443/x', {}, 'STORAGE_ADDRESS', /a user or a port/, /endpoint=/],
    ['gs://me@bucket/x', {}, 'STORAGE_ADDRESS', /a user or a port/, /endpoint=/],
    ['gs://bucket/a/../b', {}, 'STORAGE_ADDRESS', /should not have/, /leave out/],
    ['gs://bucket/a%0Ab', {}, 'STORAGE_ADDRESS', /should not have/, /leave out/],
    ['gs://bucket?region=eu', {}, 'STORAGE_ADDRESS', /has region= in its address/, /project, endpoint/],
    ['gs://bucket?project=', {}, 'STORAGE_ADDRESS', /an empty project=/, /value/],
    ['gs://bucket?endpoint=storage.example.com', {}, 'STORAGE_ADDRESS', /endpoint/, /https:/],
    ['gs://bucket?endpoint=http://storage.example.com', {}, 'STORAGE_ADDRESS', /endpoint/, /https:/],
    ['gs://bucket?endpoint=https://x.example/storage/v1', {}, 'STORAGE_ADDRESS', /endpoint/, /https:/],
    ['gs://bucket', { storageClass: 'GLACIER' }, 'STORAGE_CLASS_UNKNOWN', /no class GLACIER/, /NEARLINE/],
    [
      'gs://bucket',
      { encryption: { mode: 'kms', keyId: 'alias/x' } },
      'STORAGE_SETTING',
      /no name/,
      /keyRings/,
    ],
    ['gs://bucket', { credentials: {} }, 'STORAGE_SETTING', /needs one of/, /leave credentials out/],
    [
      'gs://bucket',
      { credentials: { credentials_file: 'key.json' } },
      'STORAGE_SETTING',
      /key\.json, which is not absolute/,
      /~\//,
    ],
    [
      'gs://bucket',
      { credentials: { access_key_id: 's3cret' } },
      'STORAGE_SETTING',
      /has access_key_id/,
      /credentials_file, credentials_json/,
    ],
  ];
  for (const [address, settings, code, message, hint] of faults) {
    assert.throws(
      () => parseStorage(address, settings),
      (error: unknown) => {
        assert.ok(error instanceof TidemarkError && error.kind === 'usage', address);
        assert.equal(error.code, code, address);
        assert.match(error.message, message);
        assert.match(error.hint, hint);
        assert.ok(!/s3cret/.test(error.message + error.hint));
        return true;
      },
    );
  }
});

test('a wrong credentials_json is not repeated, a right one stays as it is', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  for (const json of [
    secret,
    JSON.stringify({ private_key: secret }),
    `{"type":"service_account","x":${secret}`,
  ])
    assert.throws(
      () => parseStorage('gs://bucket', { credentials: { credentials_json: json } }),
      (error: unknown) =>
        error instanceof TidemarkError &&
        error.code === 'STORAGE_SETTING' &&
        !secret
          .split('\n')
          .some(line => line.length > 10 && JSON.stringify([error, error.cause]).includes(line)),
    );
  const right = JSON.stringify({ type: 'service_account', private_key: secret });
  const spec = parseStorage('gs://bucket', { credentials: { credentials_json: right } });
  assert.deepEqual('credentials' in spec && spec.credentials, { json: right });
  assert.ok(!locationOf(spec).includes('PRIVATE'));
});

test('no class is ever frozen, and each says how long it costs at least', () => {
  assert.deepEqual(
    Object.entries(gcsKind.classes).map(([name, { frozen, minimumDays }]) => [name, frozen, minimumDays]),
    [
      ['STANDARD', false, 0],
      ['NEARLINE', false, 30],
      ['COLDLINE', false, 90],
      ['ARCHIVE', false, 365],
    ],
  );
});
