import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isRoot, type Sshd, startSshd } from '../../../tests/support/sshd.ts';
import { TcpProxy } from '../../../tests/support/tcpProxy.ts';
import { TidemarkError } from '../../base/errors.ts';
import { openStorage } from '../index.ts';
import { refuses } from '../laws.ts';
import { storageContract } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';
import { RetriedStorage } from '../wrap/retry.ts';
import type { SftpSpec } from './spec.ts';
import { SftpStorage } from './storage.ts';

const sshd = await startSshd({ disks: isRoot ? { small: 2 } : {} });
/** What servers that aren't OpenSSH lack. */
const plain = await startSshd({
  sftpArguments: '-P hardlink,posix-rename,fsync,statvfs,limits',
  configuration: ['MaxSessions 1'],
});
after(() => Promise.all([sshd.stop(), plain.stop()]));

const onServer = (server: Sshd, path: string, port = server.port): SftpSpec => ({
  kind: 'sftp',
  host: '127.0.0.1',
  port,
  user: server.user,
  path,
  credentials: { privateKeyFile: server.privateKeyFile, knownHosts: server.knownHosts },
});
/** Times are whole seconds in the protocol. */
const clockMs = 1000;
storageContract('sftp', async place => openStorage({ spec: onServer(sshd, place) }), {
  clockMs,
  plant: async (place, name) => writeFileSync(join(sshd.home, place, name), 'x'),
});
storageContract(
  'sftp to a server without extensions and with one channel',
  async place => openStorage({ spec: onServer(plain, join(plain.home, 'deep/er', place)) }),
  {
    clockMs,
    broken: {
      'what is read while it is put again is one or the other, never a mixture':
        'a rename that replaces what is there is an extension (docs/guides/storage-sftp.md)',
    },
  },
);

/** The server behind a connection that can be cut; its key is known under that port too. */
async function proxied(path: string) {
  const proxy = await TcpProxy.to(sshd.port);
  const spec = onServer(sshd, path, proxy.port);
  const knownHosts = join(sshd.folder, `known_hosts-${proxy.port}`);
  writeFileSync(knownHosts, sshd.hostKeys.map(key => `[127.0.0.1]:${proxy.port} ${key}\n`).join(''));
  return { proxy, spec: { ...spec, credentials: { ...spec.credentials, knownHosts } } };
}

/** Cuts the connection there is as soon as so many more bytes went to the server. */
function cutAfter(proxy: TcpProxy, limit: number): void {
  let sentBytes = 0;
  proxy.rule = (direction, bytes) => {
    if (direction === 'up') sentBytes += bytes.length;
    if (sentBytes <= limit) return bytes;
    proxy.rule = undefined;
    return 'cut';
  };
}

const megabytes = Array.from({ length: 3 }, (_, i) => Buffer.alloc(1_000_000, i));

test('a connection that is cut while an object is written leaves none, and the next put works', async () => {
  const { proxy, spec } = await proxied('cut');
  const storage = new SftpStorage(spec);
  await storage.put('before', [Buffer.from('x')]);
  cutAfter(proxy, 1_500_000);
  await assert.rejects(storage.put('packs/1', megabytes), isTemporary('STORAGE_LOST'));
  assert.equal(await storage.stat('packs/1'), undefined);
  assert.deepEqual(await namesOf(storage), ['before']);
  await storage.put('packs/1', megabytes);
  assert.ok((await storage.get('packs/1')).equals(Buffer.concat(megabytes)));
  await storage.close();
  await proxy.close();
});

test('what is cut is repeated, whatever it is', async () => {
  const { proxy, spec } = await proxied('repeated');
  let repeats = 0;
  const waiting = () => repeats++;
  const storage = new RetriedStorage(new SftpStorage(spec), { firstWaitMs: 1, waiting });
  await storage.stat('object');
  for (const ifAbsent of [false, true]) {
    for (const sentBytes of [0, 3_000_000, 3_004_000, 3_006_000, 3_008_000]) {
      cutAfter(proxy, sentBytes);
      await storage.put(`packs/${ifAbsent}-${sentBytes}`, megabytes, { ifAbsent });
    }
  }
  assert.ok(repeats > 0);
  for (const name of await namesOf(storage))
    assert.ok((await storage.get(name)).equals(Buffer.concat(megabytes)), name);
  assert.equal((await namesOf(storage)).length, 10);
  proxy.cutAll();
  assert.equal((await storage.stat('packs/true-0'))?.sizeBytes, 3_000_000);
  proxy.cutAll();
  await storage.remove('packs/true-0');
  await storage.close();
  await proxy.close();
});

test('a server that falls silent is timed out, and so is one that says nothing at all', async () => {
  const { proxy, spec } = await proxied('silent');
  const storage = new SftpStorage(spec, { silenceMs: 300, connectMs: 1000 });
  await storage.put('object', [Buffer.from('x')]);
  proxy.rule = () => 'silent';
  const all = [storage.get('object'), storage.put('other', megabytes), storage.stat('object')];
  await Promise.all(all.map(call => assert.rejects(call, isTemporary('STORAGE_TIMEOUT'))));
  await assert.rejects(storage.get('object'), isTemporary('STORAGE_TIMEOUT'));
  await storage.close();
  await proxy.close();
});

test('a full disk is told, and leaves no object', {
  skip: !isRoot && 'only root may mount a disk',
}, async () => {
  const storage = new SftpStorage(onServer(sshd, 'small/repository'));
  await storage.put('packs/small', [Buffer.alloc(100_000, 1)]);
  await refuses('STORAGE_FULL', 'failed', storage.put('packs/large', megabytes));
  await refuses('STORAGE_FULL', 'failed', storage.put('packs/small', megabytes));
  await refuses('STORAGE_FULL', 'failed', storage.put('packs/other', megabytes, { ifAbsent: true }));
  assert.deepEqual(await namesOf(storage), ['packs/small']);
  await storage.put('packs/medium', [Buffer.alloc(1_000_000, 3)]);
  await storage.close();
});

test('a folder that may not be written or read is denied', { skip: !isRoot && 'root makes it' }, async () => {
  const folder = join(sshd.home, 'closed');
  mkdirSync(folder, { mode: 0o755 });
  writeFileSync(join(folder, 'object'), 'x', { mode: 0o600 });
  const storage = new SftpStorage(onServer(sshd, 'closed'));
  await refuses('STORAGE_DENIED', 'failed', storage.put('other', [Buffer.from('x')]));
  await refuses('STORAGE_DENIED', 'failed', storage.get('object'));
  await refuses('STORAGE_DENIED', 'failed', new SftpStorage(onServer(sshd, '/new/place')).now());
  chmodSync(folder, 0o700);
  await refuses('STORAGE_DENIED', 'failed', namesOf(storage));
  await storage.close();
});

test('folders go with the last object in them, the storage’s own stays', async () => {
  for (const path of ['emptied', join(sshd.home, 'emptied')]) {
    const storage = new SftpStorage(onServer(sshd, path));
    for (const name of ['a/b/c/1', 'a/b/2', '3']) await storage.put(name, [Buffer.from('x')]);
    await storage.remove('a/b/c/1');
    assert.deepEqual(readdirSync(join(sshd.home, 'emptied/a/b')), ['2']);
    await storage.remove('a/b/2');
    await storage.remove('3');
    assert.deepEqual(readdirSync(join(sshd.home, 'emptied')), ['.unfinished']);
    await storage.close();
  }
});

test('a path that is a file is no folder', async () => {
  writeFileSync(join(sshd.home, 'file'), 'x');
  const storage = new SftpStorage(onServer(sshd, 'file'));
  await refuses('STORAGE_NOT_A_FOLDER', 'failed', storage.put('object', [Buffer.from('x')]));
  await storage.close();
});

test('what a writer that died left behind is swept once it is old', async () => {
  const storage = new SftpStorage(onServer(sshd, 'swept'));
  await storage.put('object', [Buffer.from('x')]);
  const unfinished = join(sshd.home, 'swept/.unfinished');
  const file = '1-00000000000000aa';
  const fresh = '2-00000000000000bb';
  mkdirSync(join(unfinished, `${file}.d`));
  const old = [`${file}.d/${file}`, `${file}.d`, file];
  writeFileSync(join(unfinished, fresh), 'x');
  for (const name of old.filter(name => name !== `${file}.d`)) writeFileSync(join(unfinished, name), 'x');
  for (const name of old) utimesSync(join(unfinished, name), 1, 1);
  if (isRoot) for (const name of old) chownSync(join(unfinished, name), ...ownerOf(sshd));
  await storage.put('object', [Buffer.from('y')]);
  assert.deepEqual(readdirSync(unfinished).sort(), [file, `${file}.d`, fresh]);
  const next = new SftpStorage(onServer(sshd, 'swept'));
  await next.put('object', [Buffer.from('z')]);
  assert.deepEqual(readdirSync(unfinished), [fresh]);
  await storage.close();
  await next.close();
});

test('nothing is read, listed, written, swept or removed through a link; the root may be one', async () => {
  const own = (path: string) => {
    if (isRoot) lchownSync(path, ...ownerOf(sshd));
  };
  const at = (path: string) => join(sshd.home, path);
  for (const path of ['linked-real', 'others', 'others/s']) {
    mkdirSync(at(path));
    own(at(path));
  }
  const link = (target: string, path: string) => {
    symlinkSync(target, at(path));
    own(at(path));
  };
  const old = '1-00000000000000aa';
  for (const name of ['s/1', old]) writeFileSync(at(`others/${name}`), 'theirs');
  link(at('linked-real'), 'linked');
  const storage = new SftpStorage(onServer(sshd, 'linked'));
  await storage.put('packs/s/1', [Buffer.from('ours')]);
  assert.deepEqual(await namesOf(storage), ['packs/s/1']);
  link(at('others'), 'linked-real/leases');
  await refuses('FOLDER_IS_LINK', 'fault', Array.fromAsync(storage.list('leases/')));
  await refuses('FOLDER_IS_LINK', 'fault', storage.get('leases/s/1'));
  await refuses('FOLDER_IS_LINK', 'fault', storage.stat('leases/s/1'));
  await refuses('FOLDER_IS_LINK', 'fault', storage.remove('leases/s/1'));
  for (const name of ['leases/s/1', 'leases/new/1'])
    await refuses('FOLDER_IS_LINK', 'fault', storage.put(name, [Buffer.from('x')], { ifAbsent: true }));
  link(at('others/s/1'), 'linked-real/packs/s/2');
  execFileSync('mkfifo', [at('linked-real/packs/s/3')]);
  own(at('linked-real/packs/s/3'));
  for (const name of ['packs/s/2', 'packs/s/3']) {
    await refuses('OBJECT_FOREIGN', 'fault', storage.get(name));
    await refuses('OBJECT_FOREIGN', 'fault', storage.remove(name));
    await refuses('OBJECT_EXISTS', 'failed', storage.put(name, [Buffer.from('x')], { ifAbsent: true }));
  }
  assert.deepEqual(await namesOf(storage), ['packs/s/1']);
  await storage.put('snapshots/huge', [Buffer.from('x')]);
  truncateSync(at('linked-real/snapshots/huge'), 50e9);
  await refuses('OBJECT_TOO_LARGE', 'fault', storage.get('snapshots/huge'));
  await storage.close();
  rmSync(at('linked-real/.unfinished'), { recursive: true });
  link(at('others'), 'linked-real/.unfinished');
  for (const name of ['others', `others/${old}`]) utimesSync(at(name), 1, 1);
  const next = new SftpStorage(onServer(sshd, 'linked'));
  await refuses('FOLDER_IS_LINK', 'fault', next.put('other', [Buffer.from('x')]));
  await refuses('FOLDER_IS_LINK', 'fault', next.now());
  await next.close();
  assert.deepEqual(readdirSync(at('others'), { recursive: true }).sort(), [old, 's', 's/1']);
});

test('an idle connection keeps no process alive, and SSH is loaded when it is used', async () => {
  const program = `
    const { STORAGE_KINDS } = await import(${JSON.stringify(join(import.meta.dirname, '../kinds.ts'))});
    const { createRequire } = await import('node:module');
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some(path => path.includes('/ssh2/'));
    const spec = ${JSON.stringify(onServer(sshd, 'process'))};
    const storage = await STORAGE_KINDS.find(each => each.kind === 'sftp').open(spec);
    console.log(loaded());
    await storage.put('object', [Buffer.from('x')]);
    console.log(loaded());`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 30_000,
  });
  assert.equal(stdout, 'false\ntrue\n');
});

test('nothing waits for ever once it is closed, whatever was under way', async () => {
  for (let afterMs = 0; afterMs < 200; afterMs += 20) {
    const storage = new SftpStorage(onServer(sshd, 'closing'));
    const calls = [storage.put('object', megabytes), storage.now(), storage.stat('object')];
    // Each is done, or says that it was not.
    const ended = Promise.allSettled(calls);
    await sleep(afterMs);
    await storage.close();
    await ended;
  }
});

async function namesOf(storage: Storage): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list('')) names.push(name);
  return names.sort();
}

function isTemporary(code: string) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.equal(error.code, code);
    assert.ok(error.retry, 'it is worth another try');
    return true;
  };
}

function ownerOf({ home }: Sshd): [number, number] {
  const { uid, gid } = statSync(home);
  return [uid, gid];
}
