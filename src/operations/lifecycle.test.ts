import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { checkAzure, checkGcs, checkS3 } from '../../tests/support/lifecycleGrammar.ts';
import { radosgw } from '../../tests/support/radosgw.ts';
import { makeBucket, stockClient } from '../../tests/support/s3Buckets.ts';
import { parseStorage } from '../storage/address.ts';
import { STORAGE_KINDS } from '../storage/kinds.ts';
import type { RepositorySpec, Strategy } from '../strategy/spec.ts';
import { lifecycleOf } from './lifecycle.ts';

interface Written {
  storageClass?: string;
  locked?: boolean;
  name?: string;
}

function rules(address: string, written: Written = {}, move = false) {
  const { storageClass, locked, name = 'main' } = written;
  const repository: RepositorySpec = {
    name,
    storage: parseStorage(address, { storageClass }),
    address,
    region: null,
    key: { kind: 'env', variable: 'KEY' },
    limits: { connections: null, bytesPerSecond: null },
    storageClass: storageClass ?? null,
    lock: locked ? { mode: 'compliance', forMs: 1 } : null,
    residency: null,
    offsite: null,
    capacityBytes: null,
    missing: [],
  };
  const strategy = { repositories: new Map([[name, repository]]) } as unknown as Strategy;
  return lifecycleOf(strategy, name, move);
}

const UPLOADS = {
  ID: 'tidemark main: unfinished uploads',
  Status: 'Enabled',
  Filter: { Prefix: 'a/b/' },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
};
const VERSIONS = {
  ID: 'tidemark main: old versions',
  Status: 'Enabled',
  Filter: { Prefix: 'a/b/' },
  NoncurrentVersionExpiration: { NoncurrentDays: 30 },
  Expiration: { ExpiredObjectDeleteMarker: true },
};

test('S3: unfinished uploads and old versions end, and nothing else does', () => {
  const { document, apply, notes } = rules('s3://bucket/a/b');
  assert.deepEqual(document, { Rules: [UPLOADS, VERSIONS] });
  assert.equal(
    apply,
    'aws s3api put-bucket-lifecycle-configuration --bucket bucket --lifecycle-configuration file://lifecycle.json',
  );
  assert.match(notes.join('\n'), /replaces all rules of the bucket/);
  const elsewhere = rules('s3://bucket?endpoint=https://s3.example.com&profile=my backups');
  assert.match(
    elsewhere.apply,
    /--bucket bucket --profile 'my backups' --endpoint-url https:\/\/s3\.example\.com/,
  );
  assert.match(elsewhere.notes.join('\n'), /s3\.example\.com may not know every rule/);
});

test('S3: packs move to the class of the repository, as early as AWS takes them', () => {
  const moved = (storageClass: string) =>
    (rules('s3://bucket/a/b', { storageClass }, true).document as { Rules: object[] }).Rules[2];
  assert.deepEqual(moved('GLACIER_IR'), {
    ID: 'tidemark main: class of packs',
    Status: 'Enabled',
    Filter: { Prefix: 'a/b/packs/' },
    Transitions: [{ Days: 2, StorageClass: 'GLACIER_IR' }],
  });
  assert.deepEqual((moved('STANDARD_IA') as typeof UPLOADS & { Transitions: object }).Transitions, [
    { Days: 30, StorageClass: 'STANDARD_IA' },
  ]);
});

test('Google Cloud Storage: the same, in its words', () => {
  const { document, apply } = rules('gs://bucket/main', { storageClass: 'COLDLINE' }, true);
  assert.deepEqual(document, {
    rule: [
      { action: { type: 'AbortIncompleteMultipartUpload' }, condition: { age: 7, matchesPrefix: ['main/'] } },
      {
        action: { type: 'Delete' },
        condition: { isLive: false, daysSinceNoncurrentTime: 30, matchesPrefix: ['main/'] },
      },
      {
        action: { type: 'SetStorageClass', storageClass: 'COLDLINE' },
        condition: {
          age: 2,
          matchesPrefix: ['main/packs/'],
          matchesStorageClass: ['STANDARD', 'NEARLINE'],
        },
      },
    ],
  });
  assert.equal(apply, 'gcloud storage buckets update gs://bucket --lifecycle-file lifecycle.json');
  assert.deepEqual(rules('gs://bucket').document, {
    rule: [
      { action: { type: 'AbortIncompleteMultipartUpload' }, condition: { age: 7 } },
      { action: { type: 'Delete' }, condition: { isLive: false, daysSinceNoncurrentTime: 30 } },
    ],
  });
});

test('Azure: old versions of what was locked end, and packs move', () => {
  const written = { storageClass: 'Cool', locked: true, name: 'off-site 2' };
  const { document, apply } = rules('azure://account/backups/main', written, true);
  const rule = (name: string, prefix: string, actions: object) => ({
    name,
    enabled: true,
    type: 'Lifecycle',
    definition: { filters: { blobTypes: ['blockBlob'], prefixMatch: [prefix] }, actions },
  });
  assert.deepEqual(document, {
    rules: [
      rule('tidemarkOffSite2OldVersions', 'backups/main/', {
        version: { delete: { daysAfterCreationGreaterThan: 30 } },
      }),
      rule('tidemarkOffSite2Packs', 'backups/main/packs/', {
        baseBlob: { tierToCool: { daysAfterModificationGreaterThan: 2 } },
      }),
    ],
  });
  assert.match(apply, /^az storage account management-policy create --account-name account /);
  const unneeded = rules('azure://account/backups');
  assert.deepEqual([unneeded.document, unneeded.apply], [null, '']);
  assert.match(unneeded.notes.join('\n'), /no rule is needed/);
});

test('every document is one that its provider reads, and none could end a live object', () => {
  const places = {
    s3: ['s3://bucket', 's3://bucket/a', 's3://bucket/a/b?endpoint=https://s3.example.com'],
    gcs: ['gs://bucket', 'gs://bucket/a/b'],
    azure: ['azure://account/container', 'azure://account/container/a/b'],
  };
  const checks = { s3: checkS3, gcs: checkGcs, azure: checkAzure };
  let checked = 0;
  for (const [kind, addresses] of Object.entries(places) as [keyof typeof places, string[]][]) {
    const { classes } = STORAGE_KINDS.find(each => each.kind === kind)!;
    for (const address of addresses)
      for (const storageClass of [undefined, ...Object.keys(classes)])
        for (const locked of [true, false])
          for (const move of [true, false]) {
            if (move && (storageClass === undefined || storageClass === Object.keys(classes)[0])) continue;
            if (move && classes[storageClass!]!.frozen) continue;
            const { document } = rules(address, { storageClass, locked, name: `n-${locked} é` }, move);
            if (document === null) continue;
            checks[kind](document);
            checked++;
          }
  }
  assert.ok(checked > 60, `${checked} documents`);
});

test('what can not be is refused', () => {
  assert.throws(() => rules('file:///var/backups'), { code: 'LIFECYCLE_NONE', kind: 'usage' });
  for (const [address, storageClass] of [
    ['s3://bucket', undefined],
    ['s3://bucket', 'STANDARD'],
    ['s3://bucket', 'DEEP_ARCHIVE'],
    ['azure://account/container', 'Hot'],
    ['azure://account/container', 'Archive'],
    ['gs://bucket', 'STANDARD'],
  ] as const)
    assert.throws(() => rules(address, { storageClass }, true), { code: 'LIFECYCLE_CLASS', kind: 'usage' });
  assert.throws(() => lifecycleOf({ repositories: new Map() } as unknown as Strategy, 'x', false), {
    code: 'REPOSITORY_UNKNOWN',
  });
});

test("Ceph's S3 server takes the rules, and says them again", async () => {
  const { endpoint } = await radosgw();
  await makeBucket('lifecycle', { locks: true });
  const client = await stockClient();
  for (const [path, storageClass] of [
    ['', undefined],
    ['/a/b', 'GLACIER_IR'],
  ] as const) {
    const address = `s3://lifecycle${path}?endpoint=${endpoint}`;
    const { document } = rules(address, { storageClass, locked: true }, storageClass !== undefined);
    const LifecycleConfiguration = document as { Rules: never[] };
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: 'lifecycle', LifecycleConfiguration }),
    );
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: 'lifecycle' }));
    const byId = (one: { ID?: string }, other: { ID?: string }) => (one.ID! < other.ID! ? -1 : 1);
    // A rule for everything comes back in the form of before there were filters.
    const told = Rules!.map(({ Prefix, Filter = { Prefix }, ...rule }) => ({ ...rule, Filter }));
    assert.deepEqual(told.sort(byId), [...LifecycleConfiguration.Rules].sort(byId));
  }
  client.destroy();
});
