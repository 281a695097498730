import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatSpan, longestMs, readSpan, spanAfter } from './span.ts';

const DAY_MS = 86_400_000;

test('spans are read and written', () => {
  for (const [text, months, ms] of [
    ['24h', 0, DAY_MS],
    ['30d', 0, 30 * DAY_MS],
    ['3mo', 3, 0],
    ['7y', 84, 0],
    ['1y6mo', 18, 0],
    ['1mo12h', 1, DAY_MS / 2],
    ['12h1mo', 1, DAY_MS / 2],
    ['5m', 0, 300_000],
  ] as const)
    assert.deepEqual(readSpan(text), { months, ms }, text);
  for (const text of ['', '3', 'mo', '3 mo', '3M', '-1d', '1.5y', '20000y', '99999999y'])
    assert.equal(readSpan(text), null, text);
  assert.equal(formatSpan(readSpan('12mo')!), '1y');
  assert.equal(formatSpan(readSpan('3mo36h')!), '3mo1d12h');
  assert.equal(formatSpan({ months: 0, ms: 0 }), '0s');
});

test('months and years are as long as the calendar has them', () => {
  const after = (from: string, text: string) => spanAfter(new Date(from), readSpan(text)!).toISOString();
  assert.equal(after('2024-01-01T03:00:00Z', '3y'), '2027-01-01T03:00:00.000Z'); // 1096 days
  assert.equal(after('2027-01-01T03:00:00Z', '7y'), '2034-01-01T03:00:00.000Z'); // 2557 days
  assert.equal(after('2026-11-15T02:30:00Z', '3mo'), '2027-02-15T02:30:00.000Z');
  assert.equal(after('2026-11-30T02:30:00Z', '3mo'), '2027-03-01T00:00:00.000Z');
  assert.equal(after('2028-02-29T02:30:00Z', '1y'), '2029-03-01T00:00:00.000Z');
  assert.equal(after('2028-02-29T02:30:00Z', '4y'), '2032-02-29T02:30:00.000Z');
  assert.equal(after('2026-12-31T23:59:00Z', '1mo'), '2027-01-31T23:59:00.000Z');
  assert.equal(after('2026-01-31T12:00:00Z', '1mo1d'), '2026-03-02T00:00:00.000Z');
  assert.equal(longestMs(readSpan('1mo')!), 31 * DAY_MS);
  assert.equal(longestMs(readSpan('1y')!), 366 * DAY_MS);
  assert.equal(longestMs(readSpan('30d')!), 30 * DAY_MS);
});

const spans = fc.record({
  months: fc.integer({ min: 0, max: 200 }),
  ms: fc.integer({ min: 0, max: 60 * DAY_MS }),
});
const times = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) });

test('what began later never ends sooner; what is written is read back', () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 40 * DAY_MS }), spans, (timeMs, laterMs, span) => {
      const sooner = spanAfter(new Date(timeMs), span);
      assert.ok(sooner <= spanAfter(new Date(timeMs + laterMs), span));
      assert.ok(sooner.getTime() >= timeMs + span.ms);
      assert.deepEqual(readSpan(formatSpan(span)), { ...span });
    }),
  );
});
