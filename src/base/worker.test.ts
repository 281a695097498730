import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultError, TidemarkError } from './errors.ts';
import { errorAt, postError, receiveError } from './worker.ts';

/** As a thread border leaves it. */
const across = (error: unknown) => receiveError(structuredClone(postError(error)));

test('an error of ours keeps its kind, and so its exit code, across threads', () => {
  const received = across(faultError('PACK_DAMAGED', 'a pack is damaged', 'run verify'));
  assert.ok(received instanceof TidemarkError);
  const { code, message, hint, kind } = received;
  assert.deepEqual(
    { code, message, hint, kind },
    { code: 'PACK_DAMAGED', message: 'a pack is damaged', hint: 'run verify', kind: 'fault' },
  );
  const placed = errorAt('main', received);
  assert.deepEqual(
    [placed.message, placed.kind, placed.hint],
    ['main: a pack is damaged', 'fault', 'run verify'],
  );
});

test('any other error keeps its name and the fields that are text', () => {
  const sent = Object.assign(new Error('full'), {
    name: 'PostgresError',
    code: '53100',
    detail: 'the disk',
    n: 1,
  });
  const { name, message, stack, ...fields } = across(sent) as Error & Record<string, unknown>;
  assert.deepEqual(
    { ...fields, name, message },
    {
      ...{ code: '53100', detail: 'the disk' },
      ...{ name: 'PostgresError', message: 'full' },
    },
  );
  assert.match(stack!, /worker\.test/);
  assert.equal(across('thrown text').message, 'thrown text');
});
