import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUntil } from './until.ts';

const NOW = new Date('2026-11-21T02:00:00Z');

test('ends of holds: days, moments, lengths of time', () => {
  const ends = {
    '2027-01-31': '2027-02-01T00:00:00.000Z',
    '2028-02-29': '2028-03-01T00:00:00.000Z',
    '2027-01-31T18:00Z': '2027-01-31T18:00:00.000Z',
    '2027-01-31T18:00:30+02:00': '2027-01-31T16:00:30.000Z',
    '90d': '2027-02-19T02:00:00.000Z',
    '7y': '2033-11-21T02:00:00.000Z',
  };
  for (const [text, end] of Object.entries(ends)) assert.equal(parseUntil(text, NOW), end, text);
  for (const text of [
    '',
    'tomorrow',
    '2027-02-31',
    '2027-13-01',
    '31.1.2027',
    '2027-01-31T18:00',
    '2027',
    '-3d',
  ])
    assert.throws(() => parseUntil(text, NOW), { code: 'UNTIL_INVALID', kind: 'usage' }, text);
});
