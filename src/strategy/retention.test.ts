import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { next, parseCron } from './cron.ts';
import { decide, type KeepRules, type RetentionPoint } from './retention.ts';

const DAY_MS = 86_400_000;
const NOW = new Date('2026-11-19T12:00:00Z');

/** What a schedule would have made from `from` until NOW; ids are the times. */
function made(schedule: string, from: string): RetentionPoint[] {
  const cron = parseCron(schedule);
  const points: RetentionPoint[] = [];
  for (let time = next(cron, new Date(from)); time <= NOW; time = next(cron, time)) {
    points.push({ id: time.toISOString().slice(0, 16), time });
  }
  return points;
}

function kept(points: RetentionPoint[], keep: KeepRules | null, now = NOW): string[] {
  return decide(points, keep, now)
    .filter(decision => decision.keep)
    .map(decision => decision.id);
}

function reasonsOf(points: RetentionPoint[], keep: KeepRules, id: string): string[] | undefined {
  return decide(points, keep, NOW).find(decision => decision.id === id)?.reasons;
}

test('Rephlo: daily for 30 days', () => {
  const points = made('0 2 * * *', '2026-01-01T00:00:00Z');
  const ids = kept(points, { withinMs: 30 * DAY_MS });
  assert.equal(ids.length, 30);
  assert.equal(ids[0], '2026-11-19T02:00');
  assert.equal(ids.at(-1), '2026-10-21T02:00');
});

test('Rephlo: before a deployment for 90 days, the last one for ever', () => {
  const points = ['2026-03-01', '2026-06-01', '2026-08-21', '2026-08-22'].map(day => ({
    id: day,
    time: new Date(`${day}T12:00:00Z`),
  }));
  assert.deepEqual(kept(points, { withinMs: 90 * DAY_MS }), ['2026-08-22', '2026-08-21']);
  assert.deepEqual(kept(points.slice(0, 2), { withinMs: 90 * DAY_MS }), ['2026-06-01']);
});

test('Rephlo: the archive holds a year of weeks, three years of months, seven years', () => {
  const points = made('0 3 * * 0', '2016-01-01T00:00:00Z');
  const decisions = decide(points, { weekly: 52, monthly: 36, yearly: 7 }, NOW);
  const count = (tier: string) =>
    decisions.filter(({ reasons }) => reasons.some(reason => reason.startsWith(tier))).length;
  assert.deepEqual([count('weekly'), count('monthly'), count('yearly')], [52, 36, 7]);
  const ids = decisions.filter(decision => decision.keep).map(decision => decision.id);
  assert.equal(ids.at(-1), '2020-12-27T03:00');
  assert.deepEqual(decisions[0]!.reasons, [
    'weekly 1 of 52 (2026-W46)',
    'monthly 1 of 36 (2026-11)',
    'yearly 1 of 7 (2026)',
    'last good snapshot',
  ]);
});

test('Joffre: daily for 30 days, the first of a month for 90', () => {
  const daily = kept(made('0 2 * * *', '2026-06-01T00:00:00Z'), { withinMs: 30 * DAY_MS });
  const monthly = kept(made('0 2 1 * *', '2026-01-01T03:00:00Z'), { withinMs: 90 * DAY_MS });
  assert.equal(daily.length, 30);
  assert.deepEqual(monthly, ['2026-11-01T02:00', '2026-10-01T02:00', '2026-09-01T02:00']);
});

test('Pulse: 7 days, 4 weeks, 12 months, 7 years from one daily plan', () => {
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
});

test('Aicitel: hourly for a day, daily for 30 days, weekly for 3 months', () => {
  const hourly = made('0 * * * *', '2026-08-01T00:00:00Z');
  assert.equal(kept(hourly, { last: 24 }).length, 24);
  assert.equal(kept(hourly, { hourly: 24 }).at(-1), '2026-11-18T13:00');
  assert.equal(kept(hourly, { hourly: 24, daily: 30 }).length, 24 + 29 - 1);
  assert.equal(kept(made('0 3 * * 0', '2026-01-01T00:00:00Z'), { withinMs: 91 * DAY_MS }).length, 13);
});

test('User management: hours for 7 days, days for 30, weeks for 90 days, months for a year', () => {
  const points = made('0 * * * *', '2025-01-01T00:00:00Z');
  const decisions = decide(points, { hourly: 7 * 24, daily: 30, weekly: 13, monthly: 12 }, NOW);
  const byTier = (tier: string) =>
    decisions.filter(({ reasons }) => reasons.some(reason => reason.startsWith(`${tier} `)));
  assert.equal(byTier('hourly').length, 168);
  assert.equal(byTier('hourly').at(-1)!.id, '2026-11-12T13:00');
  assert.equal(byTier('daily').at(-1)!.id, '2026-10-21T23:00');
  assert.equal(byTier('weekly').at(-1)!.id, '2026-08-30T23:00');
  assert.equal(byTier('monthly').at(-1)!.id, '2025-12-31T23:00');
});

test('tiers count periods that have snapshots, not those that have gone by', () => {
  const points = ['2020-05-01', '2021-05-01', '2022-05-01', '2022-05-02'].map(day => ({
    id: day,
    time: new Date(day),
  }));
  assert.deepEqual(kept(points, { daily: 3 }), ['2022-05-02', '2022-05-01', '2021-05-01']);
  assert.deepEqual(kept(points, { monthly: 2 }), ['2022-05-02', '2021-05-01']);
});

test('ISO weeks at the turn of the year', () => {
  const week = (day: string) =>
    reasonsOf([{ id: day, time: new Date(`${day}T12:00:00Z`) }], { weekly: 1 }, day)![0];
  assert.equal(week('2026-12-31'), 'weekly 1 of 1 (2026-W53)');
  assert.equal(week('2027-01-03'), 'weekly 1 of 1 (2026-W53)');
  assert.equal(week('2027-01-04'), 'weekly 1 of 1 (2027-W01)');
  assert.equal(week('2024-12-30'), 'weekly 1 of 1 (2025-W01)');
});

test('within includes its edge and what a clock that ran ahead made', () => {
  const points = [DAY_MS, DAY_MS + 1, -5000].map(ageMs => ({
    id: `${ageMs}`,
    time: new Date(NOW.getTime() - ageMs),
  }));
  assert.deepEqual(kept(points, { withinMs: DAY_MS }), ['-5000', String(DAY_MS)]);
});

test('a damaged snapshot takes no good one’s place', () => {
  const points = [
    { id: 'bad', time: new Date('2026-11-19T03:00:00Z'), good: false },
    { id: 'good', time: new Date('2026-11-19T02:00:00Z') },
    { id: 'old', time: new Date('2026-11-10T02:00:00Z') },
  ];
  assert.deepEqual(kept(points, { last: 1, daily: 1 }), ['good']);
  assert.deepEqual(kept(points, { min: 2 }), ['good', 'old']);
  assert.deepEqual(kept(points, { withinMs: DAY_MS }), ['bad', 'good']);
  assert.deepEqual(reasonsOf([points[0]!], { last: 1 }, 'bad'), ['last snapshot']);
});

test('without rules everything stays; nothing in, nothing out', () => {
  assert.equal(kept(made('0 2 * * *', '2026-11-01T00:00:00Z'), null).length, 19);
  assert.deepEqual(decide([], { last: 3 }, NOW), []);
});

const count = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
const rules: fc.Arbitrary<KeepRules> = fc.record({
  withinMs: fc.option(fc.integer({ min: 0, max: 60 * DAY_MS }), { nil: undefined }),
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  min: count,
});

/** Times lie close together or far apart, and some are equal. */
const snapshots: fc.Arbitrary<RetentionPoint[]> = fc
  .array(
    fc.record({
      ageMs: fc.oneof(
        fc.integer({ min: -DAY_MS, max: 3 * DAY_MS }),
        fc.integer({ min: 0, max: 900 * DAY_MS }),
        fc.integer({ min: 0, max: 9 }).map(days => days * DAY_MS),
      ),
      good: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
    }),
    { maxLength: 40 },
  )
  .map(points =>
    points.map(({ ageMs, good }, i) => ({ id: `s${i}`, time: new Date(NOW.getTime() - ageMs), good })),
  );

function more(a: KeepRules, b: KeepRules): KeepRules {
  const both: KeepRules = { ...a };
  for (const [rule, value] of Object.entries(b) as [keyof KeepRules, number | undefined][]) {
    both[rule] = Math.max(both[rule] ?? 0, value ?? 0);
  }
  return both;
}

test('adding rules never forgets more', () => {
  fc.assert(
    fc.property(snapshots, rules, rules, (points, a, b) => {
      const wider = new Set(kept(points, more(a, b)));
      return kept(points, a).every(id => wider.has(id));
    }),
  );
});

test('deciding again over what was kept keeps all of it', () => {
  fc.assert(
    fc.property(snapshots, rules, (points, keep) => {
      const once = kept(points, keep);
      assert.deepEqual(
        kept(
          points.filter(point => once.includes(point.id)),
          keep,
        ),
        once,
      );
    }),
  );
});

test('the order of the snapshots does not matter', () => {
  const shuffled = snapshots.chain(points =>
    fc.tuple(
      fc.constant(points),
      fc.shuffledSubarray(points, { minLength: points.length, maxLength: points.length }),
    ),
  );
  fc.assert(
    fc.property(shuffled, rules, ([points, other], keep) => {
      assert.deepEqual(decide(points, keep, NOW), decide(other, keep, NOW));
    }),
  );
});

test('at least min stay, always the last good one, and each that stays says why', () => {
  fc.assert(
    fc.property(snapshots, rules, (points, keep) => {
      const decisions = decide(points, keep, NOW);
      assert.equal(decisions.length, points.length);
      const stay = decisions.filter(decision => decision.keep);
      assert.ok(stay.length >= Math.min(keep.min ?? 0, points.length));
      for (const { keep: stays, reasons } of decisions) assert.equal(stays, reasons.length > 0);
      if (points.length === 0) return;
      const good = points.filter(point => point.good);
      const newestMs = Math.max(...(good.length > 0 ? good : points).map(point => point.time.getTime()));
      assert.ok(
        points.some(point => point.time.getTime() === newestMs && stay.some(({ id }) => id === point.id)),
      );
    }),
  );
});
