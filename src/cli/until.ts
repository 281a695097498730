import { usageError } from '../base/errors.ts';
import { readSpan, spanAfter } from '../strategy/span.ts';

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:?\d{2})$/;
const DAY_MS = 86_400_000;

/**
 * Reads the end of a hold: a day (UTC), which is included; a moment with its time zone; or a length of time from now.
 *
 * @returns ISO 8601, UTC.
 * @throws TidemarkError UNTIL_INVALID (usage).
 */
export function parseUntil(text: string, now: Date): string {
  const span = readSpan(text);
  if (span) return spanAfter(now, span).toISOString();
  if (DAY.test(text)) {
    const day = new Date(`${text}T00:00:00Z`);
    // There is no 31 February, which Date takes for a day in March.
    if (!Number.isNaN(day.getTime()) && day.toISOString().startsWith(text))
      return new Date(day.getTime() + DAY_MS).toISOString();
  }
  const moment = MOMENT.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(moment.getTime())) return moment.toISOString();
  throw usageError(
    'UNTIL_INVALID',
    `${JSON.stringify(text)} is no date`,
    'write a day (2027-01-31), a moment with its zone (2027-01-31T18:00Z), or a length of time (90d, 7y)',
  );
}
