import { TidemarkError } from '../../base/errors.ts';
import type { ObjectDifference } from './compare.ts';

/** `definitions`: what pg_dump says of the target; `exact`: every row too. */
export type CheckLevel = 'none' | 'definitions' | 'exact';

/** What a restore found when it read the target back. */
export interface CheckResult {
  /** What was done; `none` where it was asked for, or where `unread` says why nothing could be read. */
  level: CheckLevel;
  /** Kind and version of the pg_dump that read the target. */
  pgDump: string | null;
  /** Objects, and properties of the database, that are as in the snapshot. */
  objects: number;
  /** Objects that are there with their owner, whose definitions two versions word differently. */
  notCompared: string[];
  /** What differs, unless the restore had said that it would. */
  differences: ObjectDifference[];
  /** Tables whose every row was compared; null unless `exact`. */
  tables: number | null;
  /** Why the definitions could not be read back. */
  unread: string | null;
}

export function uncheckedResult(unread: string | null): CheckResult {
  return { level: 'none', pgDump: null, objects: 0, notCompared: [], differences: [], tables: null, unread };
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
