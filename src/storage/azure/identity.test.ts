import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type Answer, Answering } from '../../../tests/support/answering.ts';
import { type Azurite, startAzurite } from '../../../tests/support/azurite.ts';

/**
 * The standard chain of Azure, whole: the identity of a machine, which this test hands out tokens for as App Service does,
 * and a server that takes them over https. Each run is a process of its own, since the chain is set by its environment.
 */
const folder = mkdtempSync(join(tmpdir(), 'tidemark-azure-'));
const cert = join(folder, 'cert.pem');
let server: Azurite;
let identity: Answering;
let audience = 'https://storage.azure.com';

before(async () => {
  const key = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['-keyout', key, '-out', cert, '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...made, ...subject], {
    stdio: 'pipe',
  });
  server = await startAzurite({ cert, key });
  identity = await Answering.with(() => token());
});
after(() => {
  server.stop();
  identity.close();
  rmSync(folder, { recursive: true });
});

/** As App Service gives one: learn.microsoft.com/azure/app-service/overview-managed-identity. */
function token(): Answer {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: audience,
    iss: 'https://sts.windows.net/x/',
    iat: now,
    nbf: now - 60,
    exp: now + 3600,
  };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const access_token = `${part({ alg: 'none' })}.${part(claims)}.c2lnbmF0dXJl`;
  const body = { access_token, expires_on: String(now + 3600), resource: audience, token_type: 'Bearer' };
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

const RUN = `
  const { openStorage } = await import(process.env.TEST_INDEX);
  const { parseStorage } = await import(process.env.TEST_ADDRESS);
  const spec = parseStorage(process.env.TEST_STORAGE, {});
  try {
    const storage = await openStorage({ spec }, { retry: { attempts: 1 } });
    await storage.put('packs/a', [Buffer.from('by identity')]);
    for await (const { name } of storage.list('')) console.log(name, String(await storage.get(name)));
  } catch (error) { console.log(error.code, error.message, error.hint); }`;
const CREATE = `
  const { ContainerClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
  const { TEST_ACCOUNT, TEST_KEY, TEST_CONTAINER } = process.env;
  const key = new StorageSharedKeyCredential(TEST_ACCOUNT, TEST_KEY);
  await new ContainerClient(TEST_CONTAINER, key).createIfNotExists();`;

const MANAGED = {
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
  IDENTITY_HEADER: 'secret-of-the-machine',
};

async function run(program: string, environment: Record<string, string>): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    env: {
      TEST_INDEX: join(import.meta.dirname, '../index.ts'),
      TEST_ADDRESS: join(import.meta.dirname, '../address.ts'),
      TEST_STORAGE: `azure://${server.account}/backups?endpoint=${server.endpoint}`,
      NODE_NO_WARNINGS: '1',
      ...environment,
    },
  });
  return stdout.trim();
}

test('without credentials, the identity of the machine is what counts', async () => {
  await run(CREATE, {
    NODE_EXTRA_CA_CERTS: cert,
    TEST_ACCOUNT: server.account,
    TEST_KEY: server.accountKey,
    TEST_CONTAINER: `${server.endpoint}/backups`,
  });
  const environment = { ...MANAGED, IDENTITY_ENDPOINT: identity.url, NODE_EXTRA_CA_CERTS: cert };
  assert.equal(await run(RUN, environment), 'packs/a by identity');
  assert.ok(identity.asked.every(({ headers }) => headers['x-identity-header'] === 'secret-of-the-machine'));
  assert.equal(identity.asked.length, 1, 'one token does for all calls');
});

test('a token that the service does not take, and an identity that can not be had, say what to do', async () => {
  audience = 'https://graph.microsoft.com';
  const environment = { ...MANAGED, IDENTITY_ENDPOINT: identity.url, NODE_EXTRA_CA_CERTS: cert };
  assert.match(
    await run(RUN, environment),
    /^STORAGE_CREDENTIALS can't write packs\/a .*: AuthenticationFailed/,
  );
  const none = { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential', NODE_EXTRA_CA_CERTS: cert };
  assert.match(await run(RUN, none), /^STORAGE_CREDENTIALS .*: no Azure credential works: .*az login/);
});

test('a certificate that is not trusted is told, and how to trust it', async () => {
  const environment = { ...MANAGED, IDENTITY_ENDPOINT: identity.url };
  assert.match(await run(RUN, environment), /^STORAGE_TLS .* NODE_EXTRA_CA_CERTS/);
});

test('no token goes over a connection that anyone can read', async () => {
  const before = identity.asked.length;
  const environment = {
    ...MANAGED,
    IDENTITY_ENDPOINT: identity.url,
    TEST_STORAGE: `azure://${server.account}/backups?endpoint=http://127.0.0.1:${server.port}/${server.account}`,
  };
  assert.match(await run(RUN, environment), /^STORAGE_SETTING .*plain text.*https/);
  assert.equal(identity.asked.length, before);
});

test('the variables of the Azure tools are used where they are about this account', async () => {
  const environment = {
    AZURE_STORAGE_ACCOUNT: server.account,
    AZURE_STORAGE_KEY: server.accountKey,
    NODE_EXTRA_CA_CERTS: cert,
  };
  assert.equal(await run(RUN, environment), 'packs/a by identity');
});

test('where the SDK is not installed, the package is named', async () => {
  const without = `
    import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      return next(name === '@azure/storage-blob' ? '@azure/storage-blob-that-is-not-there' : name, context);
    } });
    ${RUN}`;
  assert.match(await run(without, {}), /^STORAGE_SDK_MISSING .*npm install @azure\/storage-blob/);
});
