import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TidemarkError } from '../base/errors.ts';
import { parseAddress, parseStorage, schemeOf } from './address.ts';

test('addresses are taken apart and decoded', () => {
  assert.deepEqual(parseAddress('S3://my_bucket/a/b%20c/?region=eu-1&x=%2F'), {
    scheme: 's3',
    user: undefined,
    host: 'my_bucket',
    port: undefined,
    path: 'a/b c',
    query: new Map([
      ['region', 'eu-1'],
      ['x', '/'],
    ]),
  });
  const { user, host, port, path } = parseAddress('sftp://ann%40x@[::1]:2222//srv/b');
  assert.deepEqual([user, host, port, path], ['ann@x', '::1', 2222, 'srv/b']);
});

test('what is no address is refused, and a password in one is not repeated', () => {
  for (const written of ['s3:/x', 's3://a:b:c/x', 's3://%zz@x/%zz', 's3://u:s3cret@host/x']) {
    assert.throws(
      () => parseAddress(written),
      (error: unknown) =>
        error instanceof TidemarkError && error.kind === 'usage' && !error.message.includes('s3cret'),
      written,
    );
  }
  assert.equal(schemeOf('./backups'), undefined);
  assert.throws(() => parseStorage('ftp://x/y', {}), /is on ftp:\/\/, which is no storage/);
});
