import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

test('finds what was meant, and nothing where nothing is near', () => {
  const known = ['schedule', 'store', 'keep', 'database'];
  assert.equal(nearest('shedule', known), 'schedule');
  assert.equal(nearest('Database', known), 'database');
  assert.equal(nearest('kepe', known), 'keep');
  assert.equal(nearest('encryption', known), null);
  assert.equal(nearest('x', []), null);
});
