import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grown, withRoom } from './growing.ts';

test('an array grows to what is asked for, at least to twice its length, and keeps its numbers', () => {
  const array = Int32Array.of(-1, 2, 3);
  assert.equal(withRoom(array, 3), array);
  const longer = withRoom(array, 4);
  assert.deepEqual(longer, Int32Array.of(-1, 2, 3, 0, 0, 0));
  assert.equal(array.length, 0);
  assert.equal(withRoom(longer, 100).length, 100);
  assert.deepEqual(grown(Uint32Array.of(7), 2), Uint32Array.of(7, 0));
});

test('a buffer stays a buffer', () => {
  const longer = withRoom(Buffer.alloc(2, 'ab'), 3);
  assert.ok(Buffer.isBuffer(longer));
  assert.equal(longer.toString('latin1'), 'ab\0\0');
});
