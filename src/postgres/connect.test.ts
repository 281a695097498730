import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import type { TidemarkError } from '../base/errors.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { resolveSettings } from './settings/settings.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const START_ATTEMPTS = 100;

const uid = Number(execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' }));
const gid = Number(execFileSync('id', ['-g', 'postgres'], { encoding: 'utf8' }));
const asPostgres = process.getuid?.() === 0 ? { uid, gid } : {};

let directory: string;
const servers: ChildProcess[] = [];
let primary: number;
let standby: number;
let closed: number;

before(async () => {
  directory = mkdtempSync('/tmp/tm-connect-');
  chownSync(directory, uid, gid);
  chmodSync(directory, 0o755);
  makeCertificates();
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: directory, stdio: 'pipe', ...asPostgres });
  run(
    `${BIN}/initdb`,
    '-D',
    'primary',
    '-U',
    'postgres',
    '-A',
    'trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C',
  );
  writeFileSync(
    join(directory, 'primary', 'pg_hba.conf'),
    [
      'local all peered peer',
      'local all,replication all trust',
      'hostssl all certified 127.0.0.1/32 cert',
      'hostssl all tlsonly 127.0.0.1/32 scram-sha-256',
      'hostnossl all plainonly 127.0.0.1/32 scram-sha-256',
      'host all tlsonly,plainonly,certified,rejected 127.0.0.1/32 reject',
      'host all cleartext 127.0.0.1/32 password',
      'host all all 127.0.0.1/32 scram-sha-256',
    ].join('\n'),
  );
  run('cp', '-a', 'primary', 'standby');
  [primary, standby, closed] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(join(directory, 'standby', 'standby.signal'), '');
  await start(
    'primary',
    primary,
    'ssl=on',
    ...['cert', 'key'].map(kind => `ssl_${kind}_file=${file(`server.${kind}`)}`),
    `ssl_ca_file=${file('ca.cert')}`,
  );
  await start('standby', standby, 'ssl=off');
  const admin = await connect(await settingsOf(`host=${directory} port=${primary} user=postgres`));
  for (const role of ['app', 'tlsonly', 'plainonly', 'cleartext', 'certified', 'peered']) {
    await admin.query(`create role ${role} login password 'ﬁn@/ pass'`);
  }
  await admin.query("create role full login password 'x' connection limit 0");
  await admin.query('create database app');
  await admin.end();
});

after(async () => {
  for (const server of servers) {
    if (server.exitCode === null && server.kill('SIGINT')) await once(server, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
});

function file(name: string): string {
  return join(directory, name);
}

function makeCertificates(): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const authority = (name: string) =>
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.cert`,
      '-subj',
      `/CN=${name}`,
    );
  const signed = (name: string, cn: string, days: string) => {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      'request',
      '-subj',
      `/CN=${cn}`,
      '-addext',
      'subjectAltName=DNS:localhost',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      'request',
      '-CA',
      'ca.cert',
      '-CAkey',
      'ca.key',
      '-days',
      days,
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.cert`,
    );
  };
  authority('ca');
  authority('stranger');
  signed('server', 'localhost', '2');
  signed('expired', 'localhost', '-1');
  signed('client', 'certified', '2');
  openssl('rsa', '-aes256', '-passout', 'pass:open sesame', '-in', 'client.key', '-out', 'locked.key');
  copyFileSync(file('client.key'), file('open.key'));
  chmodSync(file('open.key'), 0o644);
  chownSync(file('server.key'), uid, gid);
}

async function start(name: string, port: number, ...parameters: string[]): Promise<void> {
  const all = [
    ...parameters,
    `port=${port}`,
    `unix_socket_directories=${directory}`,
    'listen_addresses=127.0.0.1',
    'fsync=off',
  ];
  const server = spawn(`${BIN}/postgres`, ['-D', name, ...all.flatMap(each => ['-c', each])], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...asPostgres,
  });
  servers.push(server);
  let log = '';
  server.stderr!.on('data', chunk => {
    log += chunk;
  });
  for (let attempt = 0; attempt < START_ATTEMPTS && !log.includes('ready to accept'); attempt++) {
    assert.equal(server.exitCode, null, log);
    await sleep(50);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise(done => server.close(done));
  return port;
}

function settingsOf(text: string) {
  return resolveSettings({ url: text }, {}, '/nonexistent');
}

const tcp = (rest = '') => `host=127.0.0.1 port=${primary} dbname=app user=app password='ﬁn@/ pass' ${rest}`;

async function works(text: string, options: ConnectOptions = {}): Promise<Record<string, unknown>> {
  const client = await connect(await settingsOf(text), options);
  try {
    const { rows } = await client.query(
      `select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as tls,
        current_setting('application_name') as name, current_setting('port')::int as port, current_setting('work_mem') as memory`,
    );
    return rows[0];
  } finally {
    await client.end();
  }
}

async function fails(text: string, code: string, message: RegExp, hint = /./, options: ConnectOptions = {}) {
  await assert.rejects(connect(await settingsOf(text), options), (error: TidemarkError) => {
    assert.equal(error.code, code, error.stack);
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    assert.doesNotMatch(JSON.stringify(error), /pass word|fin@|ﬁn@/);
    return true;
  });
}

test('socket, TCP, TLS, name and options, whatever PG* variables say', async () => {
  Object.assign(process.env, {
    PGOPTIONS: '-c nonsense=1',
    PGAPPNAME: 'wrong',
    PGSSLMODE: 'verify-full',
    PGREPLICATION: 'true',
  });
  try {
    const socket = await works(`host=${directory} port=${primary} user=app dbname=app sslmode=require`);
    assert.deepEqual(socket, { tls: false, name: 'tidemark', port: primary, memory: '4MB' });
    const found = await works(tcp("options='-c work_mem=8MB'"), { applicationName: 'worker' });
    assert.deepEqual(found, { tls: true, name: 'worker', port: primary, memory: '8MB' });
    assert.equal((await works(tcp('sslmode=disable'))).tls, false);
    assert.equal((await works(tcp('sslmode=allow'))).tls, false);
    assert.equal((await works(tcp('channel_binding=require'))).tls, true);
  } finally {
    for (const name of ['PGOPTIONS', 'PGAPPNAME', 'PGSSLMODE', 'PGREPLICATION']) delete process.env[name];
  }
});

test('TLS or not as the server has it', async () => {
  assert.equal((await works(tcp('user=tlsonly sslmode=allow'))).tls, true);
  assert.equal((await works(tcp('user=plainonly'))).tls, false);
  await fails(tcp('user=tlsonly sslmode=disable'), 'PG_HBA_REFUSED', /pg_hba/, /sslmode=require/);
  await fails(tcp('user=plainonly sslmode=require'), 'PG_HBA_REFUSED', /pg_hba/, /used TLS/);
  const plain = `host=127.0.0.1 port=${standby} user=postgres password=x`;
  await fails(plain, 'PASSWORD_WRONG', /postgres on 127/);
  await fails(`${plain} sslmode=require`, 'TLS_UNSUPPORTED', /does not support TLS/, /sslmode=disable/);
});

test('certificates', async () => {
  const named = tcp(`host=localhost hostaddr=127.0.0.1 sslrootcert=${file('ca.cert')}`);
  assert.equal((await works(`${named} sslmode=verify-full`)).tls, true);
  assert.equal((await works(tcp(`sslmode=verify-ca sslrootcert=${file('ca.cert')}`))).tls, true);
  await fails(
    tcp(`sslmode=verify-full sslrootcert=${file('ca.cert')}`),
    'TLS_NAME_MISMATCH',
    /not for 127.0.0.1/,
  );
  await fails(
    tcp(`sslmode=verify-ca sslrootcert=${file('stranger.cert')}`),
    'TLS_NOT_TRUSTED',
    /trusted/,
    /stranger/,
  );
  await fails(tcp(`sslmode=require sslrootcert=${file('stranger.cert')}`), 'TLS_NOT_TRUSTED', /trusted/);
  await fails(tcp('sslrootcert=system host=localhost'), 'TLS_NOT_TRUSTED', /trusted/);
  await fails(tcp('sslmode=verify-full'), 'TLS_FILE', /no root certificate/);
  await fails(tcp('sslmode=verify-ca sslrootcert=/missing'), 'TLS_FILE', /ENOENT/);
  await withServer(expired, port =>
    fails(
      tcp(`host=localhost hostaddr=127.0.0.1 port=${port} sslmode=verify-ca sslrootcert=${file('ca.cert')}`),
      'TLS_EXPIRED',
      /expired/,
    ),
  );
});

test('client certificates', async () => {
  const certified = (key: string) =>
    tcp(`user=certified sslmode=require sslcert=${file('client.cert')} ${key}`);
  assert.equal((await works(certified(`sslkey=${file('client.key')}`))).tls, true);
  assert.equal((await works(certified(`sslkey=${file('locked.key')} sslpassword='open sesame'`))).tls, true);
  await fails(certified(`sslkey=${file('locked.key')} sslpassword=no`), 'TLS_FILE', /can not be used/);
  await fails(certified(`sslkey=${file('open.key')}`), 'TLS_FILE', /others can read/, /chmod 600/);
  await fails(certified('sslkey=/missing'), 'TLS_FILE', /private key/);
  await fails(certified(''), 'TLS_FILE', /no private key/);
  await fails(tcp('user=certified sslmode=require'), 'PG_HBA_REFUSED', /certificate/);
});

test('what the server refuses', async () => {
  await fails(
    tcp("password='pass word'"),
    'PASSWORD_WRONG',
    /app on 127.0.0.1:\d+: the password for user app/,
  );
  await fails(tcp("password=''"), 'PASSWORD_MISSING', /asks for a password/);
  await fails(tcp('dbname=missing'), 'DATABASE_NOT_FOUND', /database missing does not exist/);
  await fails(
    `host=${directory} port=${primary} user=nobody`,
    'ROLE_NOT_FOUND',
    /role nobody does not exist/,
  );
  await fails(
    `host=${directory} port=${primary} user=peered`,
    'AUTHENTICATION_REFUSED',
    /Peer/,
    /operating system user/,
  );
  await fails(tcp('user=full password=x'), 'TOO_MANY_CONNECTIONS', /too many connections/);
  await fails(tcp('user=cleartext require_auth=scram-sha-256'), 'AUTHENTICATION_NOT_ALLOWED', /password/);
  await fails(tcp('user=cleartext channel_binding=require'), 'AUTHENTICATION_NOT_ALLOWED', /channel binding/);
  await fails(
    `host=${directory} port=${primary} user=app require_auth=!none`,
    'AUTHENTICATION_NOT_ALLOWED',
    /none/,
  );
  await withServer(refusing('08P01', 'unsupported startup parameter: options'), port =>
    fails(tcp(`port=${port} sslmode=disable`), 'STARTUP_REFUSED', /unsupported startup/, /direct host/),
  );
  await withServer(refusing('57P03', 'the database system is starting up'), async port => {
    await fails(tcp(`port=${port} sslmode=disable`), 'SERVER_STARTING', /starting up/, /try again/);
    assert.equal(
      (await works(tcp(`host=127.0.0.1,127.0.0.1 port=${port},${primary} sslmode=disable`))).port,
      primary,
    );
  });
});

test('what the network refuses', async () => {
  await fails(tcp(`port=${closed}`), 'CONNECTION_REFUSED', /refused/, /listen_addresses/);
  await fails('host=/nowhere user=app', 'SOCKET_NOT_FOUND', /no socket/);
  await fails('host=db.invalid user=app', 'HOST_NOT_FOUND', /app on db.invalid:5432/);
  await withServer(
    () => {},
    async port => {
      await fails(tcp(`port=${port} connect_timeout=1`), 'CONNECTION_TIMEOUT', /no answer within 1 s/);
      const signal = AbortSignal.timeout(50);
      await fails(tcp(`port=${port}`), 'INTERRUPTED', /interrupted/, /./, { signal });
    },
  );
  await withServer(
    socket => socket.end(),
    port => fails(tcp(`port=${port} sslmode=disable`), 'CONNECTION_CLOSED', /closed before/),
  );
  await fails(tcp(), 'INTERRUPTED', /interrupted/, /./, { signal: AbortSignal.abort() });
});

test('several hosts', async () => {
  const two = (first: number, second: number, rest = '') =>
    `host=127.0.0.1,${directory} port=${first},${second} user=postgres dbname=postgres ${rest}`;
  assert.equal((await works(two(closed, primary))).port, primary);
  await fails(
    two(closed, closed),
    'CONNECTION_REFUSED',
    /: 127.0.0.1:\d+: connection refused; \/tmp.*: there is no socket/,
  );
  await fails(two(closed, primary, 'user=nobody'), 'ROLE_NOT_FOUND', /connection refused; .*role nobody/);
  const sockets = (attributes: string) =>
    works(
      `host=${directory},${directory} port=${standby},${primary} user=postgres target_session_attrs=${attributes}`,
    );
  for (const wanted of ['read-write', 'primary']) assert.equal((await sockets(wanted)).port, primary);
  for (const wanted of ['any', 'read-only', 'standby', 'prefer-standby'])
    assert.equal((await sockets(wanted)).port, standby);
  const alone = `host=${directory} port=${primary} user=postgres`;
  assert.equal((await works(`${alone} target_session_attrs=prefer-standby`)).port, primary);
  await fails(`${alone} target_session_attrs=standby`, 'SESSION_ATTRIBUTES', /the server is primary/);
});

test('replication connections, dropped connections, and libpq programs', async () => {
  const local = await settingsOf(`host=${directory} port=${primary} user=postgres dbname=app`);
  for (const replication of ['true', 'database'] as const) {
    const walsender = await connect({ ...local, targetSessionAttrs: 'primary' }, { replication });
    assert.equal((await walsender.query('IDENTIFY_SYSTEM')).rows.length, 1);
    await walsender.end();
  }
  const [victim, killer] = [await connect(local), await connect(local)];
  const ended = new Promise<void>(done => victim.once('end', done));
  const { rows } = await victim.query('select pg_backend_pid() as pid');
  await killer.query('select pg_terminate_backend($1)', [rows[0].pid]);
  await ended;
  await assert.rejects(victim.query('select 1'));
  await killer.end();
});

async function withServer(
  answer: (socket: Socket) => void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  const server: Server = createServer(socket => {
    sockets.push(socket.on('error', () => {}));
    socket.once('data', () => answer(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use((server.address() as { port: number }).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise(done => server.close(done));
  }
}

function refusing(sqlstate: string, message: string): (socket: Socket) => void {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlstate}\0M${message}\0\0`);
  const header = Buffer.from([0x45, 0, 0, 0, fields.length + 4]);
  return socket => socket.end(Buffer.concat([header, fields]));
}

function expired(socket: Socket): void {
  socket.write('S');
  const secured = new TLSSocket(socket, {
    isServer: true,
    cert: readFileSync(file('expired.cert')),
    key: readFileSync(file('expired.key')),
  });
  secured.on('error', () => {});
}
