import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { ConnectionSettings } from './connectionSettings.ts';
import { parseKeyValue } from './keyValue.ts';
import { parsePasswordFile } from './passwordFile.ts';
import {
  describeSettings,
  passwordFor,
  resolveSettings,
  type SettingsSource,
  withDatabase,
} from './settings.ts';

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemark-settings-'));
});
after(() => rm(home, { recursive: true }));

const resolve = (source: SettingsSource | string, environment: NodeJS.ProcessEnv = {}, at = home) =>
  resolveSettings(typeof source === 'string' ? { url: source } : source, environment, at);

async function refused(
  source: SettingsSource | string,
  message: RegExp,
  environment: NodeJS.ProcessEnv = {},
) {
  await assert.rejects(resolve(source, environment), error => {
    assert.equal((error as { code?: string }).code, 'CONNECTION_STRING');
    assert.match((error as Error).message, message);
    assert.doesNotMatch(JSON.stringify(error), /s3cret/);
    return true;
  });
}

test('connection strings', async t => {
  const host = (name: string, port = 5432) => ({ host: name, port });
  const cases: [string, Partial<ConnectionSettings>][] = [
    [
      'postgres://u:p@h/d',
      { user: 'u', password: 'p', hosts: [host('h')], database: 'd', sslmode: 'require' },
    ],
    [
      'postgresql://u@h1:1,h2,[2001:db8::1]:3/d',
      { hosts: [host('h1', 1), host('h2'), host('2001:db8::1', 3)] },
    ],
    ['postgresql://[::1]/d', { hosts: [host('::1')], sslmode: 'prefer' }],
    ['postgresql://%2Frun%2Fpg:6000/d', { hosts: [host('/run/pg', 6000)], sslmode: 'prefer' }],
    ['postgresql:///d?host=/run/pg&port=6000', { hosts: [host('/run/pg', 6000)] }],
    ['postgresql:///d?host=@abstract', { hosts: [host('@abstract')] }],
    ['postgresql://', { user: userInfo().username, database: userInfo().username }],
    ['postgresql://other@', { user: 'other', database: 'other' }],
    ['postgresql://@h:/?dbname=d', { hosts: [host('h')], database: 'd' }],
    ['postgresql://u:a%40b%2F%3A%25%0A%20c@h/d%20e', { password: 'a@b/:%\n c', database: 'd e' }],
    ['postgresql://u:p?a#b@h/d', { password: 'p?a#b', database: 'd' }],
    ['postgresql://%C3%BCser:%E5%AF%86@h/%E6%95%B0', { user: 'üser', password: '密', database: '数' }],
    [
      'postgresql://h/d?options=endpoint%3Dx&application_name=a+b',
      { options: 'endpoint=x', applicationName: 'a+b' },
    ],
    [
      'postgres://h/d?schema=public&pgbouncer=true&connection_limit=1&pool=5&connect_timeout=9',
      { connectTimeoutMs: 9000 },
    ],
    ['postgres://h/d?connect_timeout=2147484', { connectTimeoutMs: 2 ** 31 - 1 }], // a timer's limit
    ['postgres://h/d?ssl=true', { sslmode: 'require' }],
    ['postgres://h/d?channel_binding=require&sslmode=require', { channelBinding: 'require' }],
    [
      '  host=h\n dbname = d user=u password=p\t',
      { hosts: [host('h')], database: 'd', user: 'u', password: 'p' },
    ],
    ["host=h password='it\\'s a \\\\ \n'dbname=d", { password: "it's a \\ \n", database: 'd' }],
    ['host=h password=a\\ b\\\\c dbname=d', { password: 'a b\\c', database: 'd' }],
    ["host='' password='' dbname=''", { password: undefined, user: userInfo().username }],
    ['host=h1,h2 port=1,2', { hosts: [host('h1', 1), host('h2', 2)] }],
    ['host=h1,h2 port=7', { hosts: [host('h1', 7), host('h2', 7)] }],
    [
      'hostaddr=10.0.0.1',
      { hosts: [{ host: '10.0.0.1', port: 5432, address: '10.0.0.1' }], sslmode: 'require' },
    ],
    ['host=localhost hostaddr=10.0.0.1', { sslmode: 'require' }],
  ];
  for (const [text, expected] of cases) {
    await t.test(JSON.stringify(text), async () => {
      const settings = (await resolve(text)) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(settings[key], value, key);
    });
  }
});

test('what can not be understood is refused without quoting a secret', async () => {
  await refused('postgresql://u:s3cret%zz@h/d', /password .* percent-encoded/);
  await refused('postgresql://u:x@s3cret@h/d', /more than one @/);
  await refused('postgresql://u:s3cret/x@h/d', /port that is not a number/);
  await refused('postgresql://u:%00@h/d', /zero byte/);
  await refused('postgresql://h/d?sllmode=require', /"sllmode" in the connection URL/);
  await refused('postgresql://h/d?sslmode', /without a value/);
  await refused('postgresql://h/d?sslmode=sometimes', /sslmode/);
  await refused('postgresql://h/d?ssl=false', /ssl=false/);
  await refused('postgresql://[::1/d', /without its \]/);
  await refused('postgresql://h:0/d', /65535/);
  await refused('jdbc:postgresql://h/d', /does not start with/);
  await refused('postgresql+asyncpg://u:s3cret@h/d', /does not start with/);
  await refused('mydb', /neither/);
  await refused('password=a s3cret=b', /unknown connection parameter after the password/);
  await refused("password='s3cret", /closing quote/);
  await refused('host=a,b port=1,2,3', /2 hosts and 3 ports/);
  await refused('host=h requirepeer=postgres', /requirepeer/);
  await refused('host=h', /requirepeer/, { PGREQUIREPEER: 'postgres' });
  await refused('host=h sslrootcert=system sslmode=require', /sslrootcert=system/);
  await refused('host=localhost sslnegotiation=direct', /sslnegotiation=direct/);
  await refused('host=h connect_timeout=soon', /connect_timeout/);
  await refused('host=h require_auth=md5,!none', /mixes/);
});

test('TLS is on for a remote host unless it is turned off in so many words', async () => {
  const mode = async (text: string, at = home) => (await resolve(text, {}, at)).sslmode;
  for (const remote of ['host=h', 'host=10.0.0.1', 'host=localhost,h', 'host=127.0.0.1.example.com']) {
    assert.equal(await mode(remote), 'require');
    assert.equal(await mode(`${remote} sslmode=allow`), 'require');
    assert.equal(await mode(`${remote} sslmode=prefer`), 'require');
    assert.equal(await mode(`${remote} sslmode=disable`), 'disable');
  }
  for (const local of [
    'host=localhost',
    'host=127.1.2.3',
    'host=::1',
    'host=0:0::1',
    'host=/run',
    'host=::ffff:127.0.0.1',
  ]) {
    assert.equal(await mode(local), 'prefer');
    assert.equal(await mode(`${local} sslmode=allow`), 'allow');
  }
  assert.equal(await mode('host=h sslrootcert=system'), 'verify-full');
  const other = join(home, 'with-root');
  await mkdir(join(other, '.postgresql'), { recursive: true });
  await writeFile(join(other, '.postgresql', 'root.crt'), '');
  assert.equal(await mode('host=h sslmode=require', other), 'verify-ca');
  assert.equal(await mode('host=localhost', other), 'prefer');
});

test('precedence: given, service file, environment, defaults', async () => {
  const file = join(home, 'services.conf');
  await writeFile(
    file,
    '# comment\n[other]\nhost=wrong\n[app]\nhost=service\nhost=second\nport = 6000\n\n[bad]\nnonsense=1\n',
  );
  const environment = {
    PGSERVICEFILE: file,
    PGHOST: 'env',
    PGPORT: '7000',
    PGUSER: 'env',
    PGDATABASE: 'env',
  };
  const settings = await resolve('service=app dbname=given', environment);
  assert.equal(describeSettings(settings), 'given on service:6000');
  assert.equal(settings.user, 'env');
  assert.equal(
    describeSettings(await resolve({ url: 'postgres://url/a', host: 'part' }, {})),
    'a on part:5432',
  );
  assert.equal(
    describeSettings(await resolve({}, { ...environment, PGSERVICE: 'app' })),
    'env on service:6000',
  );
  await refused('service=missing', /no definition of service missing/, environment);
  await refused('service=bad', /"nonsense" in line 10/, environment);
  await writeFile(join(home, '.pg_service.conf'), '[app]\nhost=home\n');
  await writeFile(join(home, 'pg_service.conf'), '[system]\nhost=system\n');
  assert.equal(describeSettings(await resolve('service=app dbname=d')), 'd on home:5432');
  assert.equal(
    describeSettings(await resolve('service=system dbname=d', { PGSYSCONFDIR: home })),
    'd on system:5432',
  );
});

test('password file: wildcards, escapes, per host and database, and only when private', async () => {
  const file = join(home, 'passwords');
  const lines = [
    '# c',
    'bad line',
    'h1:5432:a:u:one',
    'h2:*:*:u:two\\:\\\\ x\r',
    'localhost:*:*:u:socket',
    '\\:\\:1:*:*:*:six',
  ];
  await writeFile(file, lines.join('\n'), { mode: 0o600 });
  const settings = await resolve('host=h1,h2,/tmp,::1 dbname=a user=u', { PGPASSFILE: file });
  const passwords = (s: ConnectionSettings) => s.hosts.map(host => passwordFor(s, host));
  assert.deepEqual(passwords(settings), ['one', 'two:\\ x', 'socket', 'six']);
  assert.deepEqual(passwords(withDatabase(settings, 'b')), [undefined, 'two:\\ x', 'socket', 'six']);
  assert.deepEqual(structuredClone(settings), settings);
  assert.deepEqual(parsePasswordFile('a:b:c:d:'), [
    { host: 'a', port: 'b', database: 'c', user: 'd', password: '' },
  ]);
  await chmod(file, 0o640);
  const open = await resolve('host=h1 user=u', { PGPASSFILE: file });
  assert.equal(passwordFor(open, open.hosts[0]!), undefined);
  assert.match(open.warnings![0]!, /chmod 600/);
});

const formatKeyValue = (keywords: Record<string, string>) =>
  Object.entries(keywords)
    .map(([keyword, value]) => `${keyword}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(each => !each.includes('\0'));

test('property: settings survive a key=value string and a URL', async () => {
  const keywords = fc.record({ user: text, dbname: text, password: text, options: text });
  await fc.assert(
    fc.asyncProperty(
      keywords,
      fc.array(fc.domain(), { minLength: 1, maxLength: 3 }),
      async (given, hosts) => {
        const all = { ...given, host: hosts.join(','), sslmode: 'verify-full' };
        assert.deepEqual(parseKeyValue(formatKeyValue(all)), all);
        const direct = await resolve(all);
        assert.deepEqual(await resolve(formatKeyValue(all)), direct);
        const [user, password, database, options] = [
          given.user,
          given.password,
          given.dbname,
          given.options,
        ].map(encodeURIComponent);
        const url = `postgresql://${user}:${password}@${all.host}/${database}?options=${options}&sslmode=verify-full`;
        assert.deepEqual(await resolve(url), direct);
      },
    ),
  );
});

test('property: no text whatever ends in anything but settings or a refusal', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.string().map(each => `postgres://${each}`),
      ),
      async any => {
        await resolve(any).catch(error => assert.equal(error.code, 'CONNECTION_STRING', error.stack));
      },
    ),
    { numRuns: 500 },
  );
});
