/**
 * Which snapshots stay. Pure: it looks at nothing but its arguments, so that what a plan forgets can be shown before it
 * happens. Adding a rule never forgets more; deciding again over what was kept keeps all of it.
 */
import { invariant } from '../base/errors.ts';
import { formatDuration } from './duration.ts';

const DAY_MS = 86_400_000;

/** What a plan keeps; a snapshot stays where at least one rule wants it. All counts are whole and not negative. */
export interface KeepRules {
  /** Every snapshot that is at most this old. */
  withinMs?: number;
  /** The newest so many. */
  last?: number;
  /** Of each of the last so many periods that have snapshots, the newest one. Periods are in UTC; weeks are ISO 8601's. */
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  /** At least so many stay, whatever their age. */
  min?: number;
}

export interface RetentionPoint {
  id: string;
  /** When the database was as the snapshot has it. */
  time: Date;
  /**
   * False where a check found it incomplete or damaged. Such a snapshot never takes the place of a good one: `last` and
   * the tiers pass over it, `min` counts it only where there are too few good ones.
   */
  good?: boolean;
}

export interface RetentionDecision {
  id: string;
  keep: boolean;
  /** One for each rule that keeps it: `within 30d`, `daily 3 of 7 (2026-11-19)`, `last good snapshot`; empty where none does. */
  reasons: string[];
}

const TIERS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

export type Tier = (typeof TIERS)[number];

const PERIOD: Record<Tier, (time: Date) => string> = {
  hourly: time => `${time.toISOString().slice(0, 13).replace('T', ' ')}:00`,
  daily: time => time.toISOString().slice(0, 10),
  weekly: isoWeek,
  monthly: time => time.toISOString().slice(0, 7),
  yearly: time => time.toISOString().slice(0, 4),
};

/**
 * Decides for each snapshot whether it stays and why.
 *
 * @param points the snapshots of one plan, in any order.
 * @param keep the rules; null keeps everything.
 * @param now the moment that `withinMs` counts back from.
 * @returns one decision a snapshot, newest first; the newest good one is always kept.
 */
export function decide(
  points: readonly RetentionPoint[],
  keep: KeepRules | null,
  now: Date,
): RetentionDecision[] {
  for (const point of points)
    invariant(!Number.isNaN(point.time.getTime()), `the time of snapshot ${point.id} is a date`);
  const newestFirst = [...points].sort(byTimeDescending);
  const decisions = newestFirst.map(point => ({ id: point.id, keep: false, reasons: [] as string[] }));
  const candidates = newestFirst.map((point, i) => ({ point, reasons: decisions[i]!.reasons }));
  const good = candidates.filter(({ point }) => point.good !== false);

  if (keep === null) for (const { reasons } of candidates) reasons.push('nothing is forgotten');
  else applyRules(keep, candidates, good, now);

  const [last = candidates[0]] = good;
  last?.reasons.push(good.length > 0 ? 'last good snapshot' : 'last snapshot');
  for (const decision of decisions) decision.keep = decision.reasons.length > 0;
  return decisions;
}

interface Candidate {
  point: RetentionPoint;
  reasons: string[];
}

/** Both lists are newest first; each rule adds its reason to the snapshots it wants. */
function applyRules(keep: KeepRules, all: readonly Candidate[], good: readonly Candidate[], now: Date): void {
  const { withinMs, last, min } = keep;
  if (withinMs) {
    for (const { point, reasons } of all) {
      if (now.getTime() - point.time.getTime() <= withinMs)
        reasons.push(`within ${formatDuration(withinMs)}`);
    }
  }
  if (last) keepNewest('last', last, good);
  for (const tier of TIERS) if (keep[tier]) applyTier(tier, keep[tier], good);
  if (min) {
    const others = all.filter(({ point }) => point.good === false);
    keepNewest('min', min, [...good, ...others]);
  }
}

function keepNewest(rule: 'last' | 'min', count: number, inOrder: readonly Candidate[]): void {
  for (const [i, { reasons }] of inOrder.slice(0, count).entries())
    reasons.push(`${rule} ${i + 1} of ${count}`);
}

function applyTier(tier: Tier, count: number, newestFirst: readonly Candidate[]): void {
  const periods = new Set<string>();
  for (const { point, reasons } of newestFirst) {
    const period = PERIOD[tier](point.time);
    if (periods.has(period)) continue;
    if (periods.size === count) return;
    periods.add(period);
    reasons.push(`${tier} ${periods.size} of ${count} (${period})`);
  }
}

/** Snapshots of the same moment are ordered by id, so that the order they come in doesn't matter. */
function byTimeDescending(a: RetentionPoint, b: RetentionPoint): number {
  const byTime = b.time.getTime() - a.time.getTime();
  if (byTime !== 0) return byTime;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/** Of ISO 8601: a week belongs to the year that its Thursday lies in: 2026-W47. */
function isoWeek(time: Date): string {
  const weekday = (time.getUTCDay() + 6) % 7;
  const thursday = new Date(time.getTime() + (3 - weekday) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}
