import { usageError } from '../base/errors.ts';
import { type CheckLevel, type CheckResult, differenceLines } from '../restore/check/result.ts';
import { formatCount, paint } from './output.ts';

/** Objects named before they are only counted. */
const NAMED = 5;

/** The value of `--check`. */
export function parseCheck(given: string): CheckLevel {
  if (given === 'definitions' || given === 'exact' || given === 'none') return given;
  throw usageError('CHECK_UNKNOWN', '--check names no level', 'give definitions, exact or none');
}

/** What a restore found when it read its target back. */
export function* checkLines(check: CheckResult): Iterable<string> {
  const { level, objects, differences, notCompared, pgDump, tables, unread } = check;
  if (level === 'none') {
    yield unread === null ? 'not checked' : `not checked: ${unread}`;
    return;
  }
  if (unread !== null) yield `definitions were not checked: ${unread}`;
  yield* differenceLines(differences);
  if (notCompared.length > 0) {
    const more = notCompared.length > NAMED ? ` and ${formatCount(notCompared.length - NAMED)} more` : '';
    const named = notCompared.slice(0, NAMED).join(', ') + more;
    yield `there, but not compared word for word, since versions word them differently: ${named}`;
  }
  const rows = tables === null ? 'rows counted' : `every row of ${formatCount(tables)} tables compared`;
  const verdict =
    pgDump === null ? rows : `${formatCount(objects)} objects as in the snapshot (${pgDump}), ${rows}`;
  yield differences.length === 0
    ? `checked: ${verdict}`
    : `${paint('red', `${formatCount(differences.length)} things differ from the snapshot`)}; ${verdict}`;
}
