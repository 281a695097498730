import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secretKind, withoutSecrets } from './secretText.ts';

const KEY = `tidemark-key-1:${'abcd2345'.repeat(6)}abcd:0123abcd`;

test('what is a secret by its form', () => {
  for (const [text, kind] of [
    ['postgres://u:p@h/db', 'a connection URL'],
    ['"postgresql://h/db"', 'a connection URL'],
    ['DATABASE_URL=postgresql+asyncpg://u@h', 'a connection URL'],
    ['s3://key:secret@bucket/x', 'a URL with credentials'],
    ['https://me:pa/ss@h', 'a URL with credentials'],
    ['host=h password=x', 'a connection string with a password'],
    [KEY, 'a key'],
    [`x ${KEY.toUpperCase()}`, 'a key'],
    ['SCRAM-SHA-256$4096:abc', 'a password verifier'],
    ['sftp://user@host:22/a@b', undefined],
    ['s3://bucket/prefix?region=x', undefined],
    ['arn:aws:kms:eu:1:key/2', undefined],
    ['20261121-095747000-3f9c2a7b', undefined],
    ['public.password', undefined],
  ] as const)
    assert.equal(secretKind(text), kind, text);
});

test('secrets are left out of a text, and nothing else', () => {
  for (const [text, shown] of [
    ['there is no postgres://u:p@ss/w?rd@h/db here', 'there is no postgres://…@h/db here'],
    [`no key file ${KEY}, see`, 'no key file tidemark-key-1:…, see'],
    ["conninfo host=h password='a b' user=u", 'conninfo host=h password=… user=u'],
    ['{"a":"password=x","b":1}', '{"a":"password=…","b":1}'],
    ['AGE-SECRET-KEY-1QQQQQQQQQQQQ', 'AGE-SECRET-KEY-1…'],
  ] as const)
    assert.equal(withoutSecrets(text), shown);
  for (const text of [
    'a key looks like tidemark-key-1:52 letters and digits:8 digits',
    'postgresql://USER@/DATABASE?host=/var/run/postgresql',
    'tidemark init postgresql://user:password@host:5432/dbname',
    'sftp://user@host/path, s3://bucket, https://example.org/a@b',
  ])
    assert.equal(withoutSecrets(text), text);
});
