import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Coverage, coverageKey, covers, isWhole, WHOLE } from './coverage.ts';

const some = (change: Partial<Coverage>): Coverage => ({ ...WHOLE, ...change });

test('what covers what', () => {
  const all = some({});
  const without = some({ excludeTables: ['log_*'] });
  const withoutMore = some({ excludeTables: ['cache', 'log_*'] });
  const one = some({ tables: ['item'] });
  const two = some({ tables: ['item', 'sale'] });
  const schema = some({ schemaOnly: true });
  const data = some({ dataOnly: true });
  for (const each of [all, without, withoutMore, one, two, schema, data]) assert.ok(covers(all, each));
  for (const each of [without, one, two, schema, data]) assert.ok(!covers(each, all) && !isWhole(each));
  assert.ok(covers(without, withoutMore) && !covers(withoutMore, without));
  assert.ok(covers(two, one) && !covers(one, two));
  assert.ok(!covers(schema, data) && !covers(data, schema));
  assert.ok(!covers(without, one), 'what is left out might be the table');
  assert.ok(covers(one, some({ tables: ['item'], schemaOnly: true })));
});

const patterns = fc.subarray(['a', 'b', 'c']);
const coverages: fc.Arbitrary<Coverage> = fc.record({
  tables: patterns,
  excludeTables: patterns,
  schemaOnly: fc.boolean(),
  dataOnly: fc.boolean(),
});

test('covering is transitive; the same key is the same coverage', () => {
  fc.assert(
    fc.property(coverages, coverages, coverages, (a, b, c) => {
      assert.ok(covers(a, a));
      if (covers(a, b) && covers(b, c)) assert.ok(covers(a, c));
      assert.equal(coverageKey(a) === coverageKey(b), covers(a, b) && covers(b, a));
    }),
  );
});
