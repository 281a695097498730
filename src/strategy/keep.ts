/** What a plan keeps, as rules and in words. */
import { formatSpan, type Span } from './span.ts';

export const TIERS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

export type Tier = (typeof TIERS)[number];

/** A snapshot stays where at least one rule wants it. All counts are whole and more than 0; an absent rule wants nothing. */
export interface KeepRules {
  /** Every snapshot until it is this old. */
  within?: Span;
  /** The newest so many. */
  last?: number;
  /**
   * Of each period that has snapshots the newest one: of the last so many such periods, or until the snapshot is this
   * old. Periods are in UTC; weeks are ISO 8601's, from Monday to Sunday.
   */
  hourly?: number | Span;
  daily?: number | Span;
  weekly?: number | Span;
  monthly?: number | Span;
  yearly?: number | Span;
  /** At least so many stay, whatever their age. */
  min?: number;
}

const DAY_MS = 86_400_000;

/** Of snapshots that are taken before a restore in place, unless the database says otherwise. */
export const DEFAULT_SAFETY_KEEP: KeepRules = { within: { months: 0, ms: 7 * DAY_MS }, min: 1 };

/** Rules in words: `within 30d, last 3, daily 7, weekly for 1y, at least 2`; null keeps everything. */
export function describeKeep(keep: KeepRules | null): string {
  if (keep === null) return 'everything, until it is forgotten by hand';
  const parts = [
    keep.within && `within ${formatSpan(keep.within)}`,
    keep.last && `last ${keep.last}`,
    ...TIERS.map(tier => keep[tier] && `${tier} ${limitText(keep[tier])}`),
    keep.min && `at least ${keep.min}`,
  ];
  return parts.filter(Boolean).join(', ');
}

function limitText(limit: number | Span): string {
  return typeof limit === 'number' ? String(limit) : `for ${formatSpan(limit)}`;
}
