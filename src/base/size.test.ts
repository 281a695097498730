import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSize } from './size.ts';

test('sizes as people write them', () => {
  const sizes = {
    '1B': 1,
    '50MB': 50e6,
    '1.5 GB': 1.5e9,
    '2TiB': 2 * 2 ** 40,
    '10mib': 10 * 2 ** 20,
    '7 kB': 7000,
  };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(readSize(text), bytes, text);
  for (const text of ['', '5', 'MB', '-1MB', '1e3MB', '1XB', '999999999999999TB', '1iB']) {
    assert.equal(readSize(text), undefined, text);
  }
});
