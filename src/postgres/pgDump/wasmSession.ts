/**
 * The server as libpq inside the WebAssembly module sees it. The connection is already authenticated, so its start is
 * answered here; every query goes to the real server; and the first request for data ends it all.
 * Source of the messages: PostgreSQL's protocol, "Message Formats" (version 3).
 */

/** The way to the real server, from a thread that may block. */
export interface ServerLink {
  send(message: Uint8Array): void;
  /** Waits for the next bytes from the server; null once it has closed. */
  receive(): Uint8Array | null;
}

const START_REQUESTS_WITHOUT_ANSWER = new Set([80877103 /* SSLRequest */, 80877104 /* GSSENCRequest */]);
const [QUERY, FUNCTION_CALL, SYNC, TERMINATE] = ['Q', 'F', 'S', 'X'].map(letter => letter.charCodeAt(0));
const READY_FOR_QUERY = 'Z'.charCodeAt(0);
const HEADER_BYTES = 5;
/** How pg_dump begins to read a table's rows: plainly, or with --inserts. */
const DATA_QUERY = /^(COPY |DECLARE _pg_dump_cursor )/;
const DATA_QUERY_HEAD_BYTES = 32;

export class WasmSession {
  readonly #link: ServerLink;
  readonly #parameters: Record<string, string>;
  readonly #onDataRequest: () => never;
  readonly #ready = new ReadyCounter();
  #started = false;
  #unanswered = 0;
  #outgoing: Buffer = Buffer.alloc(0);
  #incoming: Uint8Array = new Uint8Array(0);

  /** `onDataRequest` is called in the middle of pg_dump's request and must not return. */
  constructor(link: ServerLink, parameters: Record<string, string>, onDataRequest: () => never) {
    this.#link = link;
    this.#parameters = parameters;
    this.#onDataRequest = onDataRequest;
  }

  /** Takes what libpq sends: messages, cut anywhere. */
  write(bytes: Uint8Array): void {
    this.#outgoing = Buffer.concat([this.#outgoing, bytes]);
    for (;;) {
      const size = this.#messageSize();
      if (size === null || this.#outgoing.length < size) return;
      const message = this.#outgoing.subarray(0, size);
      this.#outgoing = this.#outgoing.subarray(size);
      if (this.#started) this.#forward(message);
      else this.#start(message);
    }
  }

  /**
   * At most `max` bytes for libpq. Waits for the server while an answer is due; nothing comes only when none is, where
   * a real socket would block too.
   */
  read(max: number): Uint8Array {
    while (this.#incoming.length === 0 && this.#unanswered > 0) {
      const bytes = this.#link.receive();
      if (bytes === null) break;
      this.#unanswered -= this.#ready.count(bytes);
      this.#incoming = bytes;
    }
    const part = this.#incoming.subarray(0, max);
    this.#incoming = this.#incoming.subarray(part.length);
    return part;
  }

  /** A message's length counts itself, but not the letter that all but the first messages begin with. */
  #messageSize(): number | null {
    const letter = this.#started ? 1 : 0;
    return this.#outgoing.length < letter + 4 ? null : letter + this.#outgoing.readUInt32BE(letter);
  }

  #start(message: Buffer): void {
    if (START_REQUESTS_WITHOUT_ANSWER.has(message.readUInt32BE(4))) {
      this.#incoming = Buffer.concat([this.#incoming, Buffer.from('N')]);
      return;
    }
    this.#started = true;
    const parameters = Object.entries(this.#parameters).map(([name, value]) =>
      frame('S', Buffer.from(`${name}\0${value}\0`)),
    );
    const authenticated = frame('R', Buffer.alloc(4));
    const idle = frame('Z', Buffer.from('I'));
    this.#incoming = Buffer.concat([this.#incoming, authenticated, ...parameters, idle]);
  }

  #forward(message: Buffer): void {
    const letter = message[0];
    if (letter === TERMINATE) return;
    if (letter === FUNCTION_CALL) this.#onDataRequest(); // only large objects are read this way
    if (letter === QUERY) {
      const text = message.toString('latin1', HEADER_BYTES, HEADER_BYTES + DATA_QUERY_HEAD_BYTES);
      if (DATA_QUERY.test(text)) this.#onDataRequest();
    }
    if (letter === QUERY || letter === SYNC) this.#unanswered += 1;
    this.#link.send(message);
  }
}

function frame(letter: string, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(letter, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Counts the ends of answers (ReadyForQuery) in a stream of messages that is cut anywhere. */
export class ReadyCounter {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #bodyLeft = 0;

  count(bytes: Uint8Array): number {
    let found = 0;
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, bytes.length - at);
        this.#bodyLeft -= taken;
        at += taken;
      } else {
        this.#header[this.#headerFilled++] = bytes[at++]!;
        if (this.#headerFilled === HEADER_BYTES) this.#bodyLeft = this.#header.readUInt32BE(1) - 4;
      }
      if (this.#headerFilled === HEADER_BYTES && this.#bodyLeft === 0) {
        if (this.#header[0] === READY_FOR_QUERY) found += 1;
        this.#headerFilled = 0;
      }
    }
    return found;
  }
}
