/**
 * How long something is kept, as calendars count it: a month is as long as the month is, and seven years are seven
 * years, leap days included. (Durations, in duration.ts, are exact lengths, for what machines do.) Always UTC.
 */
import { formatDuration, readDuration } from './duration.ts';

/** Whole months, and milliseconds after those. */
export interface Span {
  months: number;
  ms: number;
}

const MONTHS_OF_UNIT = { mo: 1, y: 12 } as const;

/** As long as the longest duration: a hundred centuries. */
const LONGEST_MONTHS = 120_000;

/** How a span is written, as a regular expression without anchors. */
export const SPAN_PATTERN = '(?:[0-9]+(?:ms|s|m|h|d|w|mo|y))+';

const WHOLE = new RegExp(`^${SPAN_PATTERN}$`);
const CALENDAR_PART = /([0-9]+)(mo|y)/g;

/**
 * Reads a span: whole numbers, each with its unit, added up: `24h`, `30d`, `4w`, `3mo`, `7y`, `1y6mo`.
 *
 * @returns null where `text` is no span.
 */
export function readSpan(text: string): Span | null {
  if (!WHOLE.test(text)) return null;
  let months = 0;
  for (const [, amount, unit] of text.matchAll(CALENDAR_PART)) {
    months += Number(amount) * MONTHS_OF_UNIT[unit as keyof typeof MONTHS_OF_UNIT];
  }
  const rest = text.replace(CALENDAR_PART, '');
  const ms = rest === '' ? 0 : readDuration(rest);
  return ms === null || months > LONGEST_MONTHS ? null : { months, ms };
}

/** Writes a span: `7y`, `1y6mo`, `30d`, `3mo12h`. `readSpan` reads it back to the same. */
export function formatSpan({ months, ms }: Span): string {
  const years = Math.floor(months / 12);
  const text = `${years > 0 ? `${years}y` : ''}${months % 12 > 0 ? `${months % 12}mo` : ''}`;
  return ms > 0 || text === '' ? text + formatDuration(ms) : text;
}

/**
 * The moment that lies a span after another. Where the month it leads to lacks the day (31 January and a month), it is
 * the start of the month after: nothing ends early, and what began later never ends sooner.
 */
export function spanAfter(time: Date, { months, ms }: Span): Date {
  if (months === 0) return new Date(time.getTime() + ms);
  const month = time.getUTCMonth() + months;
  const day = time.getUTCDate();
  const dayStartMs = Date.UTC(time.getUTCFullYear(), month, day);
  const lacksDay = new Date(dayStartMs).getUTCDate() !== day;
  const monthsLaterMs = lacksDay
    ? Date.UTC(time.getUTCFullYear(), month + 1, 1)
    : dayStartMs + (time.getTime() - Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), day));
  return new Date(monthsLaterMs + ms);
}

/** The longest that a span can be, in milliseconds: its months as long as any so many months are. */
export function longestMs({ months, ms }: Span): number {
  let longest = 0;
  for (let month = 0; month < 48; month++) {
    const start = new Date(Date.UTC(2024, month, 1));
    longest = Math.max(longest, spanAfter(start, { months, ms }).getTime() - start.getTime());
  }
  return longest;
}
