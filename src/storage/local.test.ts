import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exfatLacks, mountExfat } from '../../tests/support/exfat.ts';
import { refuses } from './contract.ts';
import { openStorage } from './index.ts';
import { LocalStorage } from './local.ts';
import { storageContract } from './storage.contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-storage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

storageContract('a folder', async place =>
  openStorage({ spec: { kind: 'local', path: join(folder, place) } }),
);

const noExfat = exfatLacks();
if (noExfat) test('a folder without hard links', { skip: noExfat }, () => {});
else {
  const disk = mountExfat(96);
  after(() => disk.unmount());
  storageContract('a folder without hard links', async place => new LocalStorage(join(disk.path, place)), {
    clockMs: 2000, // exFAT keeps times to two seconds
    broken: {
      'what is read while it is put again is one or the other, never a mixture':
        'the exFAT driver removes what is there before it renames (docs/guides/storage-folder.md)',
    },
  });
}

const root = process.getuid?.() === 0;

/** Mounts a small disk for the test; the options of `mount` may be changed while it is there. */
async function onDisk(sizeMb: number, work: (path: string) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(folder, 'disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'tmpfs', path]);
  try {
    await work(path);
  } finally {
    execFileSync('umount', ['-l', path]);
  }
}

/** Why no disk can be mounted here, if none can. */
function diskLacks(): string | false {
  if (!root) return 'only root may mount a small disk';
  const path = mkdtempSync(join(folder, 'disk-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], {
    encoding: 'utf8',
  });
  if (status !== 0) return `mounting a small disk is not permitted here: ${stderr.trim()}`;
  execFileSync('umount', ['-l', path]);
  return false;
}

const skip = diskLacks();

test('a full disk is told, and leaves no object and nothing unfinished', { skip }, () =>
  onDisk(2, async path => {
    const storage = new LocalStorage(path);
    await storage.put('packs/small', [Buffer.alloc(100_000, 1)]);
    const pieces = Array.from({ length: 2000 }, () => Buffer.alloc(2000, 2));
    await refuses('STORAGE_FULL', 'failed', storage.put('packs/large', pieces));
    await refuses('STORAGE_FULL', 'failed', storage.put('packs/small', pieces));
    assert.equal(await storage.stat('packs/large'), undefined);
    assert.ok((await storage.get('packs/small')).equals(Buffer.alloc(100_000, 1)));
    assert.deepEqual(readdirSync(join(path, '.unfinished')), []);
    await storage.put('packs/medium', [Buffer.alloc(1_000_000, 3)]);
  }),
);

test('a file system that may only be read is read, whatever lies about on it', { skip }, () =>
  onDisk(1, async path => {
    await new LocalStorage(path).put('object', [Buffer.from('there')]);
    const abandoned = join(path, '.unfinished', 'abandoned');
    writeFileSync(abandoned, 'x');
    utimesSync(abandoned, 1, 1);
    execFileSync('mount', ['-o', 'remount,ro', path]);
    const storage = await openStorage({ spec: { kind: 'local', path } });
    assert.equal((await storage.get('object')).toString(), 'there');
    await refuses('STORAGE_READ_ONLY', 'failed', storage.put('other', [Buffer.from('x')]));
  }),
);

test('what a writer that died left behind is swept once it is old', async () => {
  const path = join(folder, 'swept');
  const storage = await openStorage({ spec: { kind: 'local', path } });
  await storage.put('object', [Buffer.from('x')]);
  for (const [name, time] of [
    ['old', 1],
    ['new', Date.now() / 1000],
  ] as const) {
    writeFileSync(join(path, '.unfinished', name), 'x');
    utimesSync(join(path, '.unfinished', name), time, time);
  }
  await openStorage({ spec: { kind: 'local', path } });
  assert.deepEqual(readdirSync(join(path, '.unfinished')), ['new']);
});

test('folders go with the last object in them, the storage’s own stays', async () => {
  const path = join(folder, 'emptied');
  const storage = new LocalStorage(`${path}/`);
  for (const name of ['a/b/c/1', 'a/b/2', '3']) await storage.put(name, [Buffer.from('x')]);
  await storage.remove('a/b/c/1');
  assert.deepEqual(readdirSync(join(path, 'a')), ['b']);
  assert.deepEqual(readdirSync(join(path, 'a/b')), ['2']);
  await storage.remove('a/b/2');
  await storage.remove('3');
  assert.deepEqual(readdirSync(path), ['.unfinished']);
});

test('a path that is a file is no folder', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'x');
  await refuses('STORAGE_NOT_A_FOLDER', 'failed', new LocalStorage(path).put('object', [Buffer.from('x')]));
});

test('a folder that may not be read or written is denied', { skip: deniedNeeds() }, () => {
  const path = join(folder, 'denied');
  mkdirSync(path);
  writeFileSync(join(path, 'object'), 'x');
  chmodSync(folder, 0o755);
  chmodSync(path, 0o000);
  // Root may do anything, so that somebody else has to try.
  const program = `
    const { LocalStorage } = await import(${JSON.stringify(join(import.meta.dirname, 'local.ts'))});
    const storage = new LocalStorage(${JSON.stringify(path)});
    const tell = call => call.then(() => 'done', error => error.code);
    const list = async () => { for await (const _ of storage.list('')); };
    console.log(await tell(storage.get('object')), await tell(storage.put('object', [Buffer.from('y')])), await tell(list()));`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    uid: root ? 65534 : undefined,
    encoding: 'utf8',
  });
  chmodSync(path, 0o755);
  assert.equal(ran.stdout.trim(), 'STORAGE_DENIED STORAGE_DENIED STORAGE_DENIED', ran.stderr);
});

/** Whether an unprivileged process can run the program at all; root's own folders may be closed to it. */
function deniedNeeds(): string | false {
  if (!root) return false;
  const ran = spawnSync(
    process.execPath,
    ['-e', `require('fs').readFileSync(${JSON.stringify(import.meta.filename)})`],
    {
      uid: 65534,
    },
  );
  return ran.status === 0 ? false : 'the user nobody can’t run node here';
}
