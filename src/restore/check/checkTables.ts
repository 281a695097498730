/**
 * A table restore reads the database back before it is committed: what was there before is there after, word for word, and
 * what was missing and has been brought is as the snapshot says.
 */
import { Belongings, isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { archiveEncoding } from '../../postgres/archive/statements.ts';
import type { Session } from '../../postgres/session.ts';
import { deviatingEntries } from '../deviation.ts';
import type { TargetProfile } from '../profile.ts';
import type { Expectation } from './checkDatabase.ts';
import { type CompareOptions, compareObjects, type ObjectDifference } from './compare.ts';
import { type DescribedObject, describeObjects } from './describe.ts';
import { type Definitions, pgDumpFor, readDefinitions } from './readDefinitions.ts';
import type { CheckResult } from './result.ts';

export interface TablesExpectation
  extends Pick<
    Expectation,
    'archive' | 'entries' | 'serverMajor' | 'pgDump' | 'options' | 'data' | 'deviations'
  > {
  /** SEQUENCE SET entries that were carried out. */
  sequences: readonly ArchiveEntry[];
  /** Schema and name, with a dot between, of the table that was made beside the one that is there. */
  beside: string | null;
}

/** The database's definitions in the session's transaction. */
export async function readInTransaction(
  session: Session,
  expected: Pick<Expectation, 'archive' | 'pgDump'>,
  signal: AbortSignal,
): Promise<Definitions> {
  const tool = await pgDumpFor(expected.pgDump, session.serverMajor);
  return readDefinitions(session, { tool, encoding: archiveEncoding(expected.archive), signal });
}

/** @param before read before the restore began its work. */
export function checkTables(
  before: Definitions,
  after: Definitions,
  profile: TargetProfile,
  expected: TablesExpectation,
  role: string,
): CheckResult {
  const all = (definitions: Definitions) =>
    describeObjects(definitions.archive, definitions.archive.entries, { profile, statements: {} });
  const known = all(before);
  const same: CompareOptions = { sameVersion: true, maintain: true, onlyOwner: null };
  const kept = compareObjects(known.filter(notSequenceSet), all(after).filter(notSequenceSet), same);
  const snapshot = new Snapshot(before, after, profile, expected, role);
  const brought = snapshot.compareBrought();
  const differences = [
    ...kept.differences.filter(difference => difference.kind !== 'added'),
    ...kept.differences.filter(difference => difference.kind === 'added' && !snapshot.explains(difference)),
    ...brought.differences,
  ];
  return {
    level: 'definitions',
    pgDump: `${after.tool.kind} ${after.tool.version}`,
    objects: kept.equal + brought.equal,
    differences,
    tables: null,
    unchecked: brought.unchecked,
  };
}

/** How entries of the snapshot that are there already are defined otherwise; owners aside, and in no words but the same version's. */
export function otherDefinitions(
  before: Definitions,
  profile: TargetProfile,
  expected: TablesExpectation,
  entries: readonly ArchiveEntry[],
): ObjectDifference[] {
  const describing = { profile, statements: { ...expected.options, owner: false } };
  const wanted = describeObjects(expected.archive, entries, describing);
  const names = new Set(wanted.map(object => object.name));
  const there = describeObjects(before.archive, before.archive.entries, describing);
  const found = there.filter(object => names.has(object.name));
  const { differences } = compareObjects(wanted, found, compareOptions(before, profile, expected, null));
  return differences.filter(({ kind }) => kind !== 'added');
}

function compareOptions(
  { tool }: Definitions,
  { serverMajor }: TargetProfile,
  expected: TablesExpectation,
  onlyOwner: string | null,
): CompareOptions {
  return {
    sameVersion: serverMajor === expected.serverMajor && expected.pgDump.endsWith(` ${tool.version}`),
    maintain: expected.serverMajor >= 17,
    onlyOwner,
  };
}

function notSequenceSet({ desc }: DescribedObject): boolean {
  return desc !== 'SEQUENCE SET';
}

/** What the snapshot says about the database in which some of its tables were restored. */
class Snapshot {
  readonly #expected: TablesExpectation;
  readonly #wanted: DescribedObject[];
  readonly #found: DescribedObject[];
  readonly #before: Set<string>;
  readonly #compare: CompareOptions;
  readonly #names: Set<string>;
  readonly #deviating: Set<number>;

  constructor(
    before: Definitions,
    after: Definitions,
    profile: TargetProfile,
    expected: TablesExpectation,
    role: string,
  ) {
    const describing = { profile, statements: expected.options };
    this.#expected = expected;
    this.#deviating = deviatingEntries(expected.deviations);
    this.#wanted = describeObjects(expected.archive, expected.archive.entries, describing);
    this.#names = new Set(this.#wanted.map(object => object.name));
    this.#found = describeObjects(after.archive, after.archive.entries, describing);
    this.#before = new Set(
      describeObjects(before.archive, before.archive.entries, describing).map(object => object.name),
    );
    const onlyOwner = expected.options.owner === false ? role : null;
    this.#compare = compareOptions(after, profile, expected, onlyOwner);
  }

  /** What had to be made since it was missing, and the values that sequences were set to. */
  compareBrought() {
    const required = this.#required();
    const wanted = this.#wanted.filter(
      ({ entry }) => required.has(entry.dumpId) && !this.#deviating.has(entry.dumpId),
    );
    const names = new Set(wanted.map(object => object.name));
    // What comes with a thing of the snapshot (a table that depends on it, a key to it) is compared if it came.
    const come = this.#wanted.filter(
      object => !names.has(object.name) && notSequenceSet(object) && this.#cameBy(object.name),
    );
    const compared = [...wanted, ...come];
    const all = new Set(compared.map(object => object.name));
    return compareObjects(
      compared,
      this.#found.filter(object => all.has(object.name)),
      this.#compare,
    );
  }

  /** Whether something that was added is the snapshot's, and compared as such, or the table beside. */
  explains({ object }: ObjectDifference): boolean {
    return this.#names.has(object) || this.#isBeside(object);
  }

  #cameBy(name: string): boolean {
    return !this.#before.has(name) && this.#found.some(object => object.name === name);
  }

  #isBeside(object: string): boolean {
    const { beside } = this.#expected;
    if (beside === null) return false;
    return object === `TABLE ${beside}` || object.endsWith(`CONSTRAINT ${beside}`);
  }

  /** dumpIds of what belongs to selected relations that were not there. */
  #required(): Set<number> {
    const { archive, entries, sequences, beside } = this.#expected;
    if (beside !== null) return new Set();
    const belongings = new Belongings(archive.entries);
    const selected = new Set(entries.map(entry => entry.dumpId));
    const required = new Set(sequences.map(entry => entry.dumpId));
    const nameOf = new Map(this.#wanted.map(object => [object.entry.dumpId, object.name]));
    const isMissing = (entry: ArchiveEntry) => {
      const name = nameOf.get(entry.dumpId);
      return name !== undefined && !this.#before.has(name);
    };
    const take = (entry: ArchiveEntry) => {
      required.add(entry.dumpId);
      for (const part of belongings.partsOf(entry.dumpId)) if (selected.has(part.dumpId)) take(part);
    };
    for (const entry of entries)
      if ((isRelation(entry) || entry.desc === 'SEQUENCE') && isMissing(entry)) take(entry);
    for (const entry of entries)
      if (isRemark(entry) && entry.dependencies.some(id => required.has(id))) required.add(entry.dumpId);
    return required;
  }
}
