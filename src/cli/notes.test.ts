import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupedNotes } from './notes.ts';

test('many notes of one kind are one, with their count; others stay', () => {
  const comments = ['a', 'b', 'c', 'd', 'e'].map(
    name => `COMMENT ${name} is left out: extensions bring their own`,
  );
  assert.deepEqual(groupedNotes(['ACL x was refused: no', ...comments, 'ACL y was refused: never']), [
    'ACL x was refused: no',
    '5 times: COMMENT a, COMMENT b, COMMENT c and 2 more is left out: extensions bring their own',
    'ACL y was refused: never',
  ]);
  const few = comments.slice(0, 3);
  assert.deepEqual(groupedNotes(few), few);
  const odd = ['one', 'two', 'three', 'four', 'five'];
  assert.deepEqual(groupedNotes([...odd, 'one']), odd);
});
