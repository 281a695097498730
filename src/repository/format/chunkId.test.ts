import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ChunkHasher, ID_BYTES, ID_KEY_BYTES, idAt, isIdAt } from './chunkId.ts';

const key = randomBytes(ID_KEY_BYTES);
const hasher = new ChunkHasher(key);

function expected(chunk: Buffer): Buffer {
  return createHash('sha256').update(chunk).update(key).digest().subarray(0, ID_BYTES);
}

test('a chunk has the same id wherever it lies in a buffer, which stays as it is', () => {
  const buffer = randomBytes(300);
  const before = Buffer.from(buffer);
  for (const [from, to] of [
    [0, 100],
    [7, 268], // the key just fits behind it
    [7, 269],
    [200, 300],
  ] as const) {
    const id = hasher.within(buffer, from, to);
    assert.ok(isIdAt(expected(buffer.subarray(from, to)), 0, id), `${from}–${to}`);
    assert.deepEqual(buffer, before);
  }
});

test('of the last chunk in a buffer the key is left behind it', () => {
  const buffer = Buffer.concat([randomBytes(50), Buffer.alloc(ID_KEY_BYTES)]);
  assert.ok(isIdAt(expected(buffer.subarray(10, 50)), 0, hasher.last(buffer, 10, 50)));
});

test('ids that lie one behind the other are found by their index', () => {
  const ids = randomBytes(ID_BYTES * 3);
  const second = ids.toString('latin1', ID_BYTES, ID_BYTES * 2);
  assert.equal(idAt(ids, 1), second);
  assert.ok(isIdAt(ids, 1, second));
  assert.ok(!isIdAt(ids, 0, second));
});
