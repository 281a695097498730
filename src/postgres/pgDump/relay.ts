/**
 * The server as pg_dump sees it: an authenticated session of ours in a transaction of its caller. pg_dump's start is
 * answered here, so are its own transaction and its locks; every question goes to the server; and the first request for
 * data ends it all.
 * Source of the messages: PostgreSQL's protocol, "Message Formats" (version 3).
 */
import { TidemarkError } from '../../base/errors.ts';
import { connect } from '../connect.ts';
import type { Session } from '../session.ts';
import type { ConnectionSettings } from '../settings/connectionSettings.ts';

/** Takes bytes for pg_dump, null where the connection ends; a promise says when there is room for more. */
export type RelayOutput = (bytes: Uint8Array | null) => Promise<void> | undefined;

const START_REQUESTS_WITHOUT_ANSWER = new Set([80877103 /* SSLRequest */, 80877104 /* GSSENCRequest */]);
const PROTOCOL_3_0 = 3 << 16;
const HEADER_BYTES = 5;
/** The parameters that libpq keeps (protocol, "Asynchronous Operations") and pg_dump may ask for. */
const REPORTED_PARAMETERS = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'standard_conforming_strings',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
  'in_hot_standby',
];
/** How pg_dump begins to read data: rows, rows with --inserts, the list of large objects. */
const DATA_QUERY = /^(COPY|DECLARE) /;
/**
 * What is answered here with the tag of its success. The transaction and the locks are the caller's; how long a lock is
 * waited for is said at the start.
 */
const ANSWERED: readonly (readonly [RegExp, string])[] = [
  [/^BEGIN\b/i, 'BEGIN'],
  [/^(START|SET) TRANSACTION\b/i, 'SET'],
  [/^COMMIT\b/i, 'COMMIT'],
  [/^ROLLBACK\b/i, 'ROLLBACK'],
  [/^LOCK TABLE\b/i, 'LOCK TABLE'],
  [/^SET lock_timeout\b/i, 'SET'],
];
const STATEMENT_HEAD_BYTES = 64;
const SAVEPOINT = 'tidemark_pg_dump';
const TERMINATE_TIMEOUT_MS = 5000;

export class Relay {
  readonly #settings: ConnectionSettings;
  readonly #serverVersion: string | null;
  readonly #attached = Promise.withResolvers<void>();
  #session: Session | undefined;
  #parameters: Record<string, string> = {};
  #pid = '';
  #output: RelayOutput = () => undefined;
  #incoming: Buffer = Buffer.alloc(0);
  #started = false;
  #dataReached = false;
  #asking = false;
  #work: Promise<void> = this.#attached.promise;
  #failure: TidemarkError | undefined;

  /**
   * What pg_dump sends is answered once a session of these settings has been attached.
   *
   * @param serverVersion What pg_dump is told in place of the server's own; null: that.
   */
  constructor(settings: ConnectionSettings, serverVersion: string | null) {
    this.#settings = settings;
    this.#serverVersion = serverVersion;
  }

  /**
   * Prepares the session: whatever is set from here on, `end` undoes. The encoding is the database's, since pg_dump takes
   * and states that of its session.
   *
   * @param lockTimeoutMs How long one statement waits for a lock; 0: without an end.
   */
  async attach(session: Session, lockTimeoutMs: number): Promise<void> {
    await session.run(
      `SAVEPOINT ${SAVEPOINT};
       SELECT pg_catalog.set_config('client_encoding', pg_catalog.current_setting('server_encoding'), false);
       SET lock_timeout = ${lockTimeoutMs}`,
    );
    const list = REPORTED_PARAMETERS.map(name => `pg_catalog.current_setting('${name}') AS ${name}`);
    const [row] = await session.query(`SELECT pg_catalog.pg_backend_pid() AS pid, ${list.join(', ')}`);
    const { pid, ...parameters } = row as Record<string, string>;
    if (this.#serverVersion !== null) parameters.server_version = this.#serverVersion;
    this.#session = session;
    this.#pid = pid!;
    this.#parameters = parameters;
    this.#attached.resolve();
  }

  get database(): string {
    return this.#settings.database;
  }

  get user(): string {
    return this.#settings.user;
  }

  /** Why the session can't be used any more, which pg_dump only sees as an end of its connection. */
  get failure(): TidemarkError | undefined {
    return this.#failure;
  }

  /** Whether pg_dump has asked for data: by then it has made the whole table of contents. */
  get dataReached(): boolean {
    return this.#dataReached;
  }

  set output(output: RelayOutput) {
    this.#output = output;
  }

  /** Takes what pg_dump sends: messages, cut anywhere. */
  take(bytes: Uint8Array): void {
    this.#incoming = Buffer.concat([this.#incoming, bytes]);
    for (;;) {
      const size = this.#messageSize();
      if (size === null || this.#incoming.length < size) return;
      const message = this.#incoming.subarray(0, size);
      this.#incoming = this.#incoming.subarray(size);
      const started = this.#started;
      if (!started && !isStartRequest(message)) this.#started = true;
      this.#work = this.#work.then(() => this.#handle(message, started));
    }
  }

  /**
   * When pg_dump has ended: leaves the attached session as it was, in its transaction. Where `stop`, a question that the
   * server still works on ends the session instead.
   */
  async end(stop: boolean): Promise<void> {
    const session = this.#session!;
    if (stop && this.#asking) {
      session.destroy();
      await terminateBackend(session, this.#pid);
    }
    await this.#work;
    if (this.#failure) return;
    await session.run(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}; RELEASE SAVEPOINT ${SAVEPOINT}; DEALLOCATE ALL`);
  }

  /** A message's length counts itself, but not the letter that all but the first messages begin with. */
  #messageSize(): number | null {
    const letter = this.#started ? 1 : 0;
    return this.#incoming.length < letter + 4 ? null : letter + this.#incoming.readUInt32BE(letter);
  }

  async #handle(message: Buffer, started: boolean): Promise<void> {
    if (this.#failure) return;
    try {
      if (!started) this.#output(this.#startAnswer(message));
      else await this.#answer(message);
    } catch (cause) {
      this.#failure =
        cause instanceof TidemarkError && cause.code === 'PG_DUMP_FAILED'
          ? cause
          : connectionLost(this.database, cause);
      this.#output(null);
    }
  }

  #startAnswer(message: Buffer): Buffer {
    if (isStartRequest(message)) return Buffer.from('N');
    const parameters = Object.entries(this.#parameters).map(([name, value]) =>
      frame('S', Buffer.from(`${name}\0${value}\0`)),
    );
    return Buffer.concat([
      ...negotiation(message),
      frame('R', Buffer.alloc(4)), // AuthenticationOk
      ...parameters,
      ready('I'),
    ]);
  }

  async #answer(message: Buffer): Promise<void> {
    const letter = String.fromCharCode(message[0]!);
    if (letter === 'X') return; // Terminate: the session goes on without pg_dump
    const head = message.toString('latin1', HEADER_BYTES, HEADER_BYTES + STATEMENT_HEAD_BYTES);
    // Only large objects are read by function calls.
    this.#dataReached ||= letter === 'F' || DATA_QUERY.test(head);
    if (this.#dataReached) {
      this.#output(END_OF_CONTENTS);
      return;
    }
    if (letter !== 'Q') throw unknownMessage(letter);
    const tag = ANSWERED.find(([statement]) => statement.test(head))?.[1];
    if (tag !== undefined) {
      this.#output(Buffer.concat([frame('C', Buffer.from(`${tag}\0`)), ready('T')]));
      return;
    }
    this.#asking = true;
    await this.#session!.relay(message, bytes => this.#output(bytes));
    this.#asking = false;
  }
}

function isStartRequest(message: Buffer): boolean {
  return START_REQUESTS_WITHOUT_ANSWER.has(message.readUInt32BE(4));
}

/** For a libpq that asks for a newer protocol or for extensions of it: version 3.0, and none. */
function negotiation(start: Buffer): Buffer[] {
  const names = start.toString('latin1', 8).split('\0');
  const unknown = names.filter((name, at) => at % 2 === 0 && name.startsWith('_pq_.'));
  if (start.readUInt32BE(4) === PROTOCOL_3_0 && unknown.length === 0) return [];
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(PROTOCOL_3_0, 0);
  numbers.writeUInt32BE(unknown.length, 4);
  return [frame('v', Buffer.concat([numbers, ...unknown.map(name => Buffer.from(`${name}\0`))]))];
}

function frame(letter: string, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(letter, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

const ready = (state: 'I' | 'T' | 'E') => frame('Z', Buffer.from(state));

/** An error, on which pg_dump writes out what it holds back and ends. */
const END_OF_CONTENTS = Buffer.concat([
  frame(
    'E',
    Buffer.from('SERROR\0VERROR\0C57014\0Mtidemark has read the table of contents and asks for no data\0\0'),
  ),
  ready('E'),
]);

/** A server at work, or waiting for a lock, does not notice that its client has gone. */
async function terminateBackend(session: Session, pid: string): Promise<void> {
  try {
    const client = await connect(session.settings, { signal: AbortSignal.timeout(TERMINATE_TIMEOUT_MS) });
    await client.query(`SELECT pg_catalog.pg_terminate_backend(${pid})`).finally(() => client.end());
  } catch {
    // what led here is reported; that the session may go on for a while changes nothing about it
  }
}

function connectionLost(database: string, cause: unknown): TidemarkError {
  return new TidemarkError(
    'CONNECTION_LOST',
    `the server closed the connection while pg_dump read the schema of database ${database}`,
    "see the server's log for why, then run again",
    { cause },
  );
}

function unknownMessage(letter: string): TidemarkError {
  return new TidemarkError(
    'PG_DUMP_FAILED',
    `pg_dump sent a message of type ${letter}, which tidemark does not pass on`,
    'name another pg_dump in TIDEMARK_PG_DUMP, and report this as a defect',
  );
}
