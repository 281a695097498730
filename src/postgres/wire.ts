import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { invariant } from '../base/errors.ts';
import { decodeText } from './encoding.ts';
import { connectionLost, PostgresError } from './postgresError.ts';
import { ReadingSocket } from './readingSocket.ts';

/**
 * The frontend/backend protocol, spoken on the socket of an idle, authenticated `pg` client while `pg` itself looks
 * away: simple queries given as bytes, COPY OUT without a copy or an object a row, COPY IN with backpressure.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html and protocol-message-formats.html
 */

/** Gets the payload of CopyData messages; for COPY OUT of rows the server sends one message a row. */
export interface CopyReceiver {
  /** Bytes [from, to) of a row; `buffer` is reused afterwards. */
  append(buffer: Buffer, from: number, to: number): void;
  endRow(): void;
  /** Asked after each buffer: a promise pauses the server until it resolves. */
  pressure?(): Promise<void> | undefined;
}

export interface Outcome {
  /** Command tags in order, e.g. `COPY 42`. */
  tags: string[];
  /** Rows of text values, if a statement returned any. */
  rows: (string | null)[][];
  notices: PostgresError[];
}

interface Handlers {
  receiver?: CopyReceiver;
  copyIn?: (socket: Socket, failed: () => boolean) => Promise<void>;
  /** Gets every byte instead of the outcome. */
  forward?: (bytes: Uint8Array) => Promise<void> | undefined;
}

/** A server's message to a client has at most this many bytes, CopyData rows (which pass through) excepted. */
const MAX_MESSAGE_BYTES = 1 << 30;

/** The client_encoding of sessions that left UTF8, as their servers reported it. */
const encodings = new WeakMap<Socket, string>();

/** Sends one Query message and reads up to ReadyForQuery. Rejects with the server's first error. */
export function converse(client: Client, sql: Buffer, handlers: Handlers = {}): Promise<Outcome> {
  return ask(client, [queryMessage(sql)], handlers);
}

/** Sends several Query messages at once, as one round trip, and reads up to the last ReadyForQuery. */
export function converseAll(client: Client, queries: Buffer[], handlers: Handlers = {}): Promise<Outcome> {
  return ask(client, queries.map(queryMessage), handlers);
}

/** Sends a message and passes the answer on, up to ReadyForQuery. Rejects only where the connection is lost. */
export async function passOn(
  client: Client,
  message: Buffer,
  forward: NonNullable<Handlers['forward']>,
): Promise<void> {
  await ask(client, [message], { forward });
}

function ask(client: Client, messages: Buffer[], handlers: Handlers): Promise<Outcome> {
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  return new Promise((resolve, reject) => {
    const conversation = new Conversation(socket, handlers, (error, outcome) => {
      if (error) reject(error);
      else resolve(outcome!);
    });
    conversation.start(messages);
  });
}

function queryMessage(sql: Buffer): Buffer {
  const message = Buffer.allocUnsafe(6 + sql.length);
  message[0] = 0x51; // Query
  message.writeUInt32BE(5 + sql.length, 1);
  sql.copy(message, 5);
  message[5 + sql.length] = 0;
  return message;
}

/** Sends pieces as CopyData messages, waiting whenever the socket is full. */
export async function sendCopyData(
  socket: Socket,
  pieces: AsyncIterable<Uint8Array>,
  failed: () => boolean,
): Promise<void> {
  try {
    for await (const piece of pieces) {
      for (let from = 0; from < piece.length; from += COPY_IN_BYTES) {
        if (failed()) return;
        const part = piece.subarray(from, from + COPY_IN_BYTES);
        const header = Buffer.allocUnsafe(5);
        header[0] = 0x64; // CopyData
        header.writeUInt32BE(4 + part.length, 1);
        socket.cork();
        socket.write(header);
        const room = socket.write(part);
        socket.uncork();
        if (!room) await drained(socket);
      }
    }
    if (!failed()) socket.write(Buffer.of(0x63, 0, 0, 0, 4)); // CopyDone
  } catch (error) {
    // The server must not take what came so far for the whole.
    const reason = Buffer.from('tidemark stopped: the data could not be read\0');
    const message = Buffer.alloc(5);
    message[0] = 0x66; // CopyFail
    message.writeUInt32BE(4 + reason.length, 1);
    if (!socket.destroyed) socket.write(Buffer.concat([message, reason]));
    throw error;
  }
}

const COPY_IN_BYTES = 256 << 10;

function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      for (const event of ['drain', 'close', 'error']) socket.off(event, done);
      clearInterval(poll);
      resolve();
    };
    // A server that reports an error stops reading; the conversation ends then, and nobody waits for a drain.
    const poll = setInterval(() => socket.writableNeedDrain || done(), 200);
    for (const event of ['drain', 'close', 'error']) socket.on(event, done);
  });
}

class Conversation {
  readonly #socket: Socket;
  readonly #receiver: CopyReceiver | undefined;
  readonly #copyIn: Handlers['copyIn'];
  readonly #forward: Handlers['forward'];
  readonly #settle: (error: unknown, outcome?: Outcome) => void;
  readonly #saved: ((...args: unknown[]) => void)[];
  readonly #outcome: Outcome = { tags: [], rows: [], notices: [] };
  /** The first bytes of a message header that was cut off by the end of a buffer. */
  readonly #head = Buffer.alloc(5);
  #headBytes = 0;
  #type = 0;
  #need = 0;
  #body: Buffer[] = [];
  #error: unknown;
  #unanswered = 0;
  #feeding: Promise<void> | undefined;

  constructor(socket: Socket, handlers: Handlers, settle: (error: unknown, outcome?: Outcome) => void) {
    this.#socket = socket;
    this.#receiver = handlers.receiver;
    this.#copyIn = handlers.copyIn;
    this.#forward = handlers.forward;
    this.#settle = settle;
    this.#saved = socket.listeners('data') as ((...args: unknown[]) => void)[];
  }

  start(messages: Buffer[]): void {
    this.#unanswered = messages.length;
    const socket = this.#socket;
    if (socket.destroyed) {
      this.#settle(connectionLost());
      return;
    }
    socket.removeAllListeners('data');
    if (socket instanceof ReadingSocket) socket.reader = this.#onData;
    else socket.on('data', this.#onData);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onClose);
    socket.write(messages.length === 1 ? messages[0]! : Buffer.concat(messages));
  }

  readonly #onClose = () => this.#finish(this.#error ?? connectionLost());

  #finish(error: unknown): void {
    const socket = this.#socket;
    if (socket instanceof ReadingSocket) socket.reader = undefined;
    else socket.off('data', this.#onData);
    socket.off('close', this.#onClose);
    socket.off('error', this.#onClose);
    for (const listener of this.#saved) socket.on('data', listener);
    const settle = () => this.#settle(error, this.#outcome);
    if (this.#feeding)
      this.#feeding.then(settle, cause => this.#settle(error && !isOwnCopyFail(error) ? error : cause));
    else settle();
  }

  readonly #onData = (buffer: Buffer): void => {
    let wait: Promise<void> | undefined;
    try {
      wait = this.#forward?.(buffer);
      this.#read(buffer);
      wait ??= this.#receiver?.pressure?.();
    } catch (error) {
      this.#error ??= error;
      this.#socket.destroy();
      return;
    }
    if (!wait) return;
    this.#socket.pause();
    wait.then(
      () => this.#socket.resume(),
      error => {
        this.#error ??= error;
        this.#socket.destroy();
      },
    );
  };

  #read(buffer: Buffer): void {
    const end = buffer.length;
    let at = 0;
    while (at < end) {
      if (this.#need === 0) {
        at = this.#readHeader(buffer, at);
        if (this.#headBytes > 0) return; // the header goes on in the next buffer
        if (this.#need === 0) this.#ended();
        continue;
      }
      const take = Math.min(this.#need, end - at);
      const rows = this.#type === 0x64 && this.#receiver;
      if (rows) rows.append(buffer, at, at + take);
      else if (this.#isKept) this.#body.push(Buffer.from(buffer.subarray(at, at + take)));
      at += take;
      this.#need -= take;
      if (this.#need > 0) continue;
      if (rows) rows.endRow();
      else this.#ended();
    }
  }

  #readHeader(buffer: Buffer, from: number): number {
    let at = from;
    if (this.#headBytes === 0 && buffer.length - at >= 5) {
      this.#type = buffer[at]!;
      this.#need = buffer.readUInt32BE(at + 1) - 4;
      at += 5;
    } else {
      while (this.#headBytes < 5 && at < buffer.length) this.#head[this.#headBytes++] = buffer[at++]!;
      if (this.#headBytes < 5) return at;
      this.#type = this.#head[0]!;
      this.#need = this.#head.readUInt32BE(1) - 4;
      this.#headBytes = 0;
    }
    invariant(
      this.#need >= 0 && this.#need <= MAX_MESSAGE_BYTES,
      `the server sent a message of ${this.#need} bytes`,
    );
    return at;
  }

  /** Of what is passed on, only an error is looked at, and the end. */
  get #isKept(): boolean {
    return !this.#forward || this.#type === 0x45 || this.#type === 0x5a;
  }

  /** A message other than a row is whole. */
  #ended(): void {
    if (!this.#isKept) return;
    const body = this.#body.length === 1 ? this.#body[0]! : Buffer.concat(this.#body);
    this.#body = [];
    switch (this.#type) {
      case 0x44: // DataRow
        this.#outcome.rows.push(dataRow(body, this.#decode));
        break;
      case 0x43: // CommandComplete
        this.#outcome.tags.push(body.toString('latin1', 0, body.length - 1));
        break;
      case 0x45: // ErrorResponse
        this.#error ??= PostgresError.parse(body, this.#decode);
        break;
      case 0x4e: // NoticeResponse
        if (this.#outcome.notices.length < 1000)
          this.#outcome.notices.push(PostgresError.parse(body, this.#decode));
        break;
      case 0x47: // CopyInResponse
        this.#feed();
        break;
      case 0x5a: // ReadyForQuery
        if (--this.#unanswered === 0) this.#finish(this.#forward ? undefined : this.#error);
        break;
      case 0x53: // ParameterStatus
        this.#parameter(body);
        break;
      default: // CopyOutResponse, CopyDone, RowDescription, NotificationResponse, EmptyQueryResponse
        break;
    }
  }

  readonly #decode = (bytes: Buffer): string => decodeText(bytes, encodings.get(this.#socket) ?? 'UTF8');

  #parameter(body: Buffer): void {
    const [name, value] = body.toString('latin1').split('\0');
    if (name === 'client_encoding') encodings.set(this.#socket, value!);
  }

  #feed(): void {
    if (!this.#copyIn) {
      this.#socket.destroy();
      this.#error ??= new Error('the server asked for COPY data that nobody has');
      return;
    }
    this.#feeding = this.#copyIn(this.#socket, () => this.#error !== undefined || this.#socket.destroyed);
    this.#feeding.catch(() => {});
  }
}

function isOwnCopyFail(error: unknown): boolean {
  return (
    error instanceof PostgresError && error.code === '57014' && error.message.includes('tidemark stopped')
  );
}

function dataRow(body: Buffer, decode: (bytes: Buffer) => string): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : decode(body.subarray(at, at + length)));
    if (length > 0) at += length;
  }
  return values;
}
