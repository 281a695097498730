import { TidemarkError, usageError } from '../../base/errors.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { largeObjectBatches } from '../../postgres/archive/largeObjects.ts';
import { unmatchedPatterns } from '../../postgres/archive/matching.ts';
import { anyPattern, patternIn } from '../../postgres/archive/pattern.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { selectEntries } from '../../postgres/archive/select.ts';
import { writeArchive } from '../../postgres/archive/write.ts';
import { StartedPgDump } from '../../postgres/pgDump/archiveHead.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { Anchor, ServerFacts, SourceTable } from './anchor.ts';
import { examineExclusion, type NeedsExcluded } from './excluded.ts';
import { refuseHoles } from './holes.ts';
import { largeObjectPart, type PartJob, tableParts } from './partition.ts';

/**
 * For what pg_dump locks besides tables: below the server's deadlock_timeout (1 s), so that of a deadlock with the
 * application it is not the application that loses.
 */
const PG_DUMP_LOCK_MS = 700;

export interface CaptureScope {
  /** Patterns; empty means all. */
  tables: string[];
  excludeTables: string[];
  schemaOnly: boolean;
  dataOnly: boolean;
}

export interface CapturePlan {
  /** Header and table of contents: as pg_dump wrote them, unless only some tables are wanted. */
  archive: Buffer;
  /** The biggest table first, its parts in order. */
  jobs: PartJob[];
  tables: number;
  largeObjects: number;
  pgDump: string;
  warnings: string[];
  /** What a restore can't make, since it needs what was left out. */
  needsExcluded: NeedsExcluded[];
}

/** The pg_dump that `planCapture` reads with. */
export function startPgDump(
  session: Session,
  { encoding }: ServerFacts,
  scope: CaptureScope,
  signal: AbortSignal,
): Promise<StartedPgDump> {
  return StartedPgDump.start(session, { args: pgDumpArguments(scope, encoding), signal });
}

/** What there is to capture under the anchor's snapshot, and the statements that read it. */
export async function planCapture(
  anchor: Anchor,
  pgDump: StartedPgDump,
  scope: CaptureScope,
): Promise<CapturePlan> {
  const head = await pgDump.read(anchor.session, PG_DUMP_LOCK_MS);
  refuseHoles(head.archive);
  const { archive, changed } = narrow(head.archive, scope);
  refuseUnreadable(archive, anchor);
  const exclusion = await examineExclusion(anchor.session, archive, scope.excludeTables);
  const tables = tablesWithRows(archive, anchor);
  const batches = scope.schemaOnly ? [] : largeObjectBatches(archive);
  const jobs = tables
    .sort((a, b) => b.tableBytes - a.tableBytes)
    .flatMap(table => tableParts(table, anchor.facts.encoding));
  return {
    archive: changed ? writeArchive(archive) : head.bytes,
    jobs: [...(scope.schemaOnly ? [] : jobs), ...batches.map(({ oids }, i) => largeObjectPart(oids, i))],
    tables: tables.length,
    largeObjects: batches.reduce((sum, batch) => sum + batch.oids.length, 0),
    pgDump: `${head.tool.kind} ${head.tool.version}`,
    warnings: [...head.warnings, ...exclusion.warnings, ...(await unseenMappings(anchor.session, archive))],
    needsExcluded: exclusion.needsExcluded,
  };
}

/** What pg_dump leaves out without a word. */
async function unseenMappings(session: Session, { entries }: Archive): Promise<string[]> {
  if (entries.every(({ desc }) => desc !== 'USER MAPPING')) return [];
  const unseen = await session.query(sqlFile('unseen_mappings'));
  return unseen.map(
    ({ name, server }) =>
      `USER MAPPING ${name} SERVER ${server} is stored without its options, such as a password: this role may not see them, a superuser may`,
  );
}

function pgDumpArguments(scope: CaptureScope, encoding: string): string[] {
  if (scope.schemaOnly && scope.dataOnly) {
    throw usageError('SCOPE_EMPTY', 'schema only and data only leave nothing', 'give one of them');
  }
  return [
    ...(scope.schemaOnly ? ['--schema-only'] : []),
    ...(scope.dataOnly ? ['--data-only'] : []),
    ...scope.excludeTables.map(pattern => `--exclude-table=${patternIn(inAnySchema(pattern), encoding)}`),
  ];
}

/** pg_dump looks for a pattern without a schema in the search path, which is empty; here it means every schema. */
function inAnySchema(pattern: string): string {
  return pattern.replace(/"(?:[^"]|"")*"/g, '').includes('.') ? pattern : `*.${pattern}`;
}

/** Only the tables asked for, with what they need. */
function narrow(archive: Archive, scope: CaptureScope): { archive: Archive; changed: boolean } {
  if (scope.tables.length === 0) return { archive, changed: false };
  const unmatched = unmatchedPatterns(archive, scope.tables);
  if (unmatched.length > 0) {
    const meant = unmatched.flatMap(each => each.meant ?? []);
    throw usageError(
      'TABLES_UNMATCHED',
      `no table matches ${unmatched.map(each => each.pattern).join(', ')}`,
      meant.length > 0
        ? `names with capitals are quoted: ${meant.map(name => `'${name}'`).join(', ')}`
        : 'names are folded to lower case unless quoted: \'"Users"\' finds Users',
    );
  }
  const selected = selectEntries(archive, { tables: anyPattern(scope.tables), database: true });
  return { archive: { ...archive, entries: selected.entries }, changed: true };
}

function privilegeMissing(tables: SourceTable[], anchor: Anchor): TidemarkError {
  return new TidemarkError(
    'PRIVILEGE_MISSING',
    `role ${anchor.facts.role} may not read ${nameSome(tables)}`,
    `GRANT pg_read_all_data TO "${anchor.facts.role}", or leave them out with --exclude-table`,
  );
}

/** What may not be read was not locked either, so that even its definition may be that of another moment. */
function refuseUnreadable(archive: Archive, anchor: Anchor): void {
  const listed = new Set(archive.entries.filter(isTable).map(entry => entry.oid));
  const unreadable = anchor.tables.filter(table => !table.readable && listed.has(table.oid));
  if (unreadable.length > 0) throw privilegeMissing(unreadable, anchor);
}

const isTable = (entry: ArchiveEntry) => entry.desc === 'TABLE' || entry.desc === 'TABLE DATA';

/** The tables whose rows the archive has an entry for, each checked to be wholly readable and locked. */
function tablesWithRows(archive: Archive, anchor: Anchor): SourceTable[] {
  const byOid = new Map(anchor.tables.map(table => [table.oid, table]));
  const tables = archive.entries
    .filter(entry => entry.desc === 'TABLE DATA')
    .map(entry => tableOf(entry, byOid));
  const hidden = tables.filter(table => table.hidesRows);
  if (hidden.length > 0) {
    throw new TidemarkError(
      'ROWS_HIDDEN',
      `row-level security would hide rows of ${nameSome(hidden)} from role ${anchor.facts.role}`,
      'back up with a role that has BYPASSRLS or owns the tables (without FORCE ROW LEVEL SECURITY); a backup with rows missing is none',
    );
  }
  return tables;
}

function tableOf(entry: ArchiveEntry, byOid: Map<string, SourceTable>): SourceTable {
  const table = byOid.get(entry.oid);
  if (table) return table;
  throw new TidemarkError(
    'TABLE_UNKNOWN',
    `pg_dump lists rows of ${quoteQualified(entry.namespace, entry.tag)}, which is not among the tables that were locked`,
    'run the backup again; if it stays so, leave the table out with --exclude-table and report it',
  );
}

function nameSome(tables: SourceTable[]): string {
  const names = tables.slice(0, 10).map(table => quoteQualified(table.schema, table.name));
  return names.join(', ') + (tables.length > 10 ? ` and ${tables.length - 10} more` : '');
}
