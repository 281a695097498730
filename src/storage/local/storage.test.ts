import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exfatLacks, mountExfat } from '../../../tests/support/exfat.ts';
import { openStorage } from '../index.ts';
import { refuses } from '../laws.ts';
import { storageContract } from '../storage.contract.ts';
import type { Storage } from '../storage.ts';
import { LocalStorage } from './storage.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-storage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

storageContract(
  'a folder',
  async place => openStorage({ spec: { kind: 'local', path: join(folder, place) } }),
  { plant: async (place, name) => writeFileSync(join(folder, place, name), 'x') },
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
/** As writers call their files. */
const OLD = '1-00000000000000aa';
const NEW = '2-00000000000000bb';

async function namesOf(storage: Storage, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(storage.list(prefix))).map(({ name }) => name).sort();
}

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
    assert.deepEqual(readdirSync(join(path, '.unfinished')), ['reserve']);
    await storage.put('packs/medium', [Buffer.alloc(1_000_000, 3)]);
  }),
);

test('a file system that may only be read is read, whatever lies about on it', { skip }, () =>
  onDisk(1, async path => {
    await new LocalStorage(path).put('object', [Buffer.from('there')]);
    const abandoned = join(path, '.unfinished', OLD);
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
    [OLD, 1],
    [NEW, Date.now() / 1000],
  ] as const) {
    writeFileSync(join(path, '.unfinished', name), 'x');
    utimesSync(join(path, '.unfinished', name), time, time);
  }
  await openStorage({ spec: { kind: 'local', path } });
  assert.deepEqual(readdirSync(join(path, '.unfinished')), [NEW]);
});

test('a sweep removes nothing that no writer made, and nothing behind a link', async () => {
  const path = join(folder, 'swept-carefully');
  const elsewhere = join(folder, 'elsewhere');
  await new LocalStorage(path).put('object', [Buffer.from('x')]);
  const unfinished = join(path, '.unfinished');
  mkdirSync(join(elsewhere, 'inside'), { recursive: true });
  const age = (at: string) => utimesSync(at, 1, 1);
  for (const at of [OLD, 'inside/photo', 'inside/1-00000000000000cc'])
    writeFileSync(join(elsewhere, at), 'x');
  // Of ours: a file, and a claim that was left with its file.
  mkdirSync(join(unfinished, 'claim-leases+x+1'));
  writeFileSync(join(unfinished, 'claim-leases+x+1', OLD), 'x');
  writeFileSync(join(unfinished, '1-00000000000000dd'), 'x');
  // None of ours: other names, a folder, links, a FIFO, a second name of a file elsewhere.
  writeFileSync(join(unfinished, 'notes.txt'), 'x');
  mkdirSync(join(unfinished, OLD));
  mkdirSync(join(unfinished, `${OLD}.d`));
  writeFileSync(join(unfinished, `${OLD}.d`, 'precious'), 'x');
  symlinkSync(join(elsewhere, 'inside'), join(unfinished, '1-00000000000000ee.d'));
  symlinkSync(join(elsewhere, OLD), join(unfinished, '1-00000000000000ff'));
  linkSync(join(elsewhere, 'inside/photo'), join(unfinished, '1-0000000000000011'));
  execFileSync('mkfifo', [join(unfinished, '1-0000000000000012')]);
  for (const each of readdirSync(unfinished))
    if (!lstatSync(join(unfinished, each)).isSymbolicLink()) age(join(unfinished, each));
  await openStorage({ spec: { kind: 'local', path } });
  assert.deepEqual(
    readdirSync(unfinished).sort(),
    [OLD, `${OLD}.d`, '1-0000000000000012', '1-00000000000000ee.d', '1-00000000000000ff', 'notes.txt'].sort(),
  );
  assert.deepEqual(readdirSync(elsewhere).sort(), [OLD, 'inside']);
  assert.deepEqual(readdirSync(join(elsewhere, 'inside')).sort(), ['1-00000000000000cc', 'photo']);

  // The whole folder as a link: nothing behind it is touched, by a sweep, a put or the clock.
  rmSync(unfinished, { recursive: true });
  for (const at of ['', OLD, 'inside']) age(join(elsewhere, at));
  symlinkSync(elsewhere, unfinished);
  const storage = await openStorage({ spec: { kind: 'local', path } });
  assert.equal((await storage.get('object')).toString(), 'x');
  await refuses('FOLDER_IS_LINK', 'fault', storage.put('other', [Buffer.from('x')]));
  await refuses('FOLDER_IS_LINK', 'fault', storage.now());
  assert.deepEqual(readdirSync(elsewhere).sort(), [OLD, 'inside']);
});

test('nothing is read, listed, written or removed through a link; the root may be one', async () => {
  const real = join(folder, 'behind-a-link');
  const path = join(folder, 'the-link');
  const elsewhere = join(folder, 'others');
  for (const each of [real, join(elsewhere, 's')]) mkdirSync(each, { recursive: true });
  writeFileSync(join(elsewhere, 's/1'), 'theirs');
  symlinkSync(real, path);
  const storage = await openStorage({ spec: { kind: 'local', path } });
  await storage.put('packs/s/1', [Buffer.from('ours')]);
  assert.deepEqual(await namesOf(storage, ''), ['packs/s/1']);
  symlinkSync(elsewhere, join(real, 'leases'));
  await refuses('FOLDER_IS_LINK', 'fault', namesOf(storage, 'leases/'));
  await refuses('FOLDER_IS_LINK', 'fault', storage.get('leases/s/1'));
  await refuses('FOLDER_IS_LINK', 'fault', storage.stat('leases/s/1'));
  await refuses('FOLDER_IS_LINK', 'fault', storage.remove('leases/s/1'));
  for (const ifAbsent of [false, true])
    for (const name of ['leases/s/1', 'leases/s/2', 'leases/new/1'])
      await refuses('FOLDER_IS_LINK', 'fault', storage.put(name, [Buffer.from('x')], { ifAbsent }));
  assert.deepEqual(readdirSync(elsewhere, { recursive: true }).sort(), ['s', 's/1']);
  // An object that is a link is no object; a put takes the link's place, and never writes through it.
  symlinkSync(join(elsewhere, 's/1'), join(real, 'packs/s/2'));
  symlinkSync('nowhere', join(real, 'packs/s/3'));
  assert.deepEqual(await namesOf(storage, ''), ['packs/s/1']);
  await refuses('OBJECT_FOREIGN', 'fault', storage.stat('packs/s/2'));
  await refuses('OBJECT_FOREIGN', 'fault', storage.get('packs/s/2'));
  await refuses('OBJECT_FOREIGN', 'fault', storage.remove('packs/s/2'));
  await storage.put('packs/s/2', [Buffer.from('ours')]);
  assert.equal((await storage.get('packs/s/2')).toString(), 'ours');
  assert.equal(readFileSync(join(elsewhere, 's/1'), 'utf8'), 'theirs');
  await refuses('OBJECT_EXISTS', 'failed', storage.put('packs/s/3', [Buffer.from('x')], { ifAbsent: true }));
});

test('nothing is written into what stands in the place of a folder that was taken away', async t => {
  const path = join(folder, 'taken');
  const storage = await openStorage({ spec: { kind: 'local', path } });
  await storage.put('packs/s/1', [Buffer.from('x')]);
  await storage.put('packs/s/2', [Buffer.from('x')]);
  renameSync(path, `${path}-away`);
  await refuses('STORAGE_GONE', 'failed', storage.put('packs/s/3', [Buffer.from('x')]));
  await refuses('STORAGE_GONE', 'failed', storage.now());
  assert.ok(!existsSync(path));
  if (root && spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', `${path}-away`]).status === 0) {
    t.after(() => spawnSync('umount', ['-l', `${path}-away`]));
    symlinkSync(`${path}-away`, path);
    await refuses('STORAGE_GONE', 'failed', storage.put('packs/s/3', [Buffer.from('x')]));
  }
});

test('a FIFO, a device, a folder and a file too long for memory are errors at once', async () => {
  const path = join(folder, 'special');
  const storage = await openStorage({ spec: { kind: 'local', path } });
  await storage.put('snapshots/a', [Buffer.from('x')]);
  execFileSync('mkfifo', [join(path, 'snapshots/fifo')]);
  mkdirSync(join(path, 'snapshots/folder'));
  symlinkSync('/dev/zero', join(path, 'snapshots/endless'));
  if (root) execFileSync('mknod', [join(path, 'snapshots/device'), 'c', '1', '5']);
  for (const name of ['fifo', 'folder', 'endless', ...(root ? ['device'] : [])]) {
    await refuses('OBJECT_FOREIGN', 'fault', storage.get(`snapshots/${name}`));
    await refuses('OBJECT_FOREIGN', 'fault', storage.get(`snapshots/${name}`, { offset: 0, length: 1 }));
    await refuses('OBJECT_FOREIGN', 'fault', storage.remove(`snapshots/${name}`));
    const looked = storage.stat(`snapshots/${name}`);
    if (name === 'folder') assert.equal(await looked, undefined);
    else await refuses('OBJECT_FOREIGN', 'fault', looked);
  }
  assert.deepEqual(await namesOf(storage, ''), ['snapshots/a']);
  for (const name of ['snapshots/huge', 'leases/huge']) {
    await storage.put(name, [Buffer.from('x')]);
    truncateSync(join(path, name), 50e9);
    await refuses('OBJECT_TOO_LARGE', 'fault', storage.get(name));
  }
  await refuses('OBJECT_TRUNCATED', 'fault', storage.get('snapshots/a', { offset: 0, length: 50e9 }));
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
    const { LocalStorage } = await import(${JSON.stringify(join(import.meta.dirname, 'storage.ts'))});
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
