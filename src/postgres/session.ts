import type { Client } from 'pg';
import { TidemarkError } from '../base/errors.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { isTransactionPooled } from './pooler.ts';
import { connectionLost, PostgresError } from './postgresError.ts';
import type { ConnectionSettings } from './settings/connectionSettings.ts';
import { type CopyReceiver, converse, converseAll, type Outcome, passOn, sendCopyData } from './wire.ts';

export type Row = Record<string, string | null>;

/** Values stay text: what PostgreSQL says is what is kept. */
const AS_TEXT = { getTypeParser: () => (value: unknown) => value };

/**
 * One server connection, with our settings (sessionStart.ts): an empty search_path, no timeouts. One call at a time; a call that fails with a PostgresError leaves the session usable, one that
 * fails with CONNECTION_LOST does not.
 */
export class Session {
  readonly settings: ConnectionSettings;
  readonly #client: Client;
  #serverVersion = 0;

  /** What the server said when it ended the session while nothing was asked of it. */
  #ended: unknown;

  private constructor(client: Client, settings: ConnectionSettings) {
    this.#client = client;
    this.settings = settings;
    client.on('error', error => {
      this.#ended ??= error;
    });
  }

  /** `signal` is heeded while connecting only. */
  static async open(
    settings: ConnectionSettings,
    applicationName = 'tidemark',
    signal?: AbortSignal,
    options: Pick<ConnectOptions, 'transactionPooler'> = {},
  ): Promise<Session> {
    const client = await connect(settings, { ...options, applicationName, signal });
    const session = new Session(client, settings);
    const [row] = await session.query("select pg_catalog.current_setting('server_version_num') as v");
    session.#serverVersion = Number(row!.v);
    return session;
  }

  /** Whether each transaction may have another server session: then none of our settings are in force. */
  get isTransactionPooled(): boolean {
    return isTransactionPooled(this.#client);
  }

  /** server_version_num, e.g. 150020. */
  get serverVersion(): number {
    return this.#serverVersion;
  }

  get serverMajor(): number {
    return Math.floor(this.#serverVersion / 10000);
  }

  async query(sql: string, values: unknown[] = []): Promise<Row[]> {
    try {
      const result = await this.#client.query({ text: sql, values, types: AS_TEXT as never });
      return result.rows as Row[];
    } catch (error) {
      throw PostgresError.of(error) ?? (this.#isGone() ? connectionLost(this.#ended ?? error) : error);
    }
  }

  #isGone(): boolean {
    const { connection } = this.#client as unknown as { connection: { stream: { destroyed: boolean } } };
    return this.#ended !== undefined || connection.stream.destroyed;
  }

  async #talk<T>(conversation: Promise<T>): Promise<T> {
    try {
      return await conversation;
    } catch (error) {
      const isLost = error instanceof TidemarkError && error.code === 'CONNECTION_LOST';
      throw isLost && this.#ended !== undefined ? connectionLost(this.#ended) : error;
    }
  }

  /** One or more statements, given as they are to be sent; for encodings other than UTF-8 as bytes. */
  run(sql: string | Buffer): Promise<Outcome> {
    return this.#talk(converse(this.#client, typeof sql === 'string' ? Buffer.from(sql) : sql));
  }

  /** COPY … TO STDOUT; resolves to the server's count of rows. `before` goes along, and may be what fails. */
  async copyOut(sql: string, receiver: CopyReceiver, before?: string): Promise<number> {
    const queries = (before === undefined ? [sql] : [before, sql]).map(each => Buffer.from(each));
    const { tags } = await this.#talk(converseAll(this.#client, queries, { receiver }));
    return copyCount(tags, sql);
  }

  /** COPY … FROM STDIN; resolves to the server's count of rows. If `data` throws, so does this, and nothing is loaded. */
  async copyIn(sql: string | Buffer, data: AsyncIterable<Uint8Array>): Promise<number> {
    const query = typeof sql === 'string' ? Buffer.from(sql) : sql;
    const copyIn: Parameters<typeof converse>[2] = {
      copyIn: (socket, failed) => sendCopyData(socket, data, failed),
    };
    const { tags } = await this.#talk(converse(this.#client, query, copyIn));
    return copyCount(tags, query.toString());
  }

  /**
   * Sends a message of the protocol as it is, and gives what the server answers, up to ReadyForQuery, as it comes; the
   * bytes are good until `forward` returns, and a promise of it pauses the server. An error among them is not thrown.
   */
  relay(message: Buffer, forward: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void> {
    return passOn(this.#client, message, forward);
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }

  /** Drops the connection at once; what it was doing is rolled back by the server. */
  destroy(): void {
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}

function copyCount(tags: string[], sql: string): number {
  const counted = tags.map(tag => /^COPY (\d+)$/.exec(tag)).find(match => match !== null);
  if (counted) return Number(counted[1]);
  throw new TidemarkError(
    'COPY_UNCOUNTED',
    `the server did not say how many rows it copied: ${sql.slice(0, 80)}`,
    'a proxy in between may not speak the whole protocol; connect to the server directly',
  );
}

/** A name as SQL has it, always quoted. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
