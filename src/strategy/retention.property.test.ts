/** What holds whatever the rules and whatever the snapshots. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Coverage, coverageKey, covers, isWhole, WHOLE } from './coverage.ts';
import { type KeepRules, TIERS } from './keep.ts';
import { decide, type RetentionGroup, type RetentionPoint } from './retention.ts';
import { type Span, spanAfter } from './span.ts';

const DAY_MS = 86_400_000;
const NOW = new Date('2026-11-19T12:00:00Z');
const RUNS = { numRuns: 1500 };

const count = fc.integer({ min: 1, max: 4 });
const span: fc.Arbitrary<Span> = fc.record({
  months: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 })),
  ms: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 * DAY_MS })),
});
const limit = fc.oneof(count, span);
/** Few rules at a time: where there are many, nearly everything stays, whatever is wrong with one of them. */
const rules: fc.Arbitrary<KeepRules> = fc.oneof(
  fc.constant({}),
  fc.record({ within: span }),
  fc.record({ last: count }),
  fc.record({ min: count }),
  fc.record({ within: span, min: count }),
  ...TIERS.map(tier => fc.record({ [tier]: limit })),
  fc.record({
    last: count,
    hourly: limit,
    daily: limit,
    weekly: limit,
    monthly: limit,
    yearly: limit,
    min: count,
  }),
);

const patterns = fc.subarray(['a', 'b']);
const coverage: fc.Arbitrary<Coverage> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(WHOLE) },
  fc.record({
    tables: patterns,
    excludeTables: patterns,
    schemaOnly: fc.boolean(),
    dataOnly: fc.constant(false),
  }),
);

/** Times lie close together or far apart, and some are equal. */
const point = fc.record({
  ageMs: fc.oneof(
    fc.integer({ min: -DAY_MS, max: 3 * DAY_MS }),
    fc.integer({ min: 0, max: 900 * DAY_MS }),
    fc.integer({ min: 0, max: 9 }).map(days => days * DAY_MS),
  ),
  good: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  coverage,
  planned: fc.boolean(),
  held: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
});

/** A database's snapshots, by up to three plans and one that is aside. */
const database: fc.Arbitrary<RetentionGroup[]> = fc
  .array(
    fc.record({
      keep: fc.option(rules, { freq: 9 }),
      points: fc.array(point, { maxLength: 14 }),
      aside: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map(groups =>
    groups.map(({ keep, points, aside }, g) => {
      // As retain.ts has it: within a plan, one coverage is the planned one.
      const planned = points.find(each => each.planned)?.coverage;
      return {
        keep,
        aside: aside && g === 3,
        points: points.map(
          ({ ageMs, held, ...each }, i): RetentionPoint => ({
            ...each,
            planned: planned !== undefined && coverageKey(planned) === coverageKey(each.coverage),
            id: `s${g}-${i}`,
            time: new Date(NOW.getTime() - ageMs),
            holds: held ? ['held'] : [],
          }),
        ),
      };
    }),
  );

const stayIds = (groups: RetentionGroup[], now = NOW): Set<string> =>
  new Set(decide(groups, now).flatMap(({ id, keep }) => (keep ? [id] : [])));

/** What is left once the decision is carried out. */
const without = (groups: RetentionGroup[], stay: ReadonlySet<string>): RetentionGroup[] =>
  groups.map(group => ({ ...group, points: group.points.filter(({ id }) => stay.has(id)) }));

const newest = (points: RetentionPoint[]): number => Math.max(...points.map(({ time }) => time.getTime()));

/** Both rules at once, as two `keep` of one plan would mean. */
function more(a: KeepRules | null, b: KeepRules): KeepRules | null {
  if (a === null) return null;
  const both: KeepRules = { ...a };
  for (const key of ['last', 'min'] as const) both[key] = Math.max(a[key] ?? 0, b[key] ?? 0) || undefined;
  for (const key of ['within', ...TIERS] as const) {
    const [mine, other] = [a[key], b[key]];
    if (mine === undefined) Object.assign(both, { [key]: other });
    else if (typeof mine === 'number' && typeof other === 'number')
      Object.assign(both, { [key]: Math.max(mine, other) });
    else if (typeof mine === 'object' && typeof other === 'object' && key !== 'within')
      Object.assign(both, {
        [key]: { months: Math.max(mine.months, other.months), ms: Math.max(mine.ms, other.ms) },
      });
  }
  return both;
}

test('the last good snapshot of a database stays: the newest whole one, or of what there is', () => {
  fc.assert(
    fc.property(database, groups => {
      const stay = stayIds(groups);
      const all = groups.filter(group => !group.aside).flatMap(group => group.points);
      const good = all.filter(each => each.good);
      for (const set of [good.filter(each => isWhole(each.coverage!)), good]) {
        if (set.length === 0) continue;
        const newestMs = newest(set);
        assert.ok(set.some(({ id, time }) => time.getTime() === newestMs && stay.has(id)));
      }
      // Whatever good data there was, of any table, what is left has it in a state that is no older.
      for (const lost of good.filter(({ id }) => !stay.has(id)))
        assert.ok(
          good.some(
            each => stay.has(each.id) && each.time >= lost.time && covers(each.coverage!, lost.coverage!),
          ),
        );
      // With nothing good there is still something.
      if (all.length > 0) assert.ok(all.some(({ id }) => stay.has(id)));
    }),
    RUNS,
  );
});

test('adding rules never makes more go', () => {
  fc.assert(
    fc.property(database, rules, fc.nat(), (groups, rule, at) => {
      const wider = groups.map((group, i) =>
        i === at % groups.length ? { ...group, keep: more(group.keep, rule) } : group,
      );
      const stay = stayIds(wider);
      for (const id of stayIds(groups)) assert.ok(stay.has(id));
    }),
    RUNS,
  );
});

test('what was kept is kept again: deciding twice forgets nothing more, and for the same reasons or better ones', () => {
  fc.assert(
    fc.property(database, groups => {
      const stay = stayIds(groups);
      assert.deepEqual(stayIds(without(groups, stay)), stay);
    }),
    RUNS,
  );
});

test('pruning every day ends where pruning once does: never with less', () => {
  const later = fc.array(fc.integer({ min: 0, max: 100 * DAY_MS }), { maxLength: 6 });
  fc.assert(
    fc.property(database, later, (groups, steps) => {
      let often = groups;
      let nowMs = NOW.getTime();
      for (const stepMs of steps) {
        nowMs += stepMs;
        often = without(often, stayIds(often, new Date(nowMs)));
      }
      const once = stayIds(groups, new Date(nowMs));
      for (const id of once) assert.ok(often.some(group => group.points.some(each => each.id === id)));
    }),
    RUNS,
  );
});

test('the order of snapshots and of plans does not matter', () => {
  const shuffled = database.chain(groups => {
    const other = groups.map(group =>
      fc
        .shuffledSubarray([...group.points], { minLength: group.points.length })
        .map((points): RetentionGroup => ({ ...group, points })),
    );
    return fc.tuple(
      fc.constant(groups),
      fc.tuple(...other).map(all => all.reverse()),
    );
  });
  fc.assert(
    fc.property(shuffled, ([groups, other]) => {
      assert.deepEqual(decide(groups, NOW), decide(other, NOW));
    }),
    RUNS,
  );
});

test('at least min stay in each plan, good ones first; what is held stays; each says why', () => {
  fc.assert(
    fc.property(database, groups => {
      const decisions = decide(groups, NOW);
      const stay = stayIds(groups);
      assert.equal(decisions.length, groups.flatMap(group => group.points).length);
      for (const { keep, points } of groups) {
        const left = points.filter(({ id }) => stay.has(id));
        assert.ok(left.length >= Math.min(keep === null ? points.length : (keep.min ?? 0), points.length));
        const good = (of: readonly RetentionPoint[]) => of.filter(each => each.good).length;
        if (keep?.min) assert.ok(good(left) >= Math.min(keep.min, good(points)));
        for (const { id, holds } of points) if (holds!.length > 0) assert.ok(stay.has(id));
      }
      const ruled = new Map(
        groups.flatMap(({ keep, points }) => points.map(({ id }) => [id, keep] as const)),
      );
      for (const { id, keep, reasons } of decisions) {
        const rulesThere = Object.values(ruled.get(id) ?? {}).some(rule => rule !== undefined);
        assert.ok(reasons.length > 0 || (!keep && !rulesThere));
      }
    }),
    RUNS,
  );
});

test('a rule of time keeps exactly what is not older', () => {
  fc.assert(
    fc.property(database, span, (groups, within) => {
      const points = groups.flatMap(group => group.points).map(each => ({ ...each, holds: [] }));
      for (const { id, reasons } of decide([{ points, keep: { within } }], NOW)) {
        const { time } = points.find(each => each.id === id)!;
        assert.equal(
          reasons.some(reason => reason.startsWith('within ')),
          NOW <= spanAfter(time, within),
        );
      }
    }),
    RUNS,
  );
});

test('partial snapshots change nothing for the whole ones', () => {
  fc.assert(
    fc.property(database, rules, (groups, keep) => {
      const points = groups
        .flatMap(group => group.points)
        .map(each => ({ ...each, good: true, planned: isWhole(each.coverage!) }));
      const whole = points.filter(each => each.planned);
      const ids = new Set(whole.map(({ id }) => id));
      const among = decide([{ points, keep }], NOW).filter(({ id }) => ids.has(id));
      assert.deepEqual(among, decide([{ points: whole, keep }], NOW));
    }),
    RUNS,
  );
});
