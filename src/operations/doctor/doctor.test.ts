import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FaultPlan, FaultyStorage } from '../../../tests/support/faultyStorage.ts';
import { startSshd } from '../../../tests/support/sshd.ts';
import { SILENT } from '../../base/progress.ts';
import { LAWS } from '../../storage/laws.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { SftpStorage } from '../../storage/sftp/storage.ts';
import type { PutOptions, Storage, StoredObject } from '../../storage/storage.ts';
import { RetriedStorage } from '../../storage/wrap/retry.ts';
import { type Examination, examine } from './doctor.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const newPath = (): string => mkdtempSync(join(folder, 'place-'));

const examined = (open: () => Promise<Storage>, signal = new AbortController().signal) =>
  examine(open, SILENT, signal);
const brokenOf = ({ laws }: Examination): string[] => laws.filter(each => !each.ok).map(each => each.law);

test('a folder keeps all laws, and nothing is left in it but what was there', async () => {
  const path = newPath();
  await new LocalStorage(path).put('repository.json', [Buffer.from('{}')]);
  const found = await examined(async () => new LocalStorage(path));
  assert.deepEqual(brokenOf(found), []);
  assert.equal(found.laws.length, Object.keys(LAWS).length);
  assert.deepEqual(readdirSync(path).sort(), ['.unfinished', 'repository.json']);
  assert.deepEqual(readdirSync(join(path, '.unfinished')), []);
  const { conditionalWrites, locks, thaw, region, left, remarks, speed } = found;
  assert.deepEqual(
    [conditionalWrites, locks, thaw, region, left, remarks],
    [true, false, false, null, [], []],
  );
  assert.ok(Math.abs(found.clockOffsetMs) < 2000);
  assert.ok(speed.putBytesPerSecond > 1e6 && speed.getBytesPerSecond > 1e6 && speed.smallGetMs > 0);
});

test('a folder on sshd keeps them, and so does one on a server without extensions, with remarks', async () => {
  for (const [sftpArguments, remarks] of [
    ['', 0],
    ['-P hardlink,fsync,posix-rename', 3],
  ] as const) {
    const sshd = await startSshd({ sftpArguments });
    const { port, user, privateKeyFile, knownHosts } = sshd;
    const credentials = { privateKeyFile, knownHosts };
    const found = await examined(
      async () => new SftpStorage({ kind: 'sftp', host: '127.0.0.1', port, user, path: 'x', credentials }),
    );
    const mixture = 'what is read while it is put again is one or the other, never a mixture';
    assert.deepEqual(
      brokenOf(found).filter(law => law !== mixture || remarks === 0),
      [],
    );
    assert.equal(found.remarks.length, remarks, found.remarks.join('\n'));
    assert.equal(found.conditionalWrites, true);
    assert.deepEqual(readdirSync(join(sshd.home, 'x')), ['.unfinished']);
    await sshd.stop();
  }
});

/** Each breaks what is said of it, and has to be found out. */
const BROKEN: Record<string, { laws: string[]; Kind: typeof LocalStorage }> = {
  'replaces what it must not': {
    laws: [
      'ifAbsent leaves what is there alone',
      'of many that put the same object with ifAbsent at once, one wins',
    ],
    Kind: class extends LocalStorage {
      override put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
        return super.put(name, data, { ...options, ifAbsent: false });
      }
    },
  },
  'gives fewer bytes than asked for': {
    laws: ['an object that is too short is a fault, never fewer bytes'],
    Kind: class extends LocalStorage {
      override async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
        const whole = await super.get(name);
        return range ? whole.subarray(range.offset, range.offset + range.length) : whole;
      }
    },
  },
  'gives other bytes than it was given': {
    laws: ['gives back what it was given, of any size and in any number of pieces'],
    Kind: class extends LocalStorage {
      override async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
        const bytes = await super.get(name, range);
        if (bytes.length > 1_000_000) bytes[999_999]! ^= 1;
        return bytes;
      }
    },
  },
  'lists what is not there': {
    laws: ['lists by prefix, with sizes, and nothing that is unfinished'],
    Kind: class extends LocalStorage {
      override async *list(prefix: string): AsyncIterable<StoredObject> {
        yield* super.list(prefix);
        if (prefix.endsWith('/leases/')) yield { name: `${prefix}odd`, sizeBytes: 1, modified: new Date() };
      }
    },
  },
  'has two clocks': {
    laws: ['its clock is the one that objects are dated by'],
    Kind: class extends LocalStorage {
      override async now(): Promise<Date> {
        return new Date((await super.now()).getTime() + 3_600_000);
      }
    },
  },
};

for (const [what, { laws, Kind }] of Object.entries(BROKEN)) {
  test(`a storage that ${what} is found out`, async () => {
    const path = newPath();
    const found = await examined(async () => new Kind(path));
    const broken = brokenOf(found);
    for (const law of laws) assert.ok(broken.includes(law), `${law} is not among: ${broken.join('; ')}`);
    for (const { error } of found.laws.filter(each => !each.ok)) {
      assert.match(error!.code, /^[A-Z_]+$/);
      assert.doesNotMatch(error!.message, /\n/);
      assert.ok(error!.message && error!.hint);
    }
    assert.equal(found.conditionalWrites, !laws[0]!.startsWith('ifAbsent'));
    assert.deepEqual(found.left, []);
    assert.deepEqual(readdirSync(path), ['.unfinished']);
  });
}

test('a storage that removes nothing is found out, and what it keeps is named', async () => {
  class Keeping extends LocalStorage {
    override async remove(): Promise<void> {}
  }
  const path = newPath();
  const found = await examined(async () => new Keeping(path));
  assert.ok(brokenOf(found).includes('removing is final, and may be done again'));
  assert.ok(found.left.length > 100);
  assert.ok(found.left.every(name => /^doctor\/[0-9a-f]{16}\//.test(name)));
});

test('a storage that forgets what was just written is found out, even if it remembers later', async () => {
  const path = newPath();
  const plans: FaultPlan[] = [{ at: 0, fault: 'stale', times: 1e6 }];
  const found = await examined(async () => new FaultyStorage(new LocalStorage(path), plans)).catch(error => {
    assert.equal(error.code, 'OBJECT_MISSING');
    return undefined;
  });
  // Where not even the speed can be measured, that is an error; what was written is removed in any case.
  if (found) assert.ok(brokenOf(found).length > 5);
  assert.deepEqual(readdirSync(path), ['.unfinished']);
});

test('a storage that is away for a moment is not called broken', async () => {
  const path = newPath();
  const plans = Array.from({ length: 100 }, (_, i) => ({ at: 2 + i * 9, fault: 'lost' }) as const);
  const found = await examined(
    async () => new RetriedStorage(new FaultyStorage(new LocalStorage(path), plans), { firstWaitMs: 1 }),
  );
  assert.deepEqual(brokenOf(found), []);
  assert.deepEqual(readdirSync(path), ['.unfinished']);
});

test('a storage that goes away says so, and the laws say nothing', async () => {
  const path = newPath();
  const away = { at: 40, fault: 'cut', times: 1e6 } as const;
  const storage = new FaultyStorage(new LocalStorage(path), away);
  await assert.rejects(
    examined(async () => new RetriedStorage(storage, { firstWaitMs: 1, attempts: 2 })),
    { code: 'STORAGE_LOST' },
  );
});

test('what one that was killed left behind is removed a day later', async () => {
  const path = newPath();
  const storage = new LocalStorage(path);
  const [old, fresh] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'];
  for (const name of [old, fresh, 'theirs']) await storage.put(`doctor/${name}/1/object`, [Buffer.from('x')]);
  for (const name of [old, 'theirs']) utimesSync(join(path, `doctor/${name}/1/object`), 1, 1);
  await examined(async () => new LocalStorage(path));
  assert.deepEqual(readdirSync(join(path, 'doctor')).sort(), [fresh, 'theirs']);
});

test('an interruption ends it, and nothing is left behind', async () => {
  const path = newPath();
  const stop = new AbortController();
  class Interrupted extends LocalStorage {
    override async stat(name: string): Promise<StoredObject | undefined> {
      stop.abort();
      return super.stat(name);
    }
  }
  await assert.rejects(
    examined(async () => new Interrupted(path), stop.signal),
    { name: 'AbortError' },
  );
  assert.deepEqual(readdirSync(path), ['.unfinished']);
});
