/**
 * Which snapshots stay. Pure: it looks at nothing but its arguments, so that what a plan forgets can be shown before it
 * happens. Adding a rule never forgets more; deciding again over what was kept keeps all of it.
 */
import { invariant } from '../base/errors.ts';
import { type Coverage, coverageKey, covers, WHOLE } from './coverage.ts';
import { type KeepRules, TIERS, type Tier } from './keep.ts';
import { lastGood } from './lastGood.ts';
import { periodOf } from './period.ts';
import { formatSpan, type Span, spanAfter } from './span.ts';

/** One snapshot, in one repository. */
export interface RetentionPoint {
  id: string;
  /** When the database was as the snapshot has it. */
  time: Date;
  /**
   * False where it is known to be incomplete or damaged. Such a snapshot never takes the place of a good one: `last` and
   * the tiers pass over it, `min` counts it only where there are too few good ones.
   */
  good?: boolean;
  /** What it holds of its database; absent: everything. One that holds less never takes the place of one that holds more. */
  coverage?: Coverage;
  /** It holds just what its plan captures today: then it may take the place of any other of that plan. */
  planned?: boolean;
  /** Why it is held; while there is one, it stays. */
  holds?: readonly string[];
}

/** Snapshots of one database in one repository that the same rules decide over: those of one plan. */
export interface RetentionGroup {
  points: readonly RetentionPoint[];
  /** Null keeps everything; `because` says why. */
  keep: KeepRules | null;
  because?: string;
  /** These are never the last good ones of their database. */
  aside?: boolean;
}

export interface RetentionDecision {
  id: string;
  keep: boolean;
  /**
   * Where it stays, one for each thing that keeps it: `within 30d (until 2026-12-19 02:00)`, `daily 3 of 7 (2026-11-19)`,
   * `last good snapshot`, a hold. Where it goes, one for each rule, why that one does not keep it.
   */
  reasons: string[];
}

interface Candidate {
  point: RetentionPoint;
  stays: string[];
  goes: string[];
}

/**
 * Decides for each snapshot of a database in a repository whether it stays, and why.
 *
 * @param groups in any order, and the snapshots of each in any order.
 * @param now the moment that ages are counted to.
 * @returns one decision a snapshot, newest first.
 */
export function decide(groups: readonly RetentionGroup[], now: Date): RetentionDecision[] {
  const candidates = groups.flatMap(group => decideGroup(group, now));
  const guarded = groups.flatMap(group => (group.aside ? [] : group.points)).sort(byTimeDescending);
  const guards = lastGood(
    guarded.map(point => ({ id: point.id, good: isGood(point), coverage: coverageOf(point) })),
  );
  return candidates
    .sort((a, b) => byTimeDescending(a.point, b.point))
    .map(({ point: { id, holds = [] }, stays, goes }) => {
      const guard = guards.get(id);
      const reasons = [...holds, ...stays, ...(guard === undefined ? [] : [guard])];
      return { id, keep: reasons.length > 0, reasons: reasons.length > 0 ? reasons : goes };
    });
}

function decideGroup({ points, keep, because }: RetentionGroup, now: Date): Candidate[] {
  for (const point of points)
    invariant(!Number.isNaN(point.time.getTime()), `the time of snapshot ${point.id} is a date`);
  const all: Candidate[] = [...points]
    .sort(byTimeDescending)
    .map(point => ({ point, stays: [], goes: [] as string[] }));
  if (keep === null) {
    for (const { stays } of all) stays.push(because ?? 'stays until it is forgotten by hand');
    return all;
  }
  if (keep.within) for (const each of all) applyWithin(keep.within, each, now);
  const good = all.filter(({ point }) => isGood(point));
  const damaged = all.filter(({ point }) => !isGood(point));
  applyToGood(keep, good, now);
  for (const [i, each] of damaged.entries()) {
    if (keep.last || TIERS.some(tier => keep[tier]))
      each.goes.push('damaged: it takes no place of a good one');
    if (keep.min) count(each, 'min', good.length + i, keep.min);
  }
  return all;
}

function applyWithin(within: Span, { point, stays, goes }: Candidate, now: Date): void {
  const end = spanAfter(point.time, within);
  if (now <= end) stays.push(`within ${formatSpan(within)} (until ${minute(end)})`);
  else goes.push(`older than ${formatSpan(within)}, since ${minute(end)}`);
}

/** What newer snapshots have taken of what snapshots of one kind could have. */
class Tally {
  newer = 0;
  readonly periods: ReadonlyMap<Tier, Set<string>>;

  constructor(tiers: readonly Tier[]) {
    this.periods = new Map(tiers.map(tier => [tier, new Set()]));
  }
}

/** `last`, the tiers and `min`. The kinds that a snapshot can take the place of are told by what they cover. */
function applyToGood(keep: KeepRules, newestFirst: readonly Candidate[], now: Date): void {
  const tiers = TIERS.filter(tier => keep[tier]);
  const kinds = new Map<string, { point: RetentionPoint; tally: Tally }>();
  for (const { point } of newestFirst) {
    if (!kinds.has(kindOf(point))) kinds.set(kindOf(point), { point, tally: new Tally(tiers) });
  }
  for (const each of newestFirst) {
    const { point } = each;
    const { tally } = kinds.get(kindOf(point))!;
    if (keep.last) count(each, 'last', tally.newer, keep.last);
    for (const tier of tiers) applyTier(tier, keep[tier]!, each, tally, now);
    if (keep.min) count(each, 'min', tally.newer, keep.min);
    for (const other of kinds.values()) {
      if (!point.planned && !covers(coverageOf(point), coverageOf(other.point))) continue;
      other.tally.newer++;
      for (const [tier, periods] of other.tally.periods) periods.add(periodOf(tier, point.time));
    }
  }
}

function count({ stays, goes }: Candidate, rule: 'last' | 'min', newer: number, limit: number): void {
  if (newer < limit) stays.push(`${rule} ${newer + 1} of ${limit}`);
  else goes.push(`${rule} ${limit}: ${newer} newer one${newer === 1 ? '' : 's'}`);
}

function applyTier(tier: Tier, limit: number | Span, each: Candidate, tally: Tally, now: Date): void {
  const { point, stays, goes } = each;
  const period = periodOf(tier, point.time);
  const taken = tally.periods.get(tier)!;
  if (taken.has(period)) goes.push(`${tier}: ${period} has a newer one`);
  else if (typeof limit === 'number') {
    if (taken.size < limit) stays.push(`${tier} ${taken.size + 1} of ${limit} (${period})`);
    else goes.push(`${tier}: ${period} is not among the last ${limit}`);
  } else {
    const end = spanAfter(point.time, limit);
    if (now <= end) stays.push(`${tier} for ${formatSpan(limit)} (${period}, until ${minute(end)})`);
    else goes.push(`${tier}: older than ${formatSpan(limit)}, since ${minute(end)}`);
  }
}

const isGood = ({ good }: RetentionPoint): boolean => good !== false;

const coverageOf = ({ coverage }: RetentionPoint): Coverage => coverage ?? WHOLE;

const kindOf = (point: RetentionPoint): string =>
  `${point.planned === true} ${coverageKey(coverageOf(point))}`;

const minute = (time: Date): string => time.toISOString().slice(0, 16).replace('T', ' ');

/** Snapshots of the same moment are ordered by id, so that the order they come in doesn't matter. */
function byTimeDescending(a: RetentionPoint, b: RetentionPoint): number {
  const byTime = b.time.getTime() - a.time.getTime();
  if (byTime !== 0) return byTime;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}
