import { usageError } from '../base/errors.ts';
import type { Reporter } from '../base/progress.ts';
import type { ThawOptions } from '../operations/thaw.ts';

/** The longest that a provider keeps a thawed copy by one order. */
const DAYS_MAX = 365;

/** What `--table`, `--days` and `--wait` say. */
export function thawOptions(
  options: Record<string, unknown>,
  reporter: Reporter,
  signal: AbortSignal,
): ThawOptions {
  const written = String(options.days ?? '7');
  const days = /^\d{1,3}$/.test(written) ? Number(written) : 0;
  if (days < 1 || days > DAYS_MAX) {
    throw usageError('DAYS_INVALID', `--days ${written} is no number of days`, `give 1 to ${DAYS_MAX}`);
  }
  const tables = (options.table as string[] | undefined) ?? [];
  return { tables, days, wait: options.wait === true, reporter, signal };
}
