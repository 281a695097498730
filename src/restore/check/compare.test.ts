import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { type CompareOptions, compareObjects } from './compare.ts';

const ACROSS: CompareOptions = { sameVersion: false, maintain: true, onlyOwner: null };

const table = (statements: string) => ({
  ...{ desc: 'TABLE', name: 'TABLE public.t', owner: 'me', statements },
  entry: {} as ArchiveEntry,
});

const compare = (expected: string, found: string) =>
  compareObjects([table(expected)], [table(found)], ACROSS);

test('what two versions may word differently is not taken for equal', () => {
  const [wanted, lost] = [
    'CREATE TABLE public.t (\n    a integer,\n    b text\n);',
    'CREATE TABLE public.t (\n    a integer\n);',
  ];
  const { equal, differences, unchecked } = compare(wanted, lost);
  assert.deepEqual([equal, differences], [0, []]);
  assert.deepEqual(
    unchecked.map(({ what }) => what),
    ['TABLE public.t'],
  );
  assert.match(unchecked[0]!.why, /b text/);
});

test('a column of its parents that is not null is the same in both ways of saying it', () => {
  const before =
    'CREATE TABLE public.t (\n    quack text\n)\nINHERITS (public.birds);\nALTER TABLE ONLY public.t ALTER COLUMN "W x" SET NOT NULL;\n';
  const since = 'CREATE TABLE public.t (\n    NOT NULL "W x",\n    quack text\n)\nINHERITS (public.birds);\n';
  assert.equal(compare(before, since).equal, 1);
  assert.equal(compare(before, since.replace('W x', 'W')).equal, 0);
});
