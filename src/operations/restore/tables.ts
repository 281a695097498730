import { TidemarkError, usageError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { restorePlan } from '../../postgres/archive/passes.ts';
import { entryStatements, sessionPreamble } from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteName, Session } from '../../postgres/session.ts';
import { type ConnectionSettings, describeSettings } from '../../postgres/settings/settings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { PartRecord } from '../../repository/manifest.ts';
import { readAsWritten } from '../../restore/database/properties.ts';
import { partsByEntry } from '../../restore/parts.ts';
import { adapt, requireReadableStrings, type TargetProfile } from '../../restore/profile.ts';
import { besideName, besideTable } from '../../restore/table/beside.ts';
import { type Division, divide } from '../../restore/table/existing.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';
import { readProfile, requireRoles } from './roles.ts';

/** duplicate_schema, _object, _table, _function, _alias: what a table needs and the target has. */
const DUPLICATE = new Set(['42P06', '42710', '42P07', '42723', '42712']);

/**
 * Restores tables into a database that is in use, in one transaction: what is missing is created, a table that is there
 * keeps its definition and gets the snapshot's rows in place of its own. Whatever fails, the database is as it was.
 */
export async function restoreTables(
  request: RestoreRequest,
  entries: ArchiveEntry[],
  into: ConnectionSettings,
): Promise<RestoredTable[]> {
  const session = await Session.open(into, 'tidemark restore');
  request.signal.addEventListener('abort', () => session.destroy(), { once: true });
  try {
    const { archive } = request.snapshot;
    const division = await divide(session, archive, entries);
    const profile = await readProfile(session);
    requireReadableStrings(archive, profile);
    requireRoles(request, division.entries, profile);
    const run = new TablesRun(request, session, profile, division);
    await readAsWritten(session, request.snapshot.globals.settings ?? []);
    await session.run('BEGIN');
    for (const setting of sessionPreamble(archive, { transactionTimeout: session.serverMajor >= 17 }))
      await session.run(setting);
    const tables = request.beside ? await run.beside(request.beside) : await run.replace();
    await session.run('COMMIT');
    return tables;
  } catch (error) {
    request.signal.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    throw new TidemarkError(
      'RESTORE_FAILED',
      `${describeSettings(into)}: ${error.message}`,
      `${error.detail ?? error.hint ?? ''}\nthe database is as it was before`.trim(),
      { cause: error },
    );
  } finally {
    await session.close();
  }
}

class TablesRun {
  readonly #request: RestoreRequest;
  readonly #session: Session;
  readonly #profile: TargetProfile;
  readonly #division: Division;
  readonly #parts: (entry: ArchiveEntry) => PartRecord[] | undefined;

  constructor(request: RestoreRequest, session: Session, profile: TargetProfile, division: Division) {
    this.#request = request;
    this.#session = session;
    this.#profile = profile;
    this.#division = division;
    this.#parts = partsByEntry(request.snapshot.archive, request.snapshot.parts);
  }

  async replace(): Promise<RestoredTable[]> {
    const { archive } = this.#request.snapshot;
    const { entries, replaced, kept } = this.#division;
    for (const name of kept) this.#request.reporter.note(`${name} is there already and is kept as it is`);
    const plan = restorePlan(archive, new Set(entries.map(entry => entry.dumpId)));
    await this.#create(plan.preData);
    const back = await this.#standAside(replaced);
    if (replaced.length > 0) {
      const names = replaced.filter(entry => this.#hasOwnRows(entry)).map(entry => `ONLY ${nameOf(entry)}`);
      await this.#session.run(`TRUNCATE ${names.join(', ')}`);
    }
    const tables: RestoredTable[] = [];
    for (const { entry } of plan.data) {
      if (entry.desc === 'TABLE DATA')
        tables.push({
          name: `${entry.namespace}.${entry.tag}`,
          rows: await this.#load(entry, entry.copyStmt!),
        });
      else await this.#create([entry]);
    }
    await this.#create([...plan.postData.map(step => step.entry), ...plan.acl, ...plan.postAcl]);
    await this.#bringBack(back);
    return tables;
  }

  /** A partitioned table has no rows itself. */
  #hasOwnRows(table: ArchiveEntry): boolean {
    return this.#division.entries.some(
      entry => entry.desc === 'TABLE DATA' && entry.dependencies[0] === table.dumpId,
    );
  }

  async beside(name: string): Promise<RestoredTable[]> {
    const data = this.#division.entries.filter(entry => entry.desc === 'TABLE DATA');
    if (data.length !== 1) {
      throw usageError(
        'BESIDE_ONE_TABLE',
        `${data.length} tables are selected; only one can get another name`,
        'give one --table with --as',
      );
    }
    const table = this.#request.snapshot.archive.entries.find(
      entry => entry.dumpId === data[0]!.dependencies[0],
    )!;
    const { create, copy } = besideTable(table, data[0]!, name);
    await this.#session.run(Buffer.from(create, this.#request.snapshot.archive.text));
    this.#request.reporter.note(
      `${besideName(table, name)} has columns, checks and rows; no keys, indexes, triggers or privileges`,
    );
    return [{ name: `${table.namespace}.${name}`, rows: await this.#load(data[0]!, copy) }];
  }

  /** Creates what is missing; what is there under the same name is kept and said so. */
  async #create(entries: ArchiveEntry[]): Promise<void> {
    const { snapshot, owner, privileges, reporter } = this.#request;
    for (const entry of entries) {
      const options = { owner, acl: privileges };
      const { statements, notes } = adapt(
        entry,
        entryStatements(snapshot.archive, entry, options),
        this.#profile,
      );
      for (const note of notes) reporter.note(note);
      if (statements.length === 0) continue;
      await this.#session.run('SAVEPOINT entry');
      try {
        for (const statement of statements)
          await this.#session.run(Buffer.from(statement, snapshot.archive.text));
        await this.#session.run('RELEASE SAVEPOINT entry');
      } catch (error) {
        if (!(error instanceof PostgresError) || !DUPLICATE.has(error.code)) throw error;
        await this.#session.run('ROLLBACK TO SAVEPOINT entry');
        reporter.note(`${entry.desc} ${entry.tag} is there already and is kept as it is`);
      }
    }
  }

  /** Foreign keys and triggers that would fire or refuse; resolves to what brings them back. */
  async #standAside(replaced: ArchiveEntry[]): Promise<{ back: string; what: string }[]> {
    if (replaced.length === 0) return [];
    const rows = await this.#session.query(sqlFile('table_surroundings'), [replaced.map(nameOf)]);
    for (const row of rows) await this.#session.run(row.aside!);
    return rows.map(row => ({ back: row.back!, what: row.what! })).reverse();
  }

  /** Adding a foreign key checks every row: rows elsewhere that refer to rows the snapshot lacks stop the restore. */
  async #bringBack(back: { back: string; what: string }[]): Promise<void> {
    for (const { back: statement, what } of back) {
      try {
        await this.#session.run(statement);
      } catch (error) {
        if (!(error instanceof PostgresError) || error.code !== '23503') throw error;
        throw new TidemarkError(
          'REFERENCES_BROKEN',
          `with the snapshot's rows, ${what} would be broken: ${error.detail ?? error.message}`,
          'the database is as it was before; restore the referring tables too (another --table), or restore beside with --as NAME and take the rows you need',
          { cause: error },
        );
      }
    }
  }

  async #load(entry: ArchiveEntry, copy: string): Promise<number> {
    const { snapshot, reporter, signal } = this.#request;
    const parts = this.#parts(entry) ?? [];
    const where = `table ${entry.namespace}.${entry.tag}`;
    reporter.begin(
      `loading ${entry.tag}`,
      parts.reduce((sum, part) => sum + part.bytes, 0),
    );
    let rows = 0;
    for (const part of parts) {
      const list = await snapshot.reader.list(part, where);
      const loaded = await this.#session.copyIn(
        Buffer.from(copy, snapshot.archive.text),
        snapshot.reader.stream(list, where, signal),
      );
      if (loaded !== part.rows)
        throw new TidemarkError(
          'ROWS_MISCOUNTED',
          `${where}: ${part.rows} rows were stored, the server took ${loaded}`,
          'the database is as it was before; does a rule or trigger swallow rows?',
        );
      rows += loaded;
      reporter.advance(part.bytes);
    }
    reporter.end();
    return rows;
  }
}

function nameOf(entry: ArchiveEntry): string {
  return `${quoteName(entry.namespace ?? '')}.${quoteName(entry.tag)}`;
}
