import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import type { StorageSettings } from '../kind.ts';
import { locationOf } from '../kinds.ts';
import type { S3Spec } from './spec.ts';

const parse = (written: string, settings: StorageSettings = {}) => parseStorage(written, settings) as S3Spec;

/** What is written, and what its fault and hint say. */
function refused(written: string, says: RegExp, settings: StorageSettings = {}): void {
  assert.throws(
    () => parse(written, settings),
    (error: unknown) => {
      assert.ok(error instanceof TidemarkError, String(error));
      assert.equal(error.kind, 'usage');
      assert.match(`${error.message}; ${error.hint}`, says);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /s3cret/);
      return true;
    },
    written,
  );
}

test('a bucket of AWS', () => {
  assert.deepEqual(parse('s3://my-bucket/a/b/'), {
    kind: 's3',
    bucket: 'my-bucket',
    prefix: 'a/b',
    region: undefined,
    endpoint: undefined,
    pathStyle: false,
    profile: undefined,
    credentials: undefined,
    encryption: undefined,
    partSizeBytes: 16 << 20,
  });
  assert.equal(parse('s3://bucket?region=eu-central-1').region, 'eu-central-1');
  assert.equal(parse('s3://bucket', { region: 'eu-central-1' }).region, 'eu-central-1');
  assert.equal(parse('s3://bucket?region=eu-1', { region: 'eu-1' }).region, 'eu-1');
  // The certificate of *.s3.amazonaws.com covers no name with a dot.
  assert.equal(parse('s3://with.dots').pathStyle, true);
  assert.equal(parse('s3://bucket?profile=backup').profile, 'backup');
  assert.equal(parse('s3://bucket?part_size=64MiB').partSizeBytes, 64 << 20);
});

test('a bucket anywhere else, with the region that its host names', () => {
  const spec = parse('s3://bucket/x?endpoint=minio.example.com:9000');
  assert.deepEqual(
    [spec.endpoint, spec.pathStyle, spec.region],
    ['https://minio.example.com:9000', true, 'us-east-1'],
  );
  const hosts = {
    'account.r2.cloudflarestorage.com': 'auto',
    's3.us-west-004.backblazeb2.com': 'us-west-004',
    'fra1.digitaloceanspaces.com': 'fra1',
    'fsn1.your-objectstorage.com': 'fsn1',
    's3.eu-west-2.amazonaws.com': 'eu-west-2',
    's3.amazonaws.com': 'us-east-1',
  };
  for (const [host, region] of Object.entries(hosts)) {
    assert.equal(parse(`s3://bucket?endpoint=${host}`).region, region);
    assert.equal(parse(`s3://bucket?endpoint=https://${host}/&region=other`).region, 'other');
  }
  assert.equal(parse('s3://bucket?endpoint=http://[::1]:9000&path_style=false').pathStyle, false);
});

test('plain http only on loopback, or where it is asked for', () => {
  for (const host of ['127.0.0.1:9000', 'localhost', '[::1]:80', '127.3.2.1'])
    assert.equal(parse(`s3://bucket?endpoint=http://${host}`).kind, 's3');
  refused(
    's3://bucket?endpoint=http://minio.lan:9000',
    /http:\/\/minio\.lan:9000, which is not encrypted.*insecure=true/,
  );
  refused('s3://bucket?endpoint=http://127.0.0.1.example.com', /not encrypted/);
  assert.equal(
    parse('s3://bucket?endpoint=http://minio.lan:9000&insecure=true').endpoint,
    'http://minio.lan:9000',
  );
});

test('credentials and encryption stand beside the address', () => {
  const credentials = { access_key_id: 'name ', secret_access_key: 's3cret\n' };
  assert.deepEqual(parse('s3://bucket', { credentials }).credentials, {
    accessKeyId: 'name',
    secretAccessKey: 's3cret',
    sessionToken: undefined,
  });
  assert.deepEqual(parse('s3://bucket', { encryption: { mode: 'kms', keyId: 'k' } }).encryption, {
    mode: 'kms',
    keyId: 'k',
  });
});

test('a location is where the objects are, and nothing secret', () => {
  const credentials = { access_key_id: 'name', secret_access_key: 's3cret' };
  assert.equal(locationOf(parse('s3://bucket/a?region=eu-1', { credentials })), 's3://bucket/a');
  assert.equal(locationOf(parse('s3://bucket')), 's3://bucket');
  assert.equal(
    locationOf(parse('s3://bucket/a?endpoint=localhost:1')),
    's3://bucket/a?endpoint=https://localhost:1',
  );
});

test('faults in what is written', () => {
  refused('s3:///folder', /has no bucket/);
  refused('s3://ann@bucket/x', /has a user/);
  refused('s3://minio.lan:9000/bucket', /has a port.*endpoint=https:\/\/minio\.lan:9000/);
  refused('s3://b/x', /no bucket can have that name/);
  refused('s3://bucket/a/../b', /can have no name/);
  refused(
    's3://bucket?regoin=x',
    /has regoin= in its address.*region, endpoint, path_style, profile, insecure/,
  );
  refused('s3://bucket?path_style=yes', /has path_style=yes.*path_style=true/);
  refused('s3://bucket?part_size=1MiB', /has part_size=1MiB.*5MiB/);
  refused('s3://bucket?part_size=large', /has part_size=large/);
  refused('s3://bucket?region=eu-1', /two regions, eu-1 .* and eu-2/, { region: 'eu-2' });
  refused('s3://bucket?region=eu%201', /has a region that is none/);
  refused('s3://bucket?endpoint=https://u:s3cret@host', /no host/);
  refused('s3://bucket?endpoint=https://host/bucket', /with a path/);
  refused('s3://bucket?endpoint=ftp://host', /on ftp:/);
  refused('s3://bucket?endpoint=', /no host/);
  refused('s3://bucket', /has no class COLD; it has STANDARD, /, { storageClass: 'COLD' });
  refused('s3://bucket', /has secret under credentials; S3 knows access_key_id/, {
    credentials: { secret: 's3cret' },
  });
  refused('s3://bucket', /without secret_access_key/, { credentials: { access_key_id: 'x' } });
  refused('s3://bucket', /without access_key_id/, { credentials: { secret_access_key: 's3cret' } });
  const credentials = { access_key_id: 'x', secret_access_key: 's3cret' };
  refused('s3://bucket?profile=p', /both a profile and credentials/, { credentials });
});
