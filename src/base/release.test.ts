import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from './release.ts';

test('a large buffer is gone, and its memory given back', () => {
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 64; i++) {
    const buffer = Buffer.alloc(16 << 20);
    release(buffer.subarray(5));
    assert.equal(buffer.length, 0);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
});

test('a small one shares its memory with others, and stays', () => {
  const other = Buffer.from('another');
  release(Buffer.from('one'));
  assert.equal(other.toString(), 'another');
});
