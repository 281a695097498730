import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GROUPS, SUMMARIES } from './summaries.ts';

test('--help has each command in one group', () => {
  assert.deepEqual(Object.values(GROUPS).flat().sort(), Object.keys(SUMMARIES).sort());
});
