import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RepositorySpec } from '../../strategy/spec.ts';
import { capacityWarning } from './capacity.ts';

test('a repository that fills up is told from 80 % on', () => {
  const spec = { name: 'main', capacityBytes: 500e9 } as RepositorySpec;
  assert.equal(capacityWarning(spec, 399e9), undefined);
  assert.match(capacityWarning(spec, 400e9)!, /main holds 80 % of its capacity \(400\.0 of 500\.0 GB\)/);
  assert.match(capacityWarning(spec, 600e9)!, /120 %/);
  assert.equal(capacityWarning({ ...spec, capacityBytes: null }, 1e15), undefined);
});
