import { usageError } from '../base/errors.ts';

const MS_OF_UNIT = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
} as const;

type Unit = keyof typeof MS_OF_UNIT;

/** A hundred centuries: longer ones are slips of the hand, and dates can't be reckoned back that far. */
const LONGEST_MS = 10_000 * MS_OF_UNIT.y;

/** How a duration is written, as a regular expression without anchors. */
export const DURATION_PATTERN = '(?:[0-9]+(?:ms|s|m|h|d|w|y))+';

const WHOLE = new RegExp(`^${DURATION_PATTERN}$`);

/**
 * Reads a duration: whole numbers, each with its unit, added up: `15m`, `24h`, `7d`, `2w`, `1y`, `1d12h`.
 * Minutes are `m`; there is no unit for months; a year is 365 days.
 *
 * @returns milliseconds, or null where `text` is no duration.
 */
export function readDuration(text: string): number | null {
  if (!WHOLE.test(text)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ms|s|m|h|d|w|y)/g)) {
    totalMs += Number(amount) * MS_OF_UNIT[unit as Unit];
  }
  return totalMs <= LONGEST_MS ? totalMs : null;
}

/**
 * As `readDuration`, for a duration that a person typed.
 *
 * @returns milliseconds.
 * @throws TidemarkError DURATION_INVALID (usage).
 */
export function parseDuration(text: string): number {
  const durationMs = readDuration(text);
  if (durationMs !== null) return durationMs;
  throw usageError(
    'DURATION_INVALID',
    `${JSON.stringify(text)} is not a duration`,
    'write a number and its unit, such as 15m, 24h, 7d or 2w',
  );
}

/**
 * Writes a duration in days, hours, minutes, seconds and milliseconds: `30d`, `1d12h`, `15m`, `0s`. Weeks and years are
 * written in days. `parseDuration` reads it back to the same number.
 *
 * @param durationMs whole milliseconds, not negative.
 */
export function formatDuration(durationMs: number): string {
  let leftMs = Math.round(durationMs);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const amount = Math.floor(leftMs / MS_OF_UNIT[unit]);
    if (amount > 0) text += `${amount}${unit}`;
    leftMs -= amount * MS_OF_UNIT[unit];
  }
  return text || '0s';
}
