/** The periods that tiers go by, named so that each name is one period; all in UTC. */
import type { Tier } from './keep.ts';

const DAY_MS = 86_400_000;

const NAME: Record<Tier, (time: Date) => string> = {
  hourly: time => `${time.toISOString().slice(0, 13).replace('T', ' ')}:00`,
  daily: time => time.toISOString().slice(0, 10),
  weekly: isoWeek,
  monthly: time => time.toISOString().slice(0, 7),
  yearly: time => time.toISOString().slice(0, 4),
};

/** The period of a tier that a moment lies in: `2026-11-19 14:00`, `2026-11-19`, `2026-W47`, `2026-11`, `2026`. */
export function periodOf(tier: Tier, time: Date): string {
  return NAME[tier](time);
}

/** Of ISO 8601: a week belongs to the year that its Thursday lies in: 2026-W47. */
function isoWeek(time: Date): string {
  const weekday = (time.getUTCDay() + 6) % 7;
  const thursday = new Date(time.getTime() + (3 - weekday) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}
