import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PackCatalog } from './packCatalog.ts';
import { PackChecks } from './packChecks.ts';
import { RunPool, runsOf } from './packRuns.ts';
import { byTime, PackTimes, placedTimes } from './packTimes.ts';

const session = (i: number): string => `20261121-02000000${i}-0000000${i}`;
const NUMBERS = 12;
const everyPack = [0, 1].flatMap(i =>
  Array.from({ length: NUMBERS + 4 }, (_, number) => ({ session: session(i), number })),
);

const where = {
  i: fc.nat(1),
  first: fc.integer({ min: 1, max: NUMBERS }),
  at: fc.integer({ min: 1, max: 5 }),
};
const change = fc.record({ ...where, count: fc.integer({ min: 1, max: 5 }), gone: fc.boolean() });

test('times by runs are those that were set one by one', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), changes => {
      const times = new PackTimes();
      const plain = new Map<string, number>();
      for (const { i, first, count, at, gone } of changes) {
        if (gone) times.delete(session(i), first);
        else times.set(session(i), first, count, at);
        for (let n = first; n < first + (gone ? 1 : count); n++)
          plain.set(`${session(i)} ${n}`, gone ? 0 : at);
      }
      const timeOf = (of: string, number: number) => plain.get(`${of} ${number}`) ?? 0;
      for (const { session: of, number } of everyPack) {
        assert.equal(times.of(of, number), timeOf(of, number));
        for (const run of times.within(of, number, 3))
          for (let n = run.first; n < run.first + run.count; n++) assert.equal(run.atMs, timeOf(of, n));
        const counts = [...times.within(of, number, 3)].map(run => run.count);
        assert.equal(
          counts.reduce((a, b) => a + b),
          3,
        );
      }
      // No run goes on where another ends: two packs of one time side by side are one run.
      const runs = [...times];
      for (const [k, run] of runs.entries()) {
        const next = runs[k + 1];
        const goesOn = next && next.session === run.session && next.first === run.first + run.count;
        assert.ok(run.count > 0 && run.atMs > 0 && !(goesOn && next.atMs === run.atMs));
      }
      times.keepOnly((_, number) => number % 2 === 0);
      for (const { session: of, number } of everyPack)
        assert.equal(times.of(of, number), number % 2 === 0 ? timeOf(of, number) : 0);
    }),
  );
});

test('packs come in the order of their times, and among equals in that of their places', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), changes => {
      const times = new PackTimes();
      for (const { i, first, count, at } of changes) times.set(session(i), first, count, at);
      const catalog = new PackCatalog();
      catalog.addNamed(everyPack.map(each => [each.session, each.number, 1]));
      const placed = placedTimes(times, catalog);
      const order = [...byTime(placed)];
      const timeAt = (place: number) => times.of(catalog.sessionAt(place), catalog.number(place));
      for (let place = 0; place < catalog.size; place++)
        assert.equal(placed.times[placed.which[place]!], timeAt(place));
      const places = Array.from({ length: catalog.size }, (_, place) => place);
      assert.deepEqual(
        order,
        places.sort((a, b) => timeAt(a) - timeAt(b) || a - b),
      );
    }),
  );
});

const look = fc.record({ ...where, code: fc.constantFrom(null, null, null, 'SEAL_BROKEN', 'CHUNK_WRONG'), whole: fc.boolean() }); // biome-ignore format: one look
type Look = typeof look extends fc.Arbitrary<infer T> ? T : never;

/** What is known of one pack, by the rules of docs/format.md ("Checks"), one look after another. */
function known(looks: readonly Look[], i: number, number: number): { atMs: number; code: string | null } {
  let [atMs, code]: [number, string | null] = [0, null];
  for (const each of looks) {
    if (each.i !== i || each.first !== number || each.at < atMs) continue;
    const lasts = code !== null && (each.at === atMs || (!each.whole && code === 'CHUNK_WRONG'));
    if (each.code === null && lasts) continue;
    [atMs, code] = [each.at, each.code];
  }
  return { atMs, code };
}

test('of what was seen of a pack the later counts, at the same time damage, and it is written down so', () => {
  fc.assert(
    fc.property(fc.array(look, { maxLength: 40 }), looks => {
      const checks = new PackChecks();
      for (const { i, first, code, whole, at } of looks)
        checks.add({ session: session(i), number: first, code, whole }, at);
      const again = new PackChecks();
      again.take(checks.content());
      for (const each of [checks, again]) {
        for (let i = 0; i < 2; i++) {
          for (let number = 1; number <= NUMBERS; number++) {
            const { atMs, code } = known(looks, i, number);
            assert.equal(each.checkedMs(session(i), number), code === null ? atMs : 0);
            assert.equal(each.damage(session(i), number)?.code ?? null, code);
            assert.equal(each.damage(session(i), number)?.atMs ?? 0, code === null ? 0 : atMs);
          }
        }
        assert.equal(each.sound, each.damages().length === 0);
      }
    }),
  );
});

const several = fc.array(fc.array(look, { maxLength: 12 }), { maxLength: 3 });

test('what several machines wrote adds up to the same, whichever is read first', () => {
  fc.assert(
    fc.property(several, written => {
      const contents = written.map(looks => {
        const checks = new PackChecks();
        for (const { i, first, code, at } of looks)
          checks.add({ session: session(i), number: first, code, whole: true }, at);
        return checks.content();
      });
      const states = [contents, contents.toReversed()].map(all => {
        const checks = new PackChecks();
        for (const content of all) checks.take(content);
        return everyPack.map(({ session: of, number }) => [
          checks.checkedMs(of, number),
          checks.damage(of, number)?.atMs,
        ]);
      });
      assert.deepEqual(states[0], states[1]);
    }),
  );
});

test('sets of places come back from a pool as they were put in', () => {
  const places = fc.array(fc.oneof(fc.nat(300), fc.nat(5_000_000)), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(places, { maxLength: 8 }), sets => {
      const pool = new RunPool();
      const put = sets.map(set => pool.add(runsOf(new Set(set))));
      for (const [i, each] of put.entries())
        assert.deepEqual([...pool.each(each)], [...new Set(sets[i])].sort((a, b) => a - b)); // biome-ignore format: short
    }),
  );
});
