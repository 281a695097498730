import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Storage, StoredObject } from '../../storage/storage.ts';
import { packName } from '../format/packName.ts';
import { PackCatalog, PackSet } from './packCatalog.ts';

type Listed = readonly [session: string, number: number, sizeBytes: number];
const session = (i: number): string => `20261121-02000000${i}-0000000${i}`;

/** A storage that lists these packs in this order, some of them twice. */
function listing(packs: readonly Listed[]): Storage {
  return {
    async *list(prefix: string): AsyncIterable<StoredObject> {
      for (const [of, number, sizeBytes] of packs) {
        const name = `packs/${packName(of, number)}`;
        if (name.startsWith(prefix)) yield { name, sizeBytes, modified: new Date() };
      }
      if ('packs/'.startsWith(prefix)) yield { name: 'packs/notes.txt', sizeBytes: 1, modified: new Date() };
    },
  } as unknown as Storage;
}

const packs = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 40 })), {
  maxLength: 200,
});
const listed = packs.map(all => all.map(([i, number]): Listed => [session(i), number, i * 1000 + number]));

test('whatever order packs are listed in, each has one place, and none moves when more are found', async () => {
  await fc.assert(
    fc.asyncProperty(listed, listed, async (first, then) => {
      const catalog = await PackCatalog.list(listing(first));
      const places = new Map(first.map(([of, number]) => [packName(of, number), catalog.find(of, number)]));
      for (let i = 0; i <= 5; i++) await catalog.addListed(listing(then), `packs/${session(i)}/`);
      for (const [of, number] of first)
        assert.equal(catalog.find(of, number), places.get(packName(of, number)));
      const all = new Map([...first, ...then].map(pack => [packName(pack[0], pack[1]), pack]));
      assert.equal(catalog.size, all.size);
      for (const pack of all.values()) {
        const place = catalog.find(pack[0], pack[1]);
        assert.deepEqual(catalog.ref(place), [...pack]);
        assert.ok([...catalog.placesOf(pack[0])].includes(place));
        assert.ok(catalog.holds([...pack]) && !catalog.holds([pack[0], pack[1], pack[2] + 1]));
      }
      assert.equal(new Set([...all.values()].map(([of, n]) => catalog.find(of, n))).size, all.size);
      assert.equal(catalog.find(session(0), 41), -1);
      assert.equal(catalog.find('20261121-020000000-ffffffff', 1), -1);
    }),
  );
});

test('references are counted, and the most that one snapshot uses is known', async () => {
  const one = session(1);
  const catalog = await PackCatalog.list(listing([[one, 1, 10], [one, 2, 20], [one, 3, 30]])); // biome-ignore format: rows
  const manifest = { packs: [[one, 1, 10], [one, 2, 20]] as [string, number, number][] }; // biome-ignore format: rows
  catalog.refer({ ...manifest, usage: { listBytes: 0, packs: [[25, 100], [1, 100]] } }); // biome-ignore format: rows
  catalog.refer({ ...manifest, usage: { listBytes: 0, packs: [[50, 100], [7, 0]] } }); // biome-ignore format: rows
  const [a, b, c] = [1, 2, 3].map(number => catalog.find(one, number)) as [number, number, number];
  assert.deepEqual(
    [a, b, c].map(place => catalog.references(place)),
    [2, 2, 0],
  );
  assert.ok(Math.abs(catalog.inUse(a) - 0.5) < 0.01);
  assert.equal(catalog.inUse(b), 1); // one didn't know how much there is
  assert.equal(catalog.inUse(c), 0);
  catalog.refer(manifest, -1);
  catalog.refer(manifest, -1);
  const free = PackSet.where(catalog, place => catalog.references(place) === 0);
  assert.deepEqual([free.length, free.bytes], [3, 60]);
  assert.deepEqual(
    [...free].map(([, number]) => number),
    [1, 2, 3],
  );
});
