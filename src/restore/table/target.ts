import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { decodeText, encodeText } from '../../postgres/encoding.ts';
import { isLockRefused, PostgresError } from '../../postgres/postgresError.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { Outcome } from '../../postgres/wire.ts';

/** A relation that is in the database; tables are given by their oid there. */
export interface Present {
  oid: string;
  /** pg_class.relkind */
  kind: string;
  /** Of a partition: the table above it. */
  parent: string | null;
  /** Of an index its table, of a sequence the table whose column it belongs to. */
  owner: string | null;
  ownerName: string | null;
  /** Of a sequence: other tables with a column whose default takes numbers from it. */
  otherUsers: string[];
}

/**
 * A database in use that tables of an archive are restored into, over one session. What the archive says is sent in the
 * archive's encoding; what the database's catalogs say comes and goes in the database's own. Names of the archive cross
 * into queries as bytes, which the server reads: so a table that is there is found, whatever either encoding is.
 */
export class TableTarget {
  readonly session: Session;
  readonly #text: string;
  readonly #database: string;

  private constructor(session: Session, text: string, database: string) {
    this.session = session;
    this.#text = text;
    this.#database = database;
  }

  static async open(session: Session, archive: Archive): Promise<TableTarget> {
    const [row] = await session.query('select pg_catalog.getdatabaseencoding() as encoding');
    return new TableTarget(session, archive.text, row!.encoding!);
  }

  /** The encoding of the bytes that `hexOf` gives. */
  get encoding(): string {
    return this.#text;
  }

  /** Qualified names as the catalog queries take them. */
  hexOf(entries: readonly Pick<ArchiveEntry, 'namespace' | 'tag'>[]): string[] {
    return entries.map(entry =>
      encodeText(quoteQualified(entry.namespace, entry.tag), this.#text).toString('hex'),
    );
  }

  /** A name that stands in SQL of the archive, in the same way. */
  hexOfSql(name: string): string {
    return encodeText(name, this.#text).toString('hex');
  }

  /** Bytes that a name has in the database. */
  async bytesOf(name: string): Promise<number> {
    const [row] = await this.session.query(
      "select pg_catalog.octet_length(pg_catalog.convert_from(pg_catalog.decode($1, 'hex'), $2::pg_catalog.name)) as bytes",
      [this.hexOfSql(name), this.#text],
    );
    return Number(row!.bytes);
  }

  /** Runs SQL of the archive. */
  run(sql: string): Promise<Outcome> {
    return this.session.run(encodeText(sql, this.#text));
  }

  copyIn(sql: string, rows: AsyncIterable<Uint8Array>): Promise<number> {
    return this.session.copyIn(encodeText(sql, this.#text), rows);
  }

  /** Runs a statement that a catalog query composed, given as hex of the database's bytes. */
  async runOwn(hex: string): Promise<void> {
    await this.session.run(`SET client_encoding = '${this.#database}'`);
    await this.session.run(Buffer.from(hex, 'hex'));
    await this.session.run(`SET client_encoding = '${this.#text}'`);
  }

  /** Text of a catalog query, given in the same way, for people. */
  readOwn(hex: string): string {
    return decodeText(Buffer.from(hex, 'hex'), this.#database);
  }

  /** Does work that may be refused by the server: resolves to its error then, with nothing of the work left. */
  async attempt(work: () => Promise<void>): Promise<PostgresError | null> {
    await this.session.run('SAVEPOINT attempt');
    try {
      await work();
    } catch (error) {
      // Whoever keeps a lock says nothing about the work.
      if (!(error instanceof PostgresError) || isLockRefused(error)) throw error;
      await this.session.run(`ROLLBACK TO SAVEPOINT attempt; SET client_encoding = '${this.#text}'`);
      await this.session.run('RELEASE SAVEPOINT attempt');
      return error;
    }
    await this.session.run('RELEASE SAVEPOINT attempt');
    return null;
  }

  /** Which of these relations, sequences and indexes included, are there. */
  async existing<E extends Named>(entries: readonly E[]): Promise<E[]> {
    return [...(await this.present(entries)).keys()];
  }

  /** The same, with what is known of each. */
  async present<E extends Named>(entries: readonly E[]): Promise<Map<E, Present>> {
    const rows = await this.session.query(sqlFile('present_relations'), [this.hexOf(entries), this.#text]);
    return new Map(
      rows.map(row => [
        entries[Number(row.at) - 1]!,
        {
          ...{ oid: row.oid!, kind: row.kind!, parent: row.parent ?? null, owner: row.owner ?? null },
          ownerName: row.owner_name ? this.readOwn(row.owner_name) : null,
          otherUsers: row.other_users?.split(',') ?? [],
        },
      ]),
    );
  }
}

type Named = Pick<ArchiveEntry, 'namespace' | 'tag'>;
