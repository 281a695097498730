import { TidemarkError } from '../../base/errors.ts';
import { isRemark } from '../../postgres/archive/belongs.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { entryStatements } from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { readPart } from '../../repository/read/partReader.ts';
import { putLargeObjects } from '../../restore/database/largeObjects.ts';
import { partsByEntry, type StoredPart } from '../../restore/parts.ts';
import { adapt, type TargetProfile } from '../../restore/profile.ts';
import type { TableTarget } from '../../restore/table/target.ts';
import { type RestoreRequest, tell } from './request.ts';

/** duplicate_schema, _object, _table, _function, _alias: what a table needs and the target has. */
const DUPLICATE = new Set(['42P06', '42710', '42P07', '42723', '42712']);

/** CREATE … IF NOT EXISTS, OR REPLACE: whether they were there is not known. */
const SAYS_NOTHING = new Set(['EXTENSION', 'PROCEDURAL LANGUAGE']);

/** Carries out single entries of a snapshot in the transaction of a table restore. */
export class EntryRun {
  readonly target: TableTarget;
  readonly profile: TargetProfile;
  readonly #request: RestoreRequest;
  /** dumpIds of what was missing and was made. */
  readonly made = new Set<number>();
  readonly #kept: ArchiveEntry[] = [];
  readonly #parts: (entry: ArchiveEntry) => StoredPart[] | undefined;

  constructor(request: RestoreRequest, target: TableTarget, profile: TargetProfile) {
    this.#request = request;
    this.target = target;
    this.profile = profile;
    this.#parts = partsByEntry(request.snapshot.archive, request.snapshot.parts);
  }

  /** How many rows the snapshot has of a TABLE DATA entry. */
  rowsOf(entry: ArchiveEntry): number {
    return (this.#parts(entry) ?? []).reduce((sum, part) => sum + part.rows, 0);
  }

  /** Creates what is missing; what is there under the same name is kept, and named by `noteKept`. */
  async create(entries: readonly ArchiveEntry[]): Promise<void> {
    for (const entry of entries) if ((await this.attempt(entry)) === 'present') this.keep(entry);
  }

  /** Remembers that something stays as it is. */
  keep(entry: ArchiveEntry): void {
    if (entry.desc !== 'SCHEMA') this.#kept.push(entry);
  }

  /** What was there already, and stays as it is. */
  get kept(): readonly ArchiveEntry[] {
    return this.#kept;
  }

  /** Says what was there already, in one note. */
  noteKept(): void {
    tell(
      this.#request,
      this.#kept.map(entry => ({ kind: 'kept', entry })),
    );
  }

  /** Runs what an entry says. 'present' where something of its name is there; any other error is thrown. */
  async attempt(entry: ArchiveEntry): Promise<'done' | 'present'> {
    const statements = this.statementsOf(entry);
    if (statements.length === 0) return 'done';
    const refused = await this.target.attempt(async () => {
      for (const statement of statements) await this.target.run(statement);
    });
    if (refused && !DUPLICATE.has(refused.code)) throw refused;
    if (!refused && !SAYS_NOTHING.has(entry.desc) && !isRemark(entry)) this.made.add(entry.dumpId);
    return refused ? 'present' : 'done';
  }

  /** The same, but an error is told, and leaves the transaction as it was. */
  async tryOut(entry: ArchiveEntry): Promise<PostgresError | 'done' | 'present'> {
    try {
      return await this.attempt(entry);
    } catch (error) {
      if (error instanceof PostgresError) return error;
      throw error;
    }
  }

  statementsOf(entry: ArchiveEntry): string[] {
    const { snapshot, owner, privileges, reporter } = this.#request;
    const { statements, notes } = adapt(
      entry,
      entryStatements(snapshot.archive, entry, { owner, acl: privileges }),
      this.profile,
    );
    for (const note of notes) reporter.note(note);
    return statements;
  }

  /** Loads the parts of an entry: rows by `copy`, or large objects. Resolves to the number of rows. */
  async load(entry: ArchiveEntry, copy = entry.copyStmt!): Promise<number> {
    const { snapshot, reporter, signal } = this.#request;
    const parts = this.#parts(entry) ?? [];
    const isRows = entry.desc === 'TABLE DATA';
    const where = isRows ? `table ${quoteQualified(entry.namespace, entry.tag)}` : 'the large objects';
    reporter.begin(
      `loading ${isRows ? entry.tag : 'large objects'}`,
      parts.reduce((sum, part) => sum + part.bytes, 0),
    );
    let rows = 0;
    for (const part of parts) {
      const stored = readPart(snapshot.reader, part, where, signal);
      const loaded = isRows
        ? await this.target.copyIn(copy, stored)
        : await putLargeObjects(this.target.session, stored);
      if (loaded !== part.rows) throw miscounted(where, part.rows, loaded);
      rows += loaded;
      reporter.advance(part.bytes);
    }
    reporter.end();
    return rows;
  }
}

function miscounted(where: string, stored: number, loaded: number): TidemarkError {
  return new TidemarkError(
    'ROWS_MISCOUNTED',
    `${where}: ${stored} rows were stored, the server took ${loaded}`,
    'the database is as it was before; does a rule or trigger swallow rows?',
  );
}
