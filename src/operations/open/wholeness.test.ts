/** What "the latest snapshot" of a database may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scope } from '../../capture/logical/part.ts';
import { partOf, passedOverText } from './wholeness.ts';

const WHOLE: Scope = {
  ...{ tables: [], excludeTables: [], schemaOnly: false, dataOnly: false },
  rolePasswords: true,
};
const part = (plan: string | null, scope: Partial<Scope>) => partOf({ plan, scope: { ...WHOLE, ...scope } });

test('a whole snapshot of a plan, or by hand', () => {
  assert.equal(part('daily', {}), null);
  assert.equal(part(null, {}), null);
  assert.equal(part('daily', { rolePasswords: false }), null);
  assert.equal(part('daily', { excludeTables: ['public.sessions'] }), null, 'as the plan says');
});

test('a safety snapshot, and whatever lacks something', () => {
  assert.equal(part('safety', {}), 'safety snapshot');
  assert.equal(part('safety', { excludeTables: ['a'], narrowed: true }), 'safety snapshot, without a');
  assert.equal(part('daily', { excludeTables: ['a'], narrowed: true }), 'without a');
  assert.equal(part(null, { excludeTables: ['a'] }), 'without a');
  assert.equal(part('daily', { tables: ['a', 'b', 'c', 'd', 'e'] }), 'only a, b, c and 2 more');
  assert.equal(part('schema', { schemaOnly: true }), 'definitions only');
  assert.equal(part('rows', { tables: ['a'], dataOnly: true }), 'only a, rows only');
});

test('what was passed over is named', () => {
  const passed = ['d', 'c', 'b', 'a'].map(snapshot => ({ snapshot, part: 'safety snapshot' }));
  assert.equal(
    passedOverText(passed),
    'd (safety snapshot), c (safety snapshot), b (safety snapshot) and 1 more',
  );
});
