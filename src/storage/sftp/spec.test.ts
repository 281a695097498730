import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import { locationOf } from '../kinds.ts';
import type { SftpSpec } from './spec.ts';

const parse = (written: string, credentials?: Record<string, string>) =>
  parseStorage(written, { credentials }) as SftpSpec;

test('an address is a folder of the server, or one of the home', () => {
  assert.deepEqual(parse('sftp://ann@Host.example:2222/srv/backups/'), {
    kind: 'sftp',
    host: 'host.example',
    port: 2222,
    user: 'ann',
    path: '/srv/backups',
    credentials: {},
  });
  assert.equal(parse('sftp://host/~/backups/x').path, 'backups/x');
  assert.equal(parse('sftp://host/a%20b').path, '/a b');
  assert.equal(parse('sftp://[::1]/x').host, '::1');
});

test('a location names the place, without what is usual and without secrets', () => {
  const location = (written: string) => locationOf(parse(written, { password: 's3cret' }));
  assert.equal(location('sftp://ann@HOST:22//srv//b/'), 'sftp://ann@host/srv/b');
  assert.equal(location('sftp://host:2222/~/b'), 'sftp://host:2222/~/b');
  assert.equal(location('sftp://[::1]:2222/b'), 'sftp://[::1]:2222/b');
});

test('a host key may stand in the address', () => {
  const print = `SHA256:${'Ab+/'.repeat(10)}xyz`;
  assert.equal(parse(`sftp://host/x?host_key=${print}`).hostKey, print);
  assert.equal(parse(`sftp://host/x?host_key=${encodeURIComponent(print)}`).hostKey, print);
});

test('credentials are those of SSH', () => {
  const credentials = { private_key_file: '~/.ssh/x', passphrase: 'p', password: 'w', known_hosts: '/etc/k' };
  assert.deepEqual(parse('sftp://host/x', credentials).credentials, {
    privateKeyFile: '~/.ssh/x',
    passphrase: 'p',
    password: 'w',
    knownHosts: '/etc/k',
  });
});

test('what is wrong with an address is said, and no secret with it', () => {
  const faults: [string, RegExp, Record<string, string>?][] = [
    ['sftp:///x', /names no host/],
    ['sftp://host', /names no folder/],
    ['sftp://host/', /names no folder/],
    ['sftp://host/~', /names no folder/],
    ['sftp://host/a/../b', /\. or \.\./],
    ['sftp://host:0/x', /no port 0/],
    ['sftp://host:99999/x', /no port 99999/],
    ['sftp://@host/x', /empty user/],
    ['sftp://u:s3cret@host/x', /password in its address/],
    ['sftp://host/x?port=22', /has port in its address/],
    ['sftp://host/x?host_key=MD5:1', /no fingerprint/],
    ['sftp://host/x', /no use for token/, { token: 's3cret' }],
    ['sftp://host/x', /relative path as private_key_file/, { private_key_file: 's3cret/key' }],
  ];
  for (const [written, fault, credentials] of faults) {
    assert.throws(
      () => parse(written, credentials),
      (error: unknown) => {
        assert.ok(error instanceof TidemarkError && error.kind === 'usage', written);
        assert.match(error.message, fault);
        assert.doesNotMatch(error.message + error.hint, /s3cret/);
        return true;
      },
    );
  }
  assert.throws(() => parseStorage('sftp://host/x', { region: 'eu-1' }), /has no region/);
});
