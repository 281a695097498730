import { TidemarkError } from '../../base/errors.ts';
import type { ObjectDifference, Unchecked } from './compare.ts';

/** `definitions`: what pg_dump says of the target; `exact`: every row too. */
export type CheckLevel = 'none' | 'definitions' | 'exact';

/** What a restore found when it read the target back. */
export interface CheckResult {
  /** What was done; `none` where it was asked for, or where `unchecked` says why nothing could be read. */
  level: CheckLevel;
  /** Kind and version of the pg_dump that read the target. */
  pgDump: string | null;
  /** Objects, and properties of the database, that are as in the snapshot. */
  objects: number;
  /** What differs, unless the restore had said that it would. */
  differences: ObjectDifference[];
  /** Tables whose every row was compared; null unless `exact`. */
  tables: number | null;
  /** Empty where all that was asked for was done. */
  unchecked: Unchecked[];
}

/** A check that was not done: because nobody asked for it, unless `unchecked` says why else. */
export function uncheckedResult(unchecked: Unchecked[]): CheckResult {
  const nothing = { pgDump: null, objects: 0, differences: [], tables: null };
  return { level: 'none', ...nothing, unchecked };
}

const THEN = 'then restore again; --check none takes it as it is';

/** What could not be compared, since the target could not be read. */
export function unread(what: string, { message, hint }: Pick<TidemarkError, 'message' | 'hint'>): Unchecked {
  return { what, why: message, hint: hint === '' ? THEN : `${hint}; ${THEN}` };
}

/** Whether all that was asked for was compared, and is as the snapshot says. */
export function isAsAsked({ differences, unchecked }: CheckResult): boolean {
  return differences.length === 0 && unchecked.length === 0;
}

/** What was not compared, some lines each. */
export function* uncheckedLines(unchecked: readonly Unchecked[]): Iterable<string> {
  for (const { what, why, hint } of unchecked.slice(0, NAMED)) {
    yield `not checked: ${what}: ${why}`;
    yield* indented('to get it checked', hint);
  }
  if (unchecked.length > NAMED)
    yield `and ${unchecked.length - NAMED} more are not checked; --json has them all`;
}

/** Differences named in full before they are only counted. */
const NAMED = 20;

/** What differs, some lines each. */
export function* differenceLines(differences: readonly ObjectDifference[]): Iterable<string> {
  for (const { kind, object, expected, found } of differences.slice(0, NAMED)) {
    yield `${kind}: ${object}`;
    if (expected !== null) yield* indented('snapshot', expected);
    if (found !== null) yield* indented('target', found);
  }
  if (differences.length > NAMED) yield `and ${differences.length - NAMED} more; --json has them all`;
}

function* indented(side: string, text: string): Iterable<string> {
  for (const line of text.trim().split('\n')) yield `  ${side}: ${line}`;
}

/** RESTORE_DIFFERS, with every difference in its JSON. */
export class RestoreDiffers extends TidemarkError {
  readonly check: CheckResult;

  constructor(where: string, check: CheckResult, hint: string) {
    const { differences } = check;
    const many = differences.length === 1 ? '1 thing differs' : `${differences.length} things differ`;
    super(
      'RESTORE_DIFFERS',
      [`${where}: ${many} from the snapshot`, ...differenceLines(differences)].join('\n'),
      hint,
      { kind: 'fault' },
    );
    this.check = check;
  }

  override toJSON() {
    return { ...super.toJSON(), check: this.check };
  }
}

/** RESTORE_UNCHECKED, with what could not be compared. */
export function restoreUnchecked(
  where: string,
  unchecked: readonly Unchecked[],
  hint: string,
): TidemarkError {
  const lines = unchecked.map(({ what, why }) => `${what}: ${why}`);
  const [{ hint: remedy } = { hint: '' }] = unchecked;
  return new TidemarkError(
    'RESTORE_UNCHECKED',
    `${where} could not be read back: ${lines.slice(0, NAMED).join('\n')}`,
    `${remedy}\n${hint}`,
    { kind: 'fault' },
  );
}
