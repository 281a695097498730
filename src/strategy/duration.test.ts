import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration, readDuration } from './duration.ts';

test('reads a number with its unit, and several added up', () => {
  assert.equal(parseDuration('15m'), 15 * 60_000);
  assert.equal(parseDuration('24h'), 86_400_000);
  assert.equal(parseDuration('2w'), 14 * 86_400_000);
  assert.equal(parseDuration('1y'), 365 * 86_400_000);
  assert.equal(parseDuration('1d12h'), 36 * 3_600_000);
  assert.equal(parseDuration('250ms'), 250);
});

test('refuses what is no duration', () => {
  for (const text of ['', '30', 'd', '30 days', '-1d', '1.5h', '3M', '1d ', '99999999999y']) {
    assert.equal(readDuration(text), null, text);
    assert.throws(() => parseDuration(text), { code: 'DURATION_INVALID', kind: 'usage' });
  }
});

test('writes days and less', () => {
  assert.equal(formatDuration(parseDuration('2w')), '14d');
  assert.equal(formatDuration(parseDuration('90m')), '1h30m');
  assert.equal(formatDuration(0), '0s');
});

test('what is written reads back', () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 45 }), ms => parseDuration(formatDuration(ms)) === ms));
});
