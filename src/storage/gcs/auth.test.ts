import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { GcsServer } from '../../../tests/support/gcsServer.ts';
import { TidemarkError } from '../../base/errors.ts';
import { parseStorage } from '../address.ts';
import { refuses } from '../storage.contract.ts';
import { openGcs } from './open.ts';
import type { GcsSpec } from './spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-gcs-'));
const server = await GcsServer.start();
server.bucket('bucket');
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ADDRESS = `gs://bucket/a?endpoint=${server.endpoint}`;

function open(credentials: Record<string, string>) {
  return openGcs(parseStorage(ADDRESS, { credentials }) as GcsSpec, 10_000);
}

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** What another process prints that puts, reads and lists an object; without credentials in the strategy. */
async function elsewhere(
  environment: Record<string, string>,
  address = ADDRESS,
  settings: object = {},
): Promise<{ printed: string; warned: string }> {
  const program = `
    import { parseStorage } from ${JSON.stringify(join(import.meta.dirname, '../address.ts'))};
    import { openGcs } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
    try {
      const storage = await openGcs(parseStorage(process.argv[1], JSON.parse(process.argv[2])), 20_000);
      await storage.put('object', [Buffer.from('there')]);
      for await (const { name } of storage.list('')) console.log(name, String(await storage.get(name)));
    } catch (error) {
      console.log(error.code, error.message, '|', error.hint);
    }`;
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      program,
      address,
      JSON.stringify(settings),
    ],
    {
      env: { PATH: process.env.PATH, HOME: folder, METADATA_SERVER_DETECTION: 'none', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { printed: '', warned: '' };
  child.stdout!.on('data', piece => (output.printed += piece));
  child.stderr!.on('data', piece => (output.warned += piece));
  await once(child, 'close');
  return output;
}

test('credentials come from the strategy, as a text or a file', async () => {
  const file = written('identity.json', server.credentials);
  for (const [key, value] of [
    ['credentials_json', server.credentials],
    ['credentials_file', file],
  ] as const) {
    const storage = await open({ [key]: value });
    await storage.put('object', [Buffer.from('there')]);
    assert.equal((await storage.get('object')).toString(), 'there');
  }
});

test('without them, from the machine: a variable, or what gcloud has left', async () => {
  const file = written('default.json', server.credentials);
  const config = join(folder, 'gcloud');
  mkdirSync(config);
  writeFileSync(join(config, 'application_default_credentials.json'), server.credentials);
  for (const [variable, value] of [
    ['GOOGLE_APPLICATION_CREDENTIALS', file],
    ['CLOUDSDK_CONFIG', config],
  ] as const)
    assert.deepEqual(await elsewhere({ [variable]: value }), { printed: 'object there\n', warned: '' });
});

test('a machine that has none is told where they could be', async () => {
  const { printed, warned } = await elsewhere({});
  assert.match(
    printed,
    /^STORAGE_AUTHENTICATION can't get an access token .*default credentials.*credentials_file/,
  );
  assert.equal(warned, '');
  const gone = await elsewhere({ GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'none.json') });
  assert.match(gone.printed, /^STORAGE_AUTHENTICATION .*none\.json/);
});

test('credentials that are refused or unreadable are told without showing them', async () => {
  const odd = written('odd.json', `{"type": "service_account", "private_key": "s3cret`);
  const other = server.credentials.replace('/subject', '/storage/v1/b/bucket');
  for (const [credentials, message] of [
    [{ credentials_json: other }, /can't get an access token from Google/],
    [{ credentials_file: join(folder, 'none.json') }, /can't read the credentials file .*none\.json: ENOENT/],
    [{ credentials_file: odd }, /are none that are known/],
  ] as const)
    await assert.rejects((await open(credentials)).stat('object'), (error: unknown) => {
      assert.ok(error instanceof TidemarkError);
      assert.deepEqual(
        [error.code, error.kind, error.retry],
        ['STORAGE_AUTHENTICATION', 'failed', undefined],
      );
      assert.match(error.message, message);
      assert.ok(!JSON.stringify([error, error.message, String(error.cause)]).includes('s3cret'));
      return true;
    });
  const storage = await open({ credentials_json: server.credentials });
  server.trouble(({ path }) => path.includes('/storage/v1/'), { answer: 401, reason: 'authError' }, 2);
  await refuses('STORAGE_AUTHENTICATION', 'failed', storage.stat('object'));
});

test('a token server that is out of order is asked again later', async () => {
  const storage = await open({ credentials_json: server.credentials });
  server.trouble(({ path }) => path.endsWith('/token'), { answer: 503 }, 10);
  await assert.rejects(storage.stat('none'), { code: 'STORAGE_BUSY', retry: {} });
  server.untroubled();
  assert.equal(await storage.stat('none'), undefined);
});

test("a service account's key works at Google's own addresses, over TLS and through a proxy", async () => {
  const proxy = await googleBehindProxy();
  const settings = { credentials: { credentials_json: server.tokens.serviceAccount() } };
  const environment = { HTTPS_PROXY: proxy.address, NODE_EXTRA_CA_CERTS: proxy.authority };
  try {
    const { printed, warned } = await elsewhere(environment, 'gs://bucket/google', settings);
    assert.deepEqual([printed, warned], ['object there\n', '']);
    assert.deepEqual([...proxy.asked].sort(), ['oauth2.googleapis.com:443', 'storage.googleapis.com:443']);
    const distrusted = await elsewhere({ HTTPS_PROXY: proxy.address }, 'gs://bucket/google', settings);
    assert.match(distrusted.printed, /^STORAGE_TLS .*certificate is not trusted/);
  } finally {
    await proxy.stop();
  }
});

/** A proxy behind which everything is the test server, with a certificate for Google's names. */
async function googleBehindProxy() {
  const [key, authority] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const names = 'subjectAltName=DNS:storage.googleapis.com,DNS:oauth2.googleapis.com';
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tests'];
  execFileSync('openssl', [...request, '-addext', names, '-keyout', key, '-out', authority], {
    stdio: 'pipe',
  });
  const behind = Number(new URL(server.endpoint).port);
  const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(authority) }, socket => {
    const inner = connect(behind, '127.0.0.1');
    socket.pipe(inner).pipe(socket);
    for (const each of [socket, inner]) each.on('error', () => {});
  });
  const asked = new Set<string>();
  const proxy = createServer().on('connect', (incoming, socket) => {
    asked.add(incoming.url!);
    const inner = connect(portOf(tls), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      socket.pipe(inner).pipe(socket);
    });
    for (const each of [socket, inner]) each.on('error', () => {});
  });
  for (const each of [tls, proxy]) await once(each.listen(0, '127.0.0.1'), 'listening');
  return {
    address: `http://127.0.0.1:${portOf(proxy)}`,
    authority,
    asked,
    stop: async () => {
      for (const each of [proxy, tls]) each.close();
    },
  };
}

function portOf(listening: Server): number {
  return (listening.address() as AddressInfo).port;
}
