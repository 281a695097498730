/** The contract in storage.ts as laws that a storage keeps or breaks: for our tests, and for a user's own storage. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { TidemarkError } from '../base/errors.ts';
import type { Storage, StoredObject } from './storage.ts';
import { RetriedStorage } from './wrap/retry.ts';

/** What a law is tried on. */
export interface Trial {
  /** Empty at first. */
  storage: Storage;
  /** Another handle on the same objects; whoever asks for it closes it. */
  again(): Promise<Storage>;
  /** How coarse the storage's clock is, and how far that of its objects may be from it. */
  clockMs: number;
  /** Puts something there that is no object of ours, past us; absent where the storage is tried as a user has it. */
  plant?(name: string): Promise<void>;
}

/** What sync tools, file managers and people leave about. */
export const ODD_NAMES = [
  'a conflict (somebody’s copy 2026-11-30)',
  '[brackets]',
  'per%cent',
  'per%20cent',
  '+plus',
  'tilde~',
  '~$lock',
  '.DS_Store',
  '.hidden',
  'new\nline',
  'Ümläut',
  'quote\'"',
  'hash#question?',
  `${'long'.repeat(60)} `,
] as const;

/** Rejects where the storage breaks it. */
export type Law = (trial: Trial) => Promise<void>;

/** By what each demands. They are independent of each other; each begins with an empty storage. */
export const LAWS: Readonly<Record<string, Law>> = {
  async 'gives back what it was given, of any size and in any number of pieces'({ storage }) {
    for (const size of [0, 1, 2, 511, 4096, 65_537, 3_000_001]) {
      const bytes = randomBytes(size);
      await storage.put(`packs/a/${size}`, [bytes]);
      assert.ok((await storage.get(`packs/a/${size}`)).equals(bytes), `${size} bytes`);
      assert.equal((await storage.stat(`packs/a/${size}`))?.sizeBytes, size);
    }
    // What is given is the caller's alone.
    (await storage.get('packs/a/65537')).fill(7);
    assert.notDeepEqual((await storage.get('packs/a/65537')).subarray(0, 99), Buffer.alloc(99, 7));
    await storage.put('none', []);
    assert.equal((await storage.get('none')).length, 0);
    const pieces = Array.from({ length: 3000 }, (_, i) => randomBytes(i % 7 === 0 ? 0 : i % 700));
    await storage.put('pieces', pieces);
    assert.ok((await storage.get('pieces')).equals(Buffer.concat(pieces)));
  },

  async 'writes only the part of a larger buffer that it is given, and changes none of it'({ storage }) {
    const large = randomBytes(1000);
    const before = Buffer.from(large);
    await storage.put('part', [new Uint8Array(large.buffer, large.byteOffset + 3, 500), large.subarray(900)]);
    assert.deepEqual(
      await storage.get('part'),
      Buffer.concat([before.subarray(3, 503), before.subarray(900)]),
    );
    assert.deepEqual(large, before);
  },

  async 'gives exactly the range that is asked for'({ storage }) {
    const bytes = randomBytes(100_000);
    await storage.put('object', [bytes]);
    for (const [offset, length] of [
      [0, 0],
      [0, 1],
      [0, 100_000],
      [99_999, 1],
      [12_345, 54_321],
      [100_000, 0],
    ] as const) {
      assert.deepEqual(
        await storage.get('object', { offset, length }),
        bytes.subarray(offset, offset + length),
      );
    }
  },

  async 'an object that is too short is a fault, never fewer bytes'({ storage }) {
    await storage.put('object', [randomBytes(1000)]);
    for (const range of [
      { offset: 0, length: 1001 },
      { offset: 999, length: 2 },
      { offset: 1000, length: 1 },
      { offset: 5000, length: 10 },
    ]) {
      await refuses('OBJECT_TRUNCATED', 'fault', storage.get('object', range));
    }
  },

  async 'an object that is not there is a fault where it is read, and nothing elsewhere'({ storage }) {
    await refuses('OBJECT_MISSING', 'fault', storage.get('packs/missing'));
    await refuses('OBJECT_MISSING', 'fault', storage.get('missing', { offset: 0, length: 1 }));
    assert.equal(await storage.stat('packs/missing'), undefined);
    assert.equal(await storage.stat('missing/deeper'), undefined);
    await storage.remove('missing');
    await storage.remove('packs/missing/deeper');
  },

  async 'a folder of objects is no object'({ storage }) {
    await storage.put('packs/a/1', [randomBytes(10)]);
    assert.equal(await storage.stat('packs'), undefined);
    assert.equal(await storage.stat('packs/a/1/2'), undefined);
    await assert.rejects(storage.get('packs/a'), TidemarkError);
    await assert.rejects(storage.get('packs/a/1/2'), TidemarkError);
  },

  async 'removing is final, and may be done again'({ storage }) {
    await storage.put('packs/a/1', [randomBytes(10)]);
    await storage.put('packs/a/2', [randomBytes(10)]);
    await storage.remove('packs/a/1');
    await storage.remove('packs/a/1');
    assert.equal(await storage.stat('packs/a/1'), undefined);
    assert.deepEqual(await names(storage, ''), ['packs/a/2']);
  },

  async 'an object may be put again, and the last put counts'({ storage }) {
    await storage.put('object', [Buffer.from('first, which is longer')]);
    await storage.put('object', [Buffer.from('second')]);
    assert.equal((await storage.get('object')).toString(), 'second');
    await storage.remove('object');
    assert.equal(await storage.stat('object'), undefined, 'what was there before is back');
  },

  async 'ifAbsent leaves what is there alone'({ storage }) {
    await storage.put('object', [Buffer.from('first')], { ifAbsent: true });
    await refuses('OBJECT_EXISTS', 'failed', storage.put('object', [Buffer.from('2nd')], { ifAbsent: true }));
    assert.equal((await storage.get('object')).toString(), 'first');
    assert.deepEqual(await names(storage, ''), ['object']);
  },

  async 'of many that put the same object with ifAbsent at once, one wins'({ storage }) {
    const puts = Array.from({ length: 20 }, (_, i) =>
      storage.put('object', [Buffer.alloc(50_000, i)], { ifAbsent: true }),
    );
    const settled = await Promise.allSettled(puts);
    const winners = settled.flatMap((each, i) => (each.status === 'fulfilled' ? [i] : []));
    assert.equal(winners.length, 1);
    assert.ok((await storage.get('object')).equals(Buffer.alloc(50_000, winners[0])));
  },

  async 'what is read while it is put again is one or the other, never a mixture'({ storage }) {
    const versions = [Buffer.alloc(400_000, 1), Buffer.alloc(400_000, 2)];
    await storage.put('object', [versions[0]!]);
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 20 && writing; i++) await storage.put('object', [versions[i % 2]!]);
    })().finally(() => {
      writing = false;
    });
    try {
      while (writing) {
        const read = await storage.get('object');
        assert.ok(
          versions.some(version => version.equals(read)),
          'a mixture was read',
        );
      }
    } finally {
      writing = false;
      await writer;
    }
  },

  async 'many objects at once'({ storage }) {
    const objects = new Map(
      Array.from({ length: 120 }, (_, i) => [`packs/s${i % 5}/${i}`, randomBytes(i * 97)]),
    );
    // One that fails leaves the others under way: the next law must not meet them.
    const puts = await Promise.allSettled([...objects].map(([name, bytes]) => storage.put(name, [bytes])));
    for (const put of puts) if (put.status === 'rejected') throw put.reason;
    await Promise.all(
      [...objects].map(async ([name, bytes]) => assert.ok((await storage.get(name)).equals(bytes))),
    );
    assert.deepEqual(await names(storage, 'packs/'), [...objects.keys()].sort());
  },

  async 'objects that come and go beside each other are not in each other’s way'({ storage }) {
    // Where there are no links, who finds the folder gone or come meanwhile is told to try again, as it is in use.
    const repeating = new RetriedStorage(storage, { firstWaitMs: 5 });
    const comeAndGo = async (name: string): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        await repeating.put(name, [randomBytes(10)], { ifAbsent: true });
        assert.equal((await storage.stat(name))?.sizeBytes, 10);
        await storage.remove(name);
      }
    };
    await Promise.all(Array.from({ length: 6 }, (_, i) => comeAndGo(`leases/deep/${i}`)));
    assert.deepEqual(await names(storage, ''), []);
  },

  async 'lists by prefix, with sizes, and nothing that is unfinished'({ storage }) {
    for (const name of [
      'repository.json',
      'keys/first.json',
      'packs/a/1',
      'packs/a/2',
      'packs/b/1',
      'packs2/x',
    ])
      await storage.put(name, [Buffer.alloc(name.length)]);
    await storage.now();
    const all = await listed(storage, '');
    assert.deepEqual(all.map(object => object.name).sort(), [
      'keys/first.json',
      'packs/a/1',
      'packs/a/2',
      'packs/b/1',
      'packs2/x',
      'repository.json',
    ]);
    for (const { name, sizeBytes } of all) assert.equal(sizeBytes, name.length);
    assert.deepEqual(await names(storage, 'packs/'), ['packs/a/1', 'packs/a/2', 'packs/b/1']);
    assert.deepEqual(await names(storage, 'packs/a/'), ['packs/a/1', 'packs/a/2']);
    assert.deepEqual(await names(storage, 'leases/'), []);
  },

  async 'what was put is seen through another handle'({ storage, again }) {
    await storage.put('packs/a/1', [Buffer.from('there')]);
    const other = await again();
    assert.equal((await other.get('packs/a/1')).toString(), 'there');
    assert.deepEqual(await names(other, ''), ['packs/a/1']);
    await other.remove('packs/a/1');
    assert.equal(await storage.stat('packs/a/1'), undefined);
    await storage.put('packs/a/1', [Buffer.from('again')]);
    assert.equal((await other.get('packs/a/1')).toString(), 'again');
    await other.close();
  },

  async 'what has a name that is none of ours is passed over, and can be named'({ storage, plant }) {
    if (!plant) return;
    await storage.put('packs/a/1', [randomBytes(10)]);
    await storage.put('repository.json', [randomBytes(10)]);
    for (const folder of ['', 'packs/', 'packs/a/']) for (const odd of ODD_NAMES) await plant(folder + odd);
    assert.deepEqual(await names(storage, ''), ['packs/a/1', 'repository.json']);
    assert.deepEqual(await names(storage, 'packs/'), ['packs/a/1']);
    const passedOver = new Set<string>();
    for await (const _ of storage.list('packs/', ({ name }) => passedOver.add(name)));
    for (const folder of ['packs/', 'packs/a/'])
      for (const odd of ODD_NAMES) assert.ok(passedOver.has(folder + odd), JSON.stringify(folder + odd));
    await storage.remove('packs/a/1');
    assert.deepEqual(await names(storage, ''), ['repository.json']);
  },

  async 'its clock is the one that objects are dated by'({ storage, clockMs }) {
    const before = await storage.now();
    await storage.put('object', [randomBytes(1)]);
    const { modified } = (await storage.stat('object'))!;
    const after = await storage.now();
    // The clock of a file system may be as coarse as the tick of its kernel.
    assert.ok(
      modified.getTime() >= before.getTime() - clockMs && modified.getTime() <= after.getTime() + clockMs,
    );
    assert.ok(after.getTime() >= before.getTime());
    assert.deepEqual(await names(storage, ''), ['object']);
  },

  async 'refuses names that are none'({ storage }) {
    const odd = [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '.hidden',
      'a/.b',
      '..',
      '../a',
      'a/../b',
      'a b',
      'a\\b',
      'ä',
      'a\0b',
      'a\n',
    ];
    for (const name of odd) {
      await assert.rejects(storage.put(name, [randomBytes(1)]), TidemarkError, JSON.stringify(name));
      await assert.rejects(storage.get(name), TidemarkError, JSON.stringify(name));
      await assert.rejects(storage.stat(name), TidemarkError, JSON.stringify(name));
      await assert.rejects(storage.remove(name), TidemarkError, JSON.stringify(name));
    }
    assert.deepEqual(await names(storage, ''), []);
  },
};

/** An error of that code and kind, with a hint. */
export async function refuses(code: string, kind: string, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.deepEqual([error.code, error.kind], [code, kind]);
    // What frees space writes first: it helps only where there is some room.
    assert.match(error.hint, code === 'STORAGE_FULL' ? /enlarge|raise/ : /./);
    return true;
  });
}

async function listed(storage: Storage, prefix: string): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for await (const object of storage.list(prefix)) objects.push(object);
  return objects;
}

async function names(storage: Storage, prefix: string): Promise<string[]> {
  return (await listed(storage, prefix)).map(object => object.name).sort();
}
