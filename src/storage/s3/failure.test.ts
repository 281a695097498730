import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { radosgw, type S3User } from '../../../tests/support/radosgw.ts';
import { makeBucket, specOf, type Written } from '../../../tests/support/s3Buckets.ts';
import { type Interference, S3Proxy } from '../../../tests/support/s3Proxy.ts';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import { openS3, type S3Storage } from './storage.ts';

/** How what goes wrong is told. What the test server never says is said for it, as AWS and others write it. */

const PATIENCE = { connectMs: 1000, silenceMs: 1000 };

let user: S3User;
let stranger: S3User;
let proxy: S3Proxy;

before(async () => {
  const server = await radosgw();
  user = server.user;
  stranger = await server.createUser('stranger');
  proxy = await S3Proxy.start(server.endpoint, user);
  await makeBucket('failures');
  await (await storage('failures')).put('object', [Buffer.from('x')]);
});

after(() => proxy?.close()); // with no test chosen, it may not have started yet

async function storage(place: string, written?: Written): Promise<S3Storage> {
  return openS3(await specOf(place, written), PATIENCE);
}

interface Expected {
  code: string;
  says: RegExp;
  kind?: string;
  /** Absent: not temporary; a number: after so many milliseconds. */
  retry?: true | number;
}

async function fails(
  call: Promise<unknown>,
  { code, says, kind = 'failed', retry }: Expected,
): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.kind, kind);
    assert.match(`${error.message} — ${error.hint}`, says);
    assert.match(error.message, /^can't [a-z]+ /);
    assert.doesNotMatch(error.message, /\.$/);
    for (const secret of [user.secretAccessKey, stranger.secretAccessKey])
      assert.ok(!`${error.message} ${error.hint}`.includes(secret));
    if (retry === undefined) assert.equal(error.retry, undefined);
    else assert.deepEqual(error.retry, retry === true ? {} : { afterMs: retry });
    return true;
  });
}

/** Every method that asks the server, so that none tells it worse than the others. */
function calls(of: S3Storage): (() => Promise<unknown>)[] {
  return [
    () => of.get('object'),
    () => of.get('object', { offset: 0, length: 1 }),
    () => of.stat('object'),
    () => of.put('other', [Buffer.from('y')]),
    () => of.put('other', [Buffer.from('y')], { ifAbsent: true }),
    () => of.remove('other'),
    () => Array.fromAsync(of.list('')),
    () => of.now(),
    () => of.region(),
    () => of.freezer.state('object'),
    () => of.locks.until('object'),
  ];
}

test('wrong keys, denied access, no such bucket: told alike by every method', async () => {
  const unknown = { accessKeyId: 'NOBODY', secretAccessKey: 'x'.repeat(40) };
  for (const call of calls(await storage('failures', { user: unknown })))
    await fails(call(), { code: 'STORAGE_CREDENTIALS', says: /does not know the access key/ });
  const mistyped = { ...user, secretAccessKey: 'x'.repeat(40) };
  for (const call of calls(await storage('failures', { user: mistyped })))
    await fails(call(), { code: 'STORAGE_CREDENTIALS', says: /secret access key is not the one/ });
  for (const call of calls(await storage('failures', { user: stranger })))
    await fails(call(), { code: 'STORAGE_DENIED', says: /the credentials need s3:\w+/ });
  for (const call of calls(await storage('nowhere')))
    await fails(call(), { code: 'STORAGE_BUCKET_MISSING', says: /there is no bucket nowhere/ });
});

test('a server that is not there', async () => {
  const closed = { endpoint: 'http://127.0.0.1:1' };
  for (const call of calls(await storage('failures', closed)))
    await fails(call(), {
      code: 'STORAGE_UNREACHABLE',
      says: /127\.0\.0\.1:1 refuses connections/,
      retry: true,
    });
  const nowhere = await storage('failures', { endpoint: 'https://nowhere.invalid' });
  await fails(nowhere.get('object'), {
    code: 'STORAGE_UNREACHABLE',
    says: /there is no host .*nowhere\.invalid/,
  });
  const { endpoint } = await radosgw();
  const plain = await storage('failures', { endpoint: endpoint.replace('http:', 'https:') });
  await fails(plain.get('object'), { code: 'STORAGE_TLS', says: /does not speak TLS there/ });
});

/** What servers say, by the code and status they say it with, and what we make of it. */
const ANSWERS: [status: number, code: string, message: string, expected: Expected, more?: Partial<Answer>][] =
  [
    [
      400,
      'ExpiredToken',
      'The provided token has expired.',
      { code: 'STORAGE_CREDENTIALS', says: /has expired/ },
    ],
    [400, 'InvalidToken', 'malformed', { code: 'STORAGE_CREDENTIALS', says: /session token is not valid/ }],
    [
      400,
      'AuthorizationHeaderMalformed',
      "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-3'",
      { code: 'STORAGE_REGION', says: /is in eu-west-3, not in us-east-1 — write region: eu-west-3/ },
    ],
    [
      301,
      'PermanentRedirect',
      'The bucket you are attempting to access must be addressed using the specified endpoint.',
      { code: 'STORAGE_REGION', says: /is in ap-south-1, not/ },
      { headers: { 'x-amz-bucket-region': 'ap-south-1' } },
    ],
    [
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      { code: 'STORAGE_CLOCK', says: /clock is wrong: the server's says Fri, 02 Jan 2026/ },
      { headers: { date: 'Fri, 02 Jan 2026 03:04:05 GMT' } },
    ],
    [
      403,
      'InvalidObjectState',
      'The operation is not valid for the object’s storage class',
      { code: 'OBJECT_FROZEN', says: /thawed/ },
    ],
    [
      503,
      'SlowDown',
      'Please reduce your request rate.',
      { code: 'STORAGE_BUSY', says: /fewer requests/, retry: true },
    ],
    [
      503,
      'ServiceUnavailable',
      'try later',
      { code: 'STORAGE_BUSY', says: /ServiceUnavailable/, retry: 7000 },
      { headers: { 'retry-after': '7' } },
    ],
    [
      500,
      'InternalError',
      'We encountered an internal error.',
      { code: 'STORAGE_UNAVAILABLE', says: /InternalError/, retry: true },
    ],
    [429, 'TooManyRequests', 'slow', { code: 'STORAGE_BUSY', says: /fewer/, retry: true }],
    [
      400,
      'RequestTimeout',
      'Your socket was idle',
      { code: 'STORAGE_UNAVAILABLE', says: /RequestTimeout/, retry: true },
    ],
    [
      409,
      'OperationAborted',
      'conflict',
      { code: 'STORAGE_UNAVAILABLE', says: /OperationAborted/, retry: true },
    ],
    [
      409,
      'ConditionalRequestConflict',
      'conflict',
      { code: 'STORAGE_UNAVAILABLE', says: /ConditionalRequestConflict/, retry: true },
    ],
    [403, 'QuotaExceeded', 'quota', { code: 'STORAGE_FULL', says: /raise the quota.*prune/ }],
    [507, 'XMinioStorageFull', 'full', { code: 'STORAGE_FULL', says: /raise the quota.*prune/ }],
    [
      403,
      'AccessDenied',
      'Cannot upload files, storage cap exceeded. See the Caps & Alerts page',
      { code: 'STORAGE_FULL', says: /cap exceeded/ },
    ],
    [
      403,
      'AccessDenied',
      'Access Denied because object protected by object lock.',
      { code: 'OBJECT_LOCKED', says: /protected by object lock/ },
    ],
    [501, 'NotImplemented', 'A header you provided', { code: 'STORAGE_UNSUPPORTED', says: /NotImplemented/ }],
    [418, 'Teapot', 'I am one.', { code: 'STORAGE', says: /Teapot: I am one —/ }],
  ];

type Answer = Extract<Interference, { kind: 'answer' }>;

test('what servers answer, in our words', async () => {
  const through = await storage('failures', { endpoint: proxy.endpoint });
  for (const [status, code, message, expected, more] of ANSWERS) {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
    const answer: Answer = { kind: 'answer', status, body, ...more };
    proxy.interfere(() => true, answer);
    await fails(through.get('object'), expected);
    proxy.interfere(() => true, answer);
    await fails(through.put('other', [Buffer.from('x')]), expected);
  }
});

test('an answer without a body is asked why', async () => {
  const through = await storage('failures', { endpoint: proxy.endpoint });
  const body = '<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>expired</Message></Error>';
  proxy.interfere(({ method }) => method === 'HEAD', { kind: 'answer', status: 400 });
  proxy.interfere(({ method }) => method === 'GET', { kind: 'answer', status: 400, body });
  await fails(through.stat('object'), { code: 'STORAGE_CREDENTIALS', says: /has expired/ });
  proxy.interfere(({ method }) => method === 'HEAD', { kind: 'answer', status: 403 });
  await fails(through.stat('object'), {
    code: 'STORAGE_DENIED',
    says: /status 403 — the credentials need s3:ListBucket/,
  });
});

test('an answer that is not S3', async () => {
  const through = await storage('failures', { endpoint: proxy.endpoint });
  const html = { kind: 'answer', body: '<html><body>Welcome to nginx</body></html>' } as const;
  proxy.interfere(() => true, { ...html, status: 502 });
  await fails(through.get('object'), { code: 'STORAGE_UNAVAILABLE', says: /status 502|502/, retry: true });
  proxy.interfere(() => true, { ...html, status: 404 });
  await fails(through.get('object'), {
    code: 'STORAGE_NOT_S3',
    says: /status 404 — it answered with something that is not S3/,
  });
  const telling = calls(through).slice(0, 7);
  telling.splice(5, 1); // a removal is answered with nothing
  for (const call of telling) {
    proxy.interfere(() => true, { ...html, status: 200 }, 2);
    await fails(call(), { code: 'STORAGE_NOT_S3', says: /what answers is no S3 server|not S3/ });
    proxy.forget();
  }
});

test('a server that passes over ranges is found out', async () => {
  const through = await storage('failures', { endpoint: proxy.endpoint });
  proxy.interfere(() => true, {
    kind: 'answer',
    status: 200,
    headers: { etag: '"x"', 'content-length': '16' },
    body: 'the whole object',
  });
  await fails(through.get('object', { offset: 2, length: 3 }), {
    code: 'STORAGE_UNSUPPORTED',
    says: /gives the whole object/,
  });
});

test('no credentials, and a profile that is not there', async () => {
  const variables = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'AWS_REGION'] as const;
  for (const name of variables) delete process.env[name];
  process.env.AWS_EC2_METADATA_DISABLED = 'true';
  process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = '/dev/null';
  const { endpoint } = await radosgw();
  const open = (query: string) => openS3(parseStorage(`s3://failures?${query}`, {}) as never, PATIENCE);
  await fails((await open(`endpoint=${endpoint}`)).get('object'), {
    code: 'STORAGE_CREDENTIALS',
    says: /no credentials to ask with.* — write credentials: beside the storage/,
  });
  await fails((await open(`endpoint=${endpoint}&profile=none`)).get('object'), {
    code: 'STORAGE_CREDENTIALS',
    says: /no credentials to ask with/,
  });
  await fails((await open('profile=none')).get('object'), {
    code: 'STORAGE_REGION',
    says: /no region is given/,
  });
  process.env.AWS_ACCESS_KEY_ID = user.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = user.secretAccessKey;
  assert.equal((await (await open(`endpoint=${endpoint}`)).get('object')).toString(), 'x');
});
