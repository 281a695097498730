import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { intervalMs, next, parseCron } from './cron.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function fires(text: string, after: string, count: number): string[] {
  const times: string[] = [];
  let time = new Date(after);
  for (let i = 0; i < count; i++) {
    time = next(parseCron(text), time);
    times.push(time.toISOString().slice(0, 16));
  }
  return times;
}

test('fires at the minute, strictly after the moment given', () => {
  assert.deepEqual(fires('0 2 * * *', '2026-11-19T02:00:00Z', 2), ['2026-11-20T02:00', '2026-11-21T02:00']);
  assert.deepEqual(fires('0 2 * * *', '2026-11-19T01:59:59.999Z', 1), ['2026-11-19T02:00']);
  assert.deepEqual(fires('*/20 8-9 * * mon-fri', '2026-11-20T09:30:00Z', 3), [
    '2026-11-20T09:40',
    '2026-11-23T08:00',
    '2026-11-23T08:20',
  ]);
});

test('names, lists, Sunday as 0 and 7', () => {
  const sundays = ['2026-11-22T03:00', '2026-11-29T03:00'];
  for (const day of ['0', '7', 'sun', 'SUN', '7-7', '0,7'])
    assert.deepEqual(fires(`0 3 * * ${day}`, '2026-11-19T00:00:00Z', 2), sundays);
  assert.deepEqual(fires('0 0 1 jan,jul *', '2026-11-19T00:00:00Z', 2), [
    '2027-01-01T00:00',
    '2027-07-01T00:00',
  ]);
  assert.deepEqual(fires('0 0 * * 5-7', '2026-11-19T12:00:00Z', 3), [
    '2026-11-20T00:00',
    '2026-11-21T00:00',
    '2026-11-22T00:00',
  ]);
});

test('where both days are restricted, either is enough; a star with a step is no restriction', () => {
  assert.deepEqual(fires('0 0 13 * fri', '2026-11-01T00:00:00Z', 3), [
    '2026-11-06T00:00',
    '2026-11-13T00:00',
    '2026-11-20T00:00',
  ]);
  assert.deepEqual(fires('0 0 */2 * mon', '2026-11-01T12:00:00Z', 2), [
    '2026-11-09T00:00',
    '2026-11-23T00:00',
  ]);
});

test('a leap day comes, even after a century without one', () => {
  assert.deepEqual(fires('0 0 29 2 *', '2026-01-01T00:00:00Z', 2), ['2028-02-29T00:00', '2032-02-29T00:00']);
  assert.deepEqual(fires('0 0 29 2 *', '2096-03-01T00:00:00Z', 1), ['2104-02-29T00:00']);
});

test('refuses what can not be read and what never comes', () => {
  const wrong = [
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5/15 * * * *',
  ];
  wrong.push(
    '*/0 * * * *',
    '*/90 * * * *',
    '10-5 * * * *',
    'a * * * *',
    '1,,2 * * * *',
    '1- * * * *',
    '-1 * * * *',
    '* * * mon *',
  );
  wrong.push('0 0 31 2 *', '0 0 30 feb *', '0 0 31 4,6,9,11 *', '@daily', '0 0 L * *', '1.5 * * * *');
  for (const text of wrong)
    assert.throws(() => parseCron(text), { code: 'SCHEDULE_INVALID', kind: 'usage' }, text);
});

test('the longest gap between two fires', () => {
  assert.equal(intervalMs(parseCron('* * * * *')), 60_000);
  assert.equal(intervalMs(parseCron('0 2 * * *')), DAY_MS);
  assert.equal(intervalMs(parseCron('0 8-18 * * *')), 14 * HOUR_MS);
  assert.equal(intervalMs(parseCron('0 2 * * 1-5')), 3 * DAY_MS);
  assert.equal(intervalMs(parseCron('0 3 * * 0')), 7 * DAY_MS);
  assert.equal(intervalMs(parseCron('0 4 1 * *')), 31 * DAY_MS);
  assert.equal(intervalMs(parseCron('0 4 31 * *')), 61 * DAY_MS);
  assert.equal(intervalMs(parseCron('0 0 1 1 *')), 366 * DAY_MS);
  assert.equal(intervalMs(parseCron('0 0 29 2 *')), 1461 * DAY_MS);
});

test('schedules help each other', () => {
  assert.equal(intervalMs(parseCron('0 0 * * *'), parseCron('0 12 * * *')), 12 * HOUR_MS);
  assert.equal(intervalMs(parseCron('0 2 * * 1-5'), parseCron('0 2 * * 0,6')), DAY_MS);
});

test('no gap is longer than the interval, and what fires is in the schedule', () => {
  const list = (from: number, to: number) =>
    fc.oneof(
      fc.constant('*'),
      fc
        .uniqueArray(fc.integer({ min: from, max: to }), { minLength: 1, maxLength: 4 })
        .map(numbers => numbers.join()),
    );
  const schedules = fc.tuple(list(0, 59), list(0, 23), list(1, 28), list(1, 12), list(0, 6));
  fc.assert(
    fc.property(
      schedules,
      fc.date({ min: new Date('2024-01-01'), max: new Date('2031-12-31'), noInvalidDate: true }),
      (fields, after) => {
        const cron = parseCron(fields.join(' '));
        const first = next(cron, after);
        const second = next(cron, first);
        assert.ok(first > after);
        assert.ok(second.getTime() - first.getTime() <= intervalMs(cron));
        assert.deepEqual(next(cron, new Date(first.getTime() - 1)), first);
      },
    ),
    { numRuns: 200 },
  );
});
