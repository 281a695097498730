import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countLineEnds } from './lineCount.ts';

test('line ends are counted as byte by byte, wherever the bytes begin', () => {
  const bytes = fc.array(fc.constantFrom(0x0a, 0x0b, 0x8a, 0, 0x09, 0xff, 0x41), { maxLength: 3000 });
  fc.assert(
    fc.property(bytes, fc.nat(5), fc.nat(9), fc.nat(9), (values, lead, skipped, left) => {
      const whole = Buffer.from([...Array(lead).fill(0x0a), ...values]).subarray(lead);
      const from = Math.min(skipped, whole.length);
      const to = Math.max(from, whole.length - left);
      assert.equal(
        countLineEnds(whole, from, to),
        [...whole.subarray(from, to)].filter(b => b === 0x0a).length,
      );
    }),
  );
});

test('nothing but line ends', () => {
  assert.equal(countLineEnds(Buffer.alloc(100_003, '\n'), 0, 100_003), 100_003);
});
