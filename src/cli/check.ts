import { usageError } from '../base/errors.ts';
import {
  type CheckLevel,
  type CheckResult,
  differenceLines,
  uncheckedLines,
} from '../restore/check/result.ts';
import { formatCount, paint } from './output.ts';

/** The value of `--check`. */
export function parseCheck(given: string): CheckLevel {
  if (given === 'definitions' || given === 'exact' || given === 'none') return given;
  throw usageError('CHECK_UNKNOWN', '--check names no level', 'give definitions, exact or none');
}

/** What a restore found when it read its target back. */
export function* checkLines(check: CheckResult): Iterable<string> {
  const { level, objects, differences, pgDump, tables, unchecked } = check;
  yield* uncheckedLines(unchecked);
  if (level === 'none') {
    if (unchecked.length === 0) yield 'not checked';
    return;
  }
  yield* differenceLines(differences);
  const rows = tables === null ? 'rows counted' : `every row of ${formatCount(tables)} tables compared`;
  const verdict =
    pgDump === null ? rows : `${formatCount(objects)} objects as in the snapshot (${pgDump}), ${rows}`;
  yield differences.length === 0
    ? `checked${unchecked.length > 0 ? ' in part' : ''}: ${verdict}`
    : `${paint('red', `${formatCount(differences.length)} things differ from the snapshot`)}; ${verdict}`;
}
