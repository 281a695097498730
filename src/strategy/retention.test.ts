import assert from 'node:assert/strict';
import { test } from 'node:test';
import { next, parseCron } from './cron.ts';
import type { KeepRules } from './keep.ts';
import { decide, type RetentionPoint } from './retention.ts';
import { readSpan } from './span.ts';

const DAY_MS = 86_400_000;
const NOW = new Date('2026-11-19T12:00:00Z');
const of = (text: string) => readSpan(text)!;

/** What a schedule would have made from `from` until NOW; ids are the times. */
function made(schedule: string, from: string): RetentionPoint[] {
  const cron = parseCron(schedule);
  const points: RetentionPoint[] = [];
  for (let time = next(cron, new Date(from)); time <= NOW; time = next(cron, time)) {
    points.push({ id: time.toISOString().slice(0, 16), time });
  }
  return points;
}

const on = (day: string): RetentionPoint => ({ id: day, time: new Date(`${day}T12:00:00Z`) });

function kept(points: RetentionPoint[], keep: KeepRules | null): string[] {
  return decide([{ points, keep }], NOW)
    .filter(decision => decision.keep)
    .map(decision => decision.id);
}

function reasonsOf(points: RetentionPoint[], keep: KeepRules | null, id: string): string[] | undefined {
  return decide([{ points, keep }], NOW).find(decision => decision.id === id)?.reasons;
}

test('within: until a snapshot is so old, its edge included, and what a clock that ran ahead made', () => {
  const points = [DAY_MS, DAY_MS + 1, -5000].map(ageMs => ({
    id: `${ageMs}`,
    time: new Date(NOW.getTime() - ageMs),
  }));
  assert.deepEqual(kept(points, { within: of('1d') }), ['-5000', String(DAY_MS)]);
  assert.deepEqual(reasonsOf(points, { within: of('1d') }, '-5000'), [
    'within 1d (until 2026-11-20 12:00)',
    'last good snapshot',
  ]);
  assert.deepEqual(reasonsOf(points, { within: of('1d') }, `${DAY_MS + 1}`), [
    'older than 1d, since 2026-11-19 11:59',
  ]);
});

test('within months: to the day of the month', () => {
  const points = made('0 3 * * *', '2026-08-01T00:00:00Z');
  assert.equal(kept(points, { within: of('3mo') }).at(-1), '2026-08-20T03:00');
  assert.equal(kept(points, { within: of('90d') }).at(-1), '2026-08-22T03:00');
});

test('tiers by number: the newest of each of the last periods', () => {
  const points = made('0 2 * * *', '2015-01-01T00:00:00Z');
  const keep = { daily: 7, weekly: 4, monthly: 12, yearly: 7 };
  const ids = kept(points, keep);
  assert.deepEqual(ids.slice(0, 10), [
    ...[19, 18, 17, 16, 15, 14, 13].map(day => `2026-11-${day}T02:00`),
    '2026-11-08T02:00',
    '2026-11-01T02:00',
    '2026-10-31T02:00',
  ]);
  assert.equal(ids.length, 7 + 2 + 11 + 6 - 1);
  assert.equal(ids.at(-1), '2020-12-31T02:00');
  assert.deepEqual(reasonsOf(points, keep, '2026-11-17T02:00'), ['daily 3 of 7 (2026-11-17)']);
  assert.deepEqual(reasonsOf(points, keep, '2026-11-12T02:00'), [
    'daily: 2026-11-12 is not among the last 7',
    'weekly: 2026-W46 has a newer one',
    'monthly: 2026-11 has a newer one',
    'yearly: 2026 has a newer one',
  ]);
});

test('tiers by time: the newest of each period until it is so old', () => {
  const points = made('0 2 * * *', '2015-01-01T00:00:00Z');
  const keep = { within: of('3d'), weekly: of('4w'), monthly: of('1y'), yearly: of('7y') };
  const ids = kept(points, keep);
  assert.deepEqual(ids.slice(0, 8), [
    ...['11-19', '11-18', '11-17', '11-15', '11-08', '11-01', '10-31', '10-25'].map(
      day => `2026-${day}T02:00`,
    ),
  ]);
  assert.deepEqual(ids.slice(8, 10), ['2026-09-30T02:00', '2026-08-31T02:00']);
  assert.deepEqual(ids.slice(-8), [
    '2025-12-31T02:00',
    '2025-11-30T02:00',
    ...[2024, 2023, 2022, 2021, 2020, 2019].map(year => `${year}-12-31T02:00`),
  ]);
  assert.deepEqual(reasonsOf(points, keep, '2025-11-30T02:00'), [
    'monthly for 1y (2025-11, until 2026-11-30 02:00)',
  ]);
  assert.deepEqual(reasonsOf(points, { monthly: of('1y') }, '2025-10-31T02:00'), [
    'monthly: older than 1y, since 2026-10-31 02:00',
  ]);
});

test('tiers count periods that have snapshots, not those that have gone by', () => {
  const points = ['2020-05-01', '2021-05-01', '2022-05-01', '2022-05-02'].map(on);
  assert.deepEqual(kept(points, { daily: 3 }), ['2022-05-02', '2022-05-01', '2021-05-01']);
  assert.deepEqual(kept(points, { monthly: 2 }), ['2022-05-02', '2021-05-01']);
});

test('last and min: so many, however old; min fills up with damaged ones', () => {
  const points = ['2024-01-01', '2024-01-02', '2024-01-03'].map(on);
  assert.deepEqual(kept(points, { last: 2 }), ['2024-01-03', '2024-01-02']);
  assert.deepEqual(kept(points, { within: of('1d'), min: 2 }), ['2024-01-03', '2024-01-02']);
  assert.deepEqual(reasonsOf(points, { within: of('1d'), min: 2 }, '2024-01-01'), [
    'older than 1d, since 2024-01-02 12:00',
    'min 2: 2 newer ones',
  ]);
});

test('ISO weeks at the turn of the year', () => {
  const week = (day: string) => reasonsOf([on(day)], { weekly: 1 }, day)![0];
  assert.equal(week('2026-12-31'), 'weekly 1 of 1 (2026-W53)');
  assert.equal(week('2027-01-03'), 'weekly 1 of 1 (2026-W53)');
  assert.equal(week('2027-01-04'), 'weekly 1 of 1 (2027-W01)');
  assert.equal(week('2024-12-30'), 'weekly 1 of 1 (2025-W01)');
});

test('a damaged snapshot takes no good one’s place', () => {
  const points = [{ ...on('2026-11-19'), good: false }, on('2026-11-18'), on('2026-11-10')];
  assert.deepEqual(kept(points, { last: 1, weekly: 1 }), ['2026-11-18']);
  assert.deepEqual(kept(points, { min: 2 }), ['2026-11-18', '2026-11-10']);
  assert.deepEqual(kept(points, { min: 3 }).length, 3);
  assert.deepEqual(kept(points, { within: of('1d') }), ['2026-11-19', '2026-11-18']);
  assert.deepEqual(reasonsOf(points, { last: 1 }, '2026-11-19'), [
    'damaged: it takes no place of a good one',
  ]);
  assert.deepEqual(reasonsOf([points[0]!], { last: 1 }, '2026-11-19'), ['last snapshot, though damaged']);
});

const SCHEMA = { tables: [], excludeTables: [], schemaOnly: true, dataOnly: false };
const ONE_TABLE = { tables: ['item'], excludeTables: [], schemaOnly: false, dataOnly: false };

test('a partial snapshot takes no whole one’s place, a whole one does a partial one’s', () => {
  const points = [
    on('2026-11-10'),
    { ...on('2026-11-17'), coverage: ONE_TABLE },
    { ...on('2026-11-18'), coverage: SCHEMA },
  ];
  const reasons = decide([{ points, keep: { last: 1, daily: 2 } }], NOW);
  assert.ok(reasons.every(each => each.keep));
  const keep = { within: of('1h') };
  assert.deepEqual(kept(points, keep), ['2026-11-18', '2026-11-17', '2026-11-10']);
  assert.deepEqual(reasonsOf(points, keep, '2026-11-10'), ['last good snapshot']);
  assert.deepEqual(reasonsOf(points, keep, '2026-11-17'), ['last good snapshot of what it covers']);
  assert.deepEqual(kept([...points, on('2026-11-19')], { last: 1 }), ['2026-11-19']);
  assert.deepEqual(kept([...points, on('2026-11-16')], keep), ['2026-11-18', '2026-11-17', '2026-11-16']);
});

test('what a plan captures today takes the place of what it captured before', () => {
  const before = ['2026-11-01', '2026-11-02', '2026-11-03'].map(on);
  const planned = { coverage: ONE_TABLE, planned: true };
  const after = ['2026-11-17', '2026-11-18'].map(day => ({ ...on(day), ...planned }));
  assert.deepEqual(kept([...before, ...after], { daily: 2 }), ['2026-11-18', '2026-11-17', '2026-11-03']);
  assert.deepEqual(reasonsOf([...before, ...after], { daily: 2 }, '2026-11-03'), ['last good snapshot']);
});

test('the last good one is that of the database, whichever plan made it', () => {
  const groups = [
    { points: [on('2026-01-01'), on('2026-01-02')], keep: { within: of('1d') } },
    { points: [on('2025-12-31')], keep: { within: of('1d') } },
    { points: [on('2026-10-01')], keep: { within: of('1d'), min: 1 }, aside: true },
  ];
  const decisions = decide(groups, NOW).map(({ id, keep, reasons }) => [id, keep, reasons.at(-1)]);
  assert.deepEqual(decisions, [
    ['2026-10-01', true, 'min 1 of 1'],
    ['2026-01-02', true, 'last good snapshot'],
    ['2026-01-01', false, 'older than 1d, since 2026-01-02 12:00'],
    ['2025-12-31', false, 'older than 1d, since 2026-01-01 12:00'],
  ]);
});

test('holds keep, and come first', () => {
  const points = [on('2026-11-19'), { ...on('2020-01-01'), holds: ['held: case 17'] }];
  assert.deepEqual(reasonsOf(points, { last: 1 }, '2020-01-01'), ['held: case 17']);
});

test('without rules everything stays, and says why; nothing in, nothing out', () => {
  assert.equal(kept(made('0 2 * * *', '2026-11-01T00:00:00Z'), null).length, 19);
  assert.deepEqual(
    decide([{ points: [on('2026-01-01')], keep: null, because: 'made by hand' }], NOW)[0]!.reasons,
    ['made by hand', 'last good snapshot'],
  );
  assert.deepEqual(decide([{ points: [], keep: { last: 3 } }], NOW), []);
});
