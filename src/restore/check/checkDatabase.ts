/**
 * A restore reads its target back: what pg_dump says of it is compared with what the snapshot says it should be. The
 * comparison knows nothing of how the restore was done, only what it was to carry out.
 */
import type { Part } from '../../capture/logical/part.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { archiveEncoding, type StatementOptions } from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import type { DatabaseStatement } from '../database/definition.ts';
import { type Deviation, deviatingEntries, refusedStatements } from '../deviation.ts';
import type { TargetProfile } from '../profile.ts';
import { type Comparison, compareObjects, type ObjectDifference, type Unchecked } from './compare.ts';
import { accessOf, compareProperties, nameOfProperty } from './databaseProperties.ts';
import { type DescribedObject, describeObjects } from './describe.ts';
import { compareLargeObjectSizes } from './largeObjects.ts';
import { type Definitions, pgDumpFor, readDatabase } from './readDefinitions.ts';
import { type CheckResult, unread } from './result.ts';

/** What a database should have. */
export interface Expectation {
  archive: Archive;
  /** Those that the restore carried out. */
  entries: readonly ArchiveEntry[];
  parts: readonly Part[];
  /** Major version of the server that was captured. */
  serverMajor: number;
  /** The pg_dump that it was captured with, as its manifest has it. */
  pgDump: string;
  options: StatementOptions;
  /** Whether rows, sequence values and large objects were restored, or definitions only. */
  data: boolean;
  /** What of the database itself was restored: all of it, what can be added to any database, or nothing. */
  database: 'made' | 'given' | 'not';
  /** What the restore said that it does otherwise: that is not expected. */
  deviations: readonly Deviation[];
}

/** What is read with the pg_dump that the snapshot's definitions were read with, if it is here. */
export async function readTarget(
  settings: ConnectionSettings,
  expected: Pick<Expectation, 'archive' | 'pgDump'>,
  serverMajor: number,
  signal: AbortSignal,
): Promise<Definitions> {
  const tool = await pgDumpFor(expected.pgDump, serverMajor);
  return readDatabase(settings, { tool, encoding: archiveEncoding(expected.archive), signal });
}

/**
 * Compares a database that was restored as a whole.
 *
 * @param before what was there before the restore, if anything could be; it is not called added.
 */
export async function checkDatabase(
  settings: ConnectionSettings,
  profile: TargetProfile,
  expected: Expectation,
  before: Definitions | null,
  signal: AbortSignal,
): Promise<CheckResult> {
  const there = await readTarget(settings, expected, profile.serverMajor, signal);
  const objects = compareDefinitions(expected, there, profile, before, settings.user);
  const { owner, acl, tablespaces } = expected.options;
  const properties =
    expected.database === 'not'
      ? { equal: 0, differences: [] }
      : compareProperties(expected.archive, there.archive, {
          ...{ owner: owner !== false, privileges: acl !== false, tablespaces: tablespaces !== false },
          made: expected.database === 'made',
          serverMajor: profile.serverMajor,
          refused: refusedStatements(expected.deviations),
        });
  const sizes = expected.data ? await largeObjects(settings, expected, signal) : [];
  const refused = sizes instanceof PostgresError ? [unreadSizes(sizes)] : [];
  const differences = [
    ...objects.differences,
    ...properties.differences,
    ...(sizes instanceof PostgresError ? [] : sizes),
  ];
  return {
    level: 'definitions',
    pgDump: `${there.tool.kind} ${there.tool.version}`,
    objects: objects.equal + properties.equal,
    differences,
    tables: null,
    unchecked: [...objects.unchecked, ...refused],
  };
}

const DEFAULT_ACCESS = new Set(['-1', 'false']);

export interface AccessExpectation {
  archive: Archive;
  /** Whether the restore made the database; else what is the default is not set. */
  made: boolean;
  refused: readonly DatabaseStatement[];
}

/** How many may connect to the database of the settings, asked in another one; to be called when it is open to use. */
export async function compareAccess(
  session: Session,
  database: string,
  { archive, made, refused }: AccessExpectation,
): Promise<ObjectDifference[]> {
  const expected = accessOf(archive);
  const [row] = await session.query(
    'select datconnlimit, datistemplate from pg_catalog.pg_database where datname operator(pg_catalog.=) $1',
    [database],
  );
  if (expected === null || row === undefined) return [];
  const pairs = [
    ['connection limit', expected.connectionLimit, row.datconnlimit!],
    ['is_template', String(expected.isTemplate), String(row.datistemplate === 't')],
  ];
  const excused = new Set(refused.map(nameOfProperty));
  return pairs
    .filter(([name, wanted, found]) => wanted !== found && !excused.has(name!))
    .filter(([, wanted]) => made || !DEFAULT_ACCESS.has(wanted!))
    .map(([name, wanted, found]) => ({
      kind: 'different' as const,
      object: `DATABASE ${name}`,
      expected: wanted!,
      found: found!,
    }));
}

function compareDefinitions(
  expected: Expectation,
  there: Definitions,
  profile: TargetProfile,
  before: Definitions | null,
  role: string,
): Comparison {
  const describing = { profile, statements: expected.options };
  const describe = ({ archive }: Definitions) =>
    describeObjects(archive, archive.entries.filter(expected.data ? () => true : isDefinition), describing);
  const deviating = deviatingEntries(expected.deviations);
  const wanted = expected.entries.filter(entry => !deviating.has(entry.dumpId));
  const comparison = compareObjects(describeObjects(expected.archive, wanted, describing), describe(there), {
    sameVersion:
      profile.serverMajor === expected.serverMajor && expected.pgDump.endsWith(` ${there.tool.version}`),
    maintain: expected.serverMajor >= 17,
    onlyOwner: expected.options.owner === false ? role : null,
  });
  if (before === null) return comparison;
  const known = new Set(describe(before).map(identity));
  const differences = comparison.differences.filter(({ kind, object, found }) => {
    return kind !== 'added' || !known.has(`${object}\n${found}`);
  });
  return { ...comparison, differences };
}

function identity({ name, statements }: DescribedObject): string {
  return `${name}\n${statements}`;
}

/** What a restore of definitions alone brings. */
function isDefinition({ desc }: ArchiveEntry): boolean {
  return desc !== 'SEQUENCE SET' && !desc.startsWith('BLOB');
}

async function largeObjects(
  settings: ConnectionSettings,
  expected: Expectation,
  signal: AbortSignal,
): Promise<ObjectDifference[] | PostgresError> {
  const session = await Session.open(settings, 'tidemark check', signal);
  try {
    return await compareLargeObjectSizes(session, expected.archive, expected.entries, expected.parts);
  } catch (error) {
    if (error instanceof PostgresError && error.severity === 'ERROR') return error;
    throw error;
  } finally {
    await session.close();
  }
}

function unreadSizes(error: PostgresError): Unchecked {
  const hint = 'give the role of the connection the right to read all large objects (a superuser has it)';
  return unread('sizes of large objects', { message: error.said(), hint });
}
