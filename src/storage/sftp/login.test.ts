import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { afterEnd } from '../../../tests/support/afterEnd.ts';
import { freePort, makeKey, startSshd } from '../../../tests/support/sshd.ts';
import { TidemarkError } from '../../base/errors.ts';
import { refuses } from '../laws.ts';
import { fingerprint } from './knownHosts.ts';
import type { SftpCredentials, SftpSpec } from './spec.ts';
import { SftpStorage } from './storage.ts';

const sshd = await startSshd();
after(() => sshd.stop());

/** The home of whoever runs this: keys and known hosts are looked for there. */
const home = mkdtempSync(join(tmpdir(), 'tidemark-home-'));
after(() => rmSync(home, { recursive: true, force: true }));
const ssh = join(home, '.ssh');
process.env.HOME = home;
delete process.env.SSH_AUTH_SOCK;

beforeEach(() => {
  rmSync(ssh, { recursive: true, force: true });
  mkdirSync(ssh, { mode: 0o700 });
  copyFileSync(sshd.knownHosts, join(ssh, 'known_hosts'));
});

const { privateKeyFile } = sshd;
const spec = (credentials: SftpCredentials = {}, more: Partial<SftpSpec> = {}): SftpSpec => ({
  kind: 'sftp',
  host: '127.0.0.1',
  port: sshd.port,
  user: sshd.user,
  path: 'x',
  credentials,
  ...more,
});

/** Logs in and asks for something. */
async function tryOut(wanted: SftpSpec): Promise<void> {
  const storage = new SftpStorage(wanted, { connectMs: 5000 });
  try {
    await storage.stat('object');
  } finally {
    await storage.close();
  }
}

async function refusal(wanted: SftpSpec): Promise<TidemarkError> {
  try {
    await tryOut(wanted);
  } catch (error) {
    assert.ok(error instanceof TidemarkError, String(error));
    return error;
  }
  assert.fail('it was let in');
}

test('a key file', () => tryOut(spec({ privateKeyFile })));

test('a key file with a passphrase, from the home', async () => {
  const file = join(ssh, 'protected');
  copyFileSync(privateKeyFile, file);
  execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', file]);
  await tryOut(spec({ privateKeyFile: '~/.ssh/protected', passphrase: 'open sesame' }));
  const without = await refusal(spec({ privateKeyFile: file }));
  assert.deepEqual([without.code, without.kind], ['SSH_KEY_UNUSABLE', 'usage']);
  assert.match(without.message, /is encrypted, and there is no passphrase/);
  const wrong = await refusal(spec({ privateKeyFile: file, passphrase: 'open barley' }));
  assert.match(wrong.message, /does not open with the passphrase/);
  assert.doesNotMatch(JSON.stringify([wrong, wrong.stack]), /barley/);
});

test('key files that are none, or not there', async () => {
  await refuses('SSH_KEY_UNREADABLE', 'usage', tryOut(spec({ privateKeyFile: join(ssh, 'none') })));
  const found = await refusal(spec({ privateKeyFile: `${privateKeyFile}.pub` }));
  assert.match(found.message, /holds no private key/);
});

test('a password', { skip: sshd.password === undefined && 'only root can give a user one' }, async () => {
  await tryOut(spec({ password: sshd.password }));
  const found = await refusal(spec({ password: 'wrong horse' }));
  assert.equal(found.code, 'SSH_LOGIN_REFUSED');
  assert.match(found.message, /tried the password.*; the server takes publickey, password/);
  assert.doesNotMatch(JSON.stringify([found, found.stack]), /wrong horse/);
});

test('a password, asked for in a dialogue', {
  skip: sshd.password === undefined && 'only root can',
}, async () => {
  const asking = await startSshd({
    configuration: ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
  });
  copyFileSync(asking.knownHosts, join(ssh, 'known_hosts'));
  await tryOut(spec({ password: asking.password }, { port: asking.port }));
  const found = await refusal(spec({ password: 'wrong horse' }, { port: asking.port }));
  assert.match(
    found.message,
    /tried the password \(keyboard-interactive\); the server takes publickey, keyb/,
  );
  await asking.stop();
});

test('the keys in ~/.ssh, after one that is not let in', async () => {
  makeKey(join(ssh, 'id_ed25519'), 'ed25519');
  const none = await refusal(spec());
  assert.equal(none.code, 'SSH_LOGIN_REFUSED');
  assert.match(none.message, /may not log in: tried ~\/\.ssh\/id_ed25519; no agent runs/);
  copyFileSync(privateKeyFile, join(ssh, 'id_rsa'));
  await tryOut(spec());
});

test('nothing to log in with', async () => {
  makeKey(join(ssh, 'id_ecdsa'), 'ecdsa', 'a passphrase');
  const found = await refusal(spec());
  assert.equal(found.code, 'SSH_LOGIN_REFUSED');
  assert.match(found.message, /there was nothing to try; no agent runs .*~\/\.ssh\/id_ecdsa is encrypted/);
});

test('an agent', async () => {
  const socket = join(home, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'pipe' });
  const stop = afterEnd('kill "$1"', String(agent.pid));
  await once(agent.stdout, 'data');
  process.env.SSH_AUTH_SOCK = socket;
  try {
    const empty = await refusal(spec());
    assert.match(empty.message, /tried the agent/);
    execFileSync('ssh-add', ['-q', privateKeyFile], { stdio: 'pipe' });
    await tryOut(spec());
    process.env.SSH_AUTH_SOCK = join(home, 'gone');
    const gone = await refusal(spec());
    assert.match(gone.message, /tried the agent; the agent failed/);
  } finally {
    delete process.env.SSH_AUTH_SOCK;
    await stop();
  }
});

test('more keys than the server wants to see', async () => {
  const strict = await startSshd({ configuration: ['MaxAuthTries 1'] });
  for (const [name, type] of [
    ['id_ed25519', 'ed25519'],
    ['id_ecdsa', 'ecdsa'],
  ] as const) {
    makeKey(join(ssh, name), type);
  }
  copyFileSync(strict.knownHosts, join(ssh, 'known_hosts'));
  const found = await refusal(spec({}, { port: strict.port }));
  assert.equal(found.code, 'SSH_LOGIN_REFUSED');
  await strict.stop();
});

test('a host that is not known is refused with its fingerprint, and the hint makes it known', async () => {
  rmSync(join(ssh, 'known_hosts'));
  const found = await refusal(spec({ privateKeyFile }));
  assert.deepEqual([found.code, found.kind], ['SSH_HOST_KEY_UNKNOWN', 'usage']);
  const shown = fingerprint(Buffer.from(sshd.hostKeys[0]!.split(' ')[1]!, 'base64'));
  assert.ok(found.message.includes(`ssh-ed25519 ${shown}`), found.message);
  const command = found.hint.split('\n').at(-1)!;
  assert.match(command, /^ssh-keyscan -t ed25519 -p \d+ 127\.0\.0\.1 >> /);
  execFileSync('sh', ['-c', command], { stdio: 'pipe' });
  await tryOut(spec({ privateKeyFile }));
  execFileSync('ssh-keygen', ['-H', '-f', join(ssh, 'known_hosts')], { stdio: 'pipe' });
  assert.match(readFileSync(join(ssh, 'known_hosts'), 'utf8'), /^\|1\|/);
  await tryOut(spec({ privateKeyFile }));
});

test('a host is asked for the key that is known of it', async () => {
  writeFileSync(join(ssh, 'known_hosts'), `[127.0.0.1]:${sshd.port} ${sshd.hostKeys[1]}\n`);
  await tryOut(spec({ privateKeyFile }));
});

test('a host with another key than the one that is known is refused', async () => {
  const other = makeKey(join(ssh, 'other'), 'ed25519');
  writeFileSync(join(ssh, 'known_hosts'), `[127.0.0.1]:${sshd.port} ${other}\n`);
  const found = await refusal(spec({ privateKeyFile }));
  assert.deepEqual([found.code, found.kind], ['SSH_HOST_KEY_CHANGED', 'failed']);
  assert.match(found.message, /known_hosts line 1 says; another machine may be in its place/);
  assert.equal(found.retry, undefined);
  const command = found.hint.split(': ').at(-1)!;
  execFileSync('sh', ['-c', command], { stdio: 'pipe' });
  assert.equal((await refusal(spec({ privateKeyFile }))).code, 'SSH_HOST_KEY_UNKNOWN');
});

test('a host with a revoked key is refused, even if its address has that key', async () => {
  const hostKey = fingerprint(Buffer.from(sshd.hostKeys[0]!.split(' ')[1]!, 'base64'));
  const known = readFileSync(sshd.knownHosts, 'utf8');
  writeFileSync(join(ssh, 'known_hosts'), `${known}@revoked * ${sshd.hostKeys[0]}\n`);
  await refuses('SSH_HOST_KEY_REVOKED', 'failed', tryOut(spec({ privateKeyFile })));
  await refuses('SSH_HOST_KEY_REVOKED', 'failed', tryOut(spec({ privateKeyFile }, { hostKey })));
});

test('a host key in the address decides, whatever is known', async () => {
  const hostKey = fingerprint(Buffer.from(sshd.hostKeys[0]!.split(' ')[1]!, 'base64'));
  rmSync(join(ssh, 'known_hosts'));
  await tryOut(spec({ privateKeyFile }, { hostKey }));
  const other = `SHA256:${'A'.repeat(43)}`;
  await refuses('SSH_HOST_KEY_CHANGED', 'failed', tryOut(spec({ privateKeyFile }, { hostKey: other })));
});

test('a file of known hosts that is named has to be there', async () => {
  const knownHosts = join(ssh, 'none');
  await refuses('SSH_KNOWN_HOSTS', 'usage', tryOut(spec({ privateKeyFile, knownHosts })));
});

test('hosts that can not be reached', async () => {
  const nobody = await refusal(spec({ privateKeyFile }, { port: await freePort() }));
  assert.deepEqual([nobody.code, nobody.retry], ['STORAGE_UNREACHABLE', undefined]);
  assert.match(nobody.message, /can't reach 127\.0\.0\.1 on port \d+: nothing listens there/);
  const unknown = await refusal(spec({ privateKeyFile }, { host: 'no-such-host.invalid' }));
  assert.equal(unknown.code, 'STORAGE_UNREACHABLE');
  assert.match(unknown.message, /no-such-host\.invalid/);
});

test('what listens is no SSH server, or ends at once, or says nothing', async () => {
  for (const [answer, code] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', /SSH_FAILED|STORAGE_LOST/],
    ['', /STORAGE_LOST/],
    [undefined, /STORAGE_TIMEOUT/],
  ] as const) {
    const server = createServer(socket => {
      socket.on('error', () => {});
      if (answer !== undefined) socket.end(answer);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const storage = new SftpStorage(spec({ privateKeyFile }, { port }), { connectMs: 500 });
    await assert.rejects(storage.stat('object'), (error: unknown) => {
      assert.ok(error instanceof TidemarkError, String(error));
      assert.match(error.code, code);
      return true;
    });
    await storage.close();
    server.close();
  }
});

test('a server that gives no files', async () => {
  const shell = await startSshd({ configuration: ['ForceCommand /bin/echo hello'] });
  copyFileSync(shell.knownHosts, join(ssh, 'known_hosts'));
  const wanted = spec({ privateKeyFile: shell.privateKeyFile }, { port: shell.port });
  await refuses('SFTP_REFUSED', 'failed', tryOut(wanted));
  await shell.stop();
});
