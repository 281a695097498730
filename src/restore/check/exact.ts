/** Every row that a restore brought, read back and compared with the snapshot's, whatever order they lie in. */
import type { Reporter } from '../../base/progress.ts';
import { CAPTURE_SETTINGS } from '../../capture/logical/anchor.ts';
import { largeObjectPart } from '../../capture/logical/partition.ts';
import { Belongings } from '../../postgres/archive/belongs.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { largeObjectBatches } from '../../postgres/archive/largeObjects.ts';
import { loadsViaPartitionRoot } from '../../postgres/archive/planStep.ts';
import { quoteQualified, readQualified } from '../../postgres/archive/quote.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, type Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { readPart } from '../../repository/read/partReader.ts';
import type { SnapshotReader } from '../../repository/read/reader.ts';
import { partsByEntry, type StoredPart } from '../parts.ts';
import type { ObjectDifference, Unchecked } from './compare.ts';
import { type CheckResult, unread } from './result.ts';
import { RowDigest } from './rowDigest.ts';

export interface ExactRequest {
  archive: Archive;
  /** Those that were restored. */
  entries: readonly ArchiveEntry[];
  parts: readonly StoredPart[];
  reader: SnapshotReader;
  /** The encoding that rows were captured in. */
  encoding: string;
  /** Settings of the session that captured, which decide how values are written; none in old snapshots. */
  settings: readonly { name: string; value: string }[];
  reporter: Reporter;
  signal: AbortSignal;
}

/** One table, or a tree of partitions whose rows may lie in any of them, or a batch of large objects. */
interface Compared {
  name: string;
  sql: string;
  parts: StoredPart[];
  /** Run in the target when it was read. */
  after?: string;
}

/** How a value of these is written hangs on the session. */
const WRITTEN_BY = new Set(['TimeZone', 'lc_monetary']);

/** @param session on the target, in no transaction. */
export async function compareRows(
  session: Session,
  request: ExactRequest,
): Promise<Pick<CheckResult, 'differences' | 'unchecked'> & { tables: number }> {
  const { reporter, signal, settings } = request;
  await session.run(CAPTURE_SETTINGS);
  for (const { name, value } of settings)
    if (WRITTEN_BY.has(name)) await takes(session, `SET ${quoteName(name)} TO ${quoteLiteral(value)}`);
  await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const compared = [...(await tablesOf(session, request)), ...largeObjectsOf(request)];
  const bytes = compared.flatMap(each => each.parts).reduce((sum, part) => sum + part.bytes, 0);
  const differences: ObjectDifference[] = [];
  const unchecked: Unchecked[] = [];
  let tables = 0;
  reporter.begin('comparing rows', bytes);
  await session.run('SAVEPOINT compared');
  for (const each of compared) {
    signal.throwIfAborted();
    const [stored, found] = await Promise.all([digestStored(each, request), digestFound(session, each)]);
    if (found instanceof PostgresError) {
      await session.run('ROLLBACK TO SAVEPOINT compared');
      if (IS_ABSENT.has(found.code)) differences.push(absent(each.name, stored));
      else unchecked.push(unread(whatOf(each.name), { message: found.said(), hint: READER }));
    } else if (!stored.equals(found)) differences.push(difference(each.name, stored, found));
    if (!(found instanceof PostgresError) && each.after === undefined) tables++;
  }
  reporter.end();
  await session.run('COMMIT');
  return { tables, differences, unchecked };
}

/** undefined_table, undefined_column, invalid_schema_name, undefined_object: of a large object. */
const IS_ABSENT = new Set(['42P01', '42703', '3F000', '42704']);

/** What it takes to read every row: row-level security hides none from a superuser or a role with BYPASSRLS. */
const READER = 'give the role of the connection the right to read all of it (a superuser has it)';

function whatOf(name: string): string {
  return name.startsWith('large objects') ? name : `rows of ${name}`;
}

function absent(name: string, stored: RowDigest): ObjectDifference {
  return { kind: 'missing', object: whatOf(name), expected: `${stored.rows} rows`, found: null };
}

function difference(name: string, stored: RowDigest, found: RowDigest): ObjectDifference {
  const others = stored.rows === found.rows ? ', not the same ones' : '';
  return {
    kind: 'different',
    object: whatOf(name),
    expected: `${stored.rows} rows, ${stored.bytes} bytes`,
    found: `${found.rows} rows, ${found.bytes} bytes${others}`,
  };
}

async function digestStored({ name, parts }: Compared, request: ExactRequest): Promise<RowDigest> {
  const digest = new RowDigest();
  const where = `table ${name}`;
  for (const part of parts) {
    for await (const piece of readPart(request.reader, part, where, request.signal)) {
      digest.appendText(piece);
      request.reporter.advance(piece.length);
    }
  }
  return digest;
}

/** The server's error where it does not give the rows. */
async function digestFound(session: Session, { sql, after }: Compared): Promise<RowDigest | PostgresError> {
  const digest = new RowDigest();
  try {
    await session.copyOut(sql, digest);
    if (after !== undefined) await session.run(after);
    return digest;
  } catch (error) {
    if (error instanceof PostgresError && error.severity === 'ERROR') return error;
    throw error;
  }
}

/** A setting that this server does not take is left as it is. */
async function takes(session: Session, sql: string): Promise<void> {
  try {
    await session.run(sql);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
  }
}

async function tablesOf(
  session: Session,
  { archive, entries, parts, encoding }: ExactRequest,
): Promise<Compared[]> {
  const conditions = await conditionsOf(session);
  const belongings = new Belongings(archive.entries);
  const partsOf = partsByEntry(archive, parts);
  const roots = rootsOf(belongings, entries);
  const tables = new Map<string, Compared>();
  for (const entry of entries) {
    if (entry.desc !== 'TABLE DATA' || entry.copyStmt === null) continue;
    const stored = partsOf(entry) ?? [];
    const root = roots.get(rootOf(belongings, entry.dependencies[0] ?? -1));
    const name = root ?? quoteQualified(entry.namespace, entry.tag);
    const known = tables.get(name);
    if (known) known.parts.push(...stored);
    else {
      const columns = columnsOf(entry.copyStmt);
      const condition = root === undefined ? conditions.get(name) : '';
      const from = `${root === undefined ? 'ONLY ' : ''}${name}`;
      const source =
        condition === undefined
          ? `${name}${columns ? ` (${columns})` : ''}`
          : `(SELECT ${columns} FROM ${from} ${condition})`;
      const sql = `COPY ${source} TO STDOUT (ENCODING ${quoteLiteral(encoding)})`;
      tables.set(name, { name, sql, parts: [...stored] });
    }
  }
  return [...tables.values()];
}

/** Tables of extensions of which only some rows are captured. */
async function conditionsOf(session: Session): Promise<Map<string, string>> {
  const rows = await session.query(sqlFile('dump_tables'), ['{}']);
  const filtered = rows.filter(row => row.condition !== null && row.condition !== undefined);
  return new Map(filtered.map(row => [quoteQualified(row.schema!, row.name!), row.condition!]));
}

/** The topmost tables of trees in which rows may lie in other partitions than they did, by dumpId. */
function rootsOf(belongings: Belongings, entries: readonly ArchiveEntry[]): Map<number, string> {
  const roots = new Map<number, string>();
  for (const entry of entries) {
    if (entry.desc !== 'TABLE DATA' || !loadsViaPartitionRoot(entry)) continue;
    const id = rootOf(belongings, entry.dependencies[0] ?? -1);
    const root = belongings.byId.get(id);
    if (root) roots.set(id, quoteQualified(root.namespace, root.tag));
  }
  return roots;
}

function rootOf(belongings: Belongings, id: number): number {
  const parent = belongings.parentOf(id);
  return parent === null ? id : rootOf(belongings, parent);
}

/** `COPY a.b (x, y) FROM stdin;`: `x, y`; empty for a table without columns. */
function columnsOf(copy: string): string {
  const name = readQualified(copy, 'COPY '.length);
  return /^ \((.*)\) FROM stdin;\n$/s.exec(copy.slice(name?.end ?? 0))?.[1] ?? '';
}

function largeObjectsOf({ archive, entries, parts }: ExactRequest): Compared[] {
  const restored = new Set(entries.filter(entry => entry.desc === 'BLOBS').map(entry => entry.dumpId));
  const batches = restored.size > 0 ? largeObjectBatches(archive) : [];
  return parts.flatMap(part => {
    const batch = part.kind === 'largeObjects' ? batches[part.from] : undefined;
    if (!batch || !restored.has(batch.entry.dumpId)) return [];
    const { sql, after } = largeObjectPart(batch.oids, part.from);
    const name = `large objects ${batch.oids[0]} to ${batch.oids.at(-1)}`;
    return [{ name, sql, parts: [part], after }];
  });
}
