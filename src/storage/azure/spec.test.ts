import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import type { StorageSettings } from '../kind.ts';
import { locationOf } from '../kinds.ts';
import { credentialOfEnvironment } from './credential.ts';

const KEY = Buffer.alloc(64, 7).toString('base64');
const SAS = 'sv=2024-11-04&ss=b&srt=co&sp=racwdl&se=2030-01-01T00:00:00Z&sig=c2VjcmV0LXNpZw%3D%3D';

test('an address names account, container and folder', () => {
  assert.deepEqual(parseStorage('azure://rephlo1/backups/main/x/', {}), {
    kind: 'azure',
    account: 'rephlo1',
    container: 'backups',
    prefix: 'main/x',
    endpoint: 'https://rephlo1.blob.core.windows.net',
    credential: undefined,
    encryptionScope: undefined,
    rehydrate: 'Standard',
  });
  const spec = parseStorage('az://rephlo1/backups?endpoint=http://127.0.0.1:10000/rephlo1/&rehydrate=high', {
    storageClass: 'Cold',
    encryption: { mode: 'kms', keyId: 'scope1' },
    credentials: { account_key: KEY },
  });
  assert.deepEqual(spec, {
    kind: 'azure',
    account: 'rephlo1',
    container: 'backups',
    prefix: '',
    endpoint: 'http://127.0.0.1:10000/rephlo1',
    credential: { accountKey: KEY },
    encryptionScope: 'scope1',
    rehydrate: 'High',
  });
  const provider = parseStorage('az://abc/def', { encryption: { mode: 'provider' } });
  assert.equal('encryptionScope' in provider && provider.encryptionScope, undefined);
});

test('the place is the same however it is written, and shows no secret', () => {
  const place = (written: string, credentials?: Record<string, string>): string =>
    locationOf(parseStorage(written, { credentials }));
  assert.equal(place('az://rephlo1/backups/x/', { sas_token: SAS }), 'azure://rephlo1/backups/x');
  assert.equal(place('azure://rephlo1/backups//x'), 'azure://rephlo1/backups/x');
  assert.equal(place('azure://rephlo1/backups'), 'azure://rephlo1/backups');
  assert.equal(
    place('azure://rephlo1/backups/x?endpoint=https://rephlo1.blob.core.windows.net/'),
    'azure://rephlo1/backups/x',
  );
  assert.equal(
    place('azure://rephlo1/backups?endpoint=https://rephlo1.blob.core.chinacloudapi.cn'),
    'azure://rephlo1/backups?endpoint=https://rephlo1.blob.core.chinacloudapi.cn',
  );
});

test('a connection string gives the key, and the endpoint that it names', () => {
  const of = (connection_string: string, address = 'azure://rephlo1/backups') => {
    const spec = parseStorage(address, { credentials: { connection_string } });
    return spec.kind === 'azure' ? [spec.endpoint, spec.credential] : [];
  };
  const accountKey = KEY;
  assert.deepEqual(
    of(
      `DefaultEndpointsProtocol=https;AccountName=rephlo1;AccountKey=${KEY};EndpointSuffix=core.windows.net`,
    ),
    ['https://rephlo1.blob.core.windows.net', { accountKey }],
  );
  assert.deepEqual(
    of(
      `AccountName=rephlo1;AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:10000/rephlo1;QueueEndpoint=http://x;`,
    ),
    ['http://127.0.0.1:10000/rephlo1', { accountKey }],
  );
  assert.deepEqual(
    of(`BlobEndpoint=https://rephlo1.blob.core.usgovcloudapi.net/;SharedAccessSignature=${SAS}`),
    ['https://rephlo1.blob.core.usgovcloudapi.net', { sasToken: SAS }],
  );
});

const REFUSED: [string, StorageSettings, RegExp][] = [
  ['azure:///backups', {}, /has no account/],
  ['azure://Rephlo/backups', {}, /has Rephlo for an account/],
  ['azure://re-phlo/backups', {}, /can't be the name/],
  ['azure://rephlo1', {}, /has no container/],
  ['azure://rephlo1/Backups', {}, /has Backups for a container/],
  ['azure://rephlo1/back--ups/x', {}, /for a container/],
  ['azure://rephlo1/backups/a./b', {}, /ends in a dot/],
  ['azure://rephlo1/backups/a%5Cb', {}, /odd characters/],
  [`azure://rephlo1/backups/${'a/'.repeat(400)}`, {}, /too long a folder/],
  ['azure://rephlo1:443/backups', {}, /a user or a port/],
  ['azure://me@rephlo1/backups', {}, /a user or a port/],
  ['azure://rephlo1/backups?sig=x', {}, /has sig in its address.*takes endpoint, rehydrate/],
  ['azure://rephlo1/backups?endpoint=rephlo1.blob.core.windows.net', {}, /an endpoint that is not the URL/],
  ['azure://rephlo1/backups?endpoint=ftp://x', {}, /an endpoint that is not the URL/],
  ['azure://rephlo1/backups?endpoint=https://x/%3Fsig=1?sig=2', {}, /an endpoint that is not the URL/],
  ['azure://rephlo1/backups?rehydrate=now', {}, /rehydrate=now.*rehydrate=standard or rehydrate=high/],
  ['azure://rephlo1/backups', { region: 'westeurope' }, /is Azure Blob storage, which has no region/],
  ['azure://rephlo1/backups', { storageClass: 'GLACIER' }, /no class GLACIER.*Hot, Cool, Cold, Archive/],
  ['azure://rephlo1/backups', { encryption: { mode: 'kms' } }, /not the name of an encryption scope/],
  ['azure://rephlo1/backups', { encryption: { mode: 'kms', keyId: 'https://vault/k' } }, /encryption scope/],
  ['azure://rephlo1/backups', { credentials: {} }, /has no credentials/],
  [
    'azure://rephlo1/backups',
    { credentials: { secret: 's3cr-et' } },
    /no credential secret.*account_key, sas/,
  ],
  [
    'azure://rephlo1/backups',
    { credentials: { account_key: KEY, sas_token: SAS } },
    /several credentials.*account_key, sas_token, connection_string/,
  ],
  [
    'azure://rephlo1/backups',
    { credentials: { account_key: 's3cr-et' } },
    /an account key that is not base64/,
  ],
  ['azure://rephlo1/backups', { credentials: { sas_token: 's3cr-et' } }, /a SAS token that is none/],
  [
    'azure://rephlo1/backups',
    { credentials: { connection_string: 'UseDevelopmentStorage=true' } },
    /without/,
  ],
  [
    'azure://rephlo1/backups',
    { credentials: { connection_string: `AccountName=other;AccountKey=${KEY}` } },
    /a connection string of the account other/,
  ],
  [
    'azure://rephlo1/backups?endpoint=https://x',
    { credentials: { connection_string: `AccountName=rephlo1;AccountKey=${KEY}` } },
    /another endpoint/,
  ],
];

test('what is no address of a container is refused with what to write, and no secret is repeated', () => {
  for (const [written, settings, expected] of REFUSED) {
    assert.throws(
      () => parseStorage(written, settings),
      (error: unknown) => {
        assert.ok(error instanceof TidemarkError, String(error));
        const told = `${error.message} (${error.hint})`;
        assert.match(told, expected);
        assert.equal(error.kind, 'usage');
        assert.ok(!told.includes(KEY) && !told.includes('s3cr-et') && !told.includes('c2VjcmV0'), told);
        return true;
      },
      written,
    );
  }
});

test('variables of the Azure tools count where they are about this account', () => {
  const here = { account: 'rephlo1', endpoint: 'https://rephlo1.blob.core.windows.net' };
  const found = (environment: NodeJS.ProcessEnv) => credentialOfEnvironment(here, environment);
  assert.equal(found({}), undefined);
  assert.equal(found({ AZURE_STORAGE_KEY: KEY }), undefined);
  assert.equal(found({ AZURE_STORAGE_KEY: KEY, AZURE_STORAGE_ACCOUNT: 'other' }), undefined);
  assert.deepEqual(found({ AZURE_STORAGE_KEY: KEY, AZURE_STORAGE_ACCOUNT: 'rephlo1' }), { accountKey: KEY });
  assert.deepEqual(found({ AZURE_STORAGE_SAS_TOKEN: `?${SAS}`, AZURE_STORAGE_ACCOUNT: 'rephlo1' }), {
    sasToken: SAS,
  });
  const own = `AccountName=rephlo1;AccountKey=${KEY}`;
  assert.deepEqual(found({ AZURE_STORAGE_CONNECTION_STRING: own }), { accountKey: KEY });
  const emulator = `${own};BlobEndpoint=http://127.0.0.1:10000/rephlo1`;
  assert.equal(found({ AZURE_STORAGE_CONNECTION_STRING: emulator }), undefined);
  const other = `AccountName=other;AccountKey=${KEY}`;
  assert.equal(found({ AZURE_STORAGE_CONNECTION_STRING: other }), undefined);
});
