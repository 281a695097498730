/**
 * The connection as libpq inside the WebAssembly module sees it: a socket that blocks exactly as long as an answer is
 * due. What is sent and answered is up to the relay.
 * Source of the messages: PostgreSQL's protocol, "Message Formats" (version 3).
 */

/** The way to the relay, from a thread that may block. */
export interface ServerLink {
  send(bytes: Uint8Array): void;
  /** Waits for the next bytes from the server, for ever if it has to. */
  receive(): Uint8Array;
}

/** FunctionCall, Query, Sync: the messages that are answered up to ReadyForQuery. */
const ASKING = new Set(['F', 'Q', 'S'].map(letter => letter.charCodeAt(0)));
const READY_FOR_QUERY = 'Z'.charCodeAt(0);
const HEADER_BYTES = 5;

export class WasmSession {
  readonly #link: ServerLink;
  readonly #ready = new ReadyCounter();
  /** The first message, which has no letter, is answered too. */
  #started = false;
  #unanswered = 0;
  #outgoing: Buffer = Buffer.alloc(0);
  #incoming: Uint8Array = new Uint8Array(0);

  constructor(link: ServerLink) {
    this.#link = link;
  }

  /** Takes what libpq sends: messages, cut anywhere. */
  write(bytes: Uint8Array): void {
    this.#outgoing = Buffer.concat([this.#outgoing, bytes]);
    for (;;) {
      const size = this.#messageSize();
      if (size === null || this.#outgoing.length < size) return;
      const message = this.#outgoing.subarray(0, size);
      this.#outgoing = this.#outgoing.subarray(size);
      if (!this.#started || ASKING.has(message[0]!)) this.#unanswered += 1;
      this.#started = true;
      this.#link.send(message);
    }
  }

  /**
   * At most `max` bytes for libpq. Waits for the server while an answer is due; nothing comes only when none is, where
   * a real socket would block too.
   */
  read(max: number): Uint8Array {
    while (this.#incoming.length === 0 && this.#unanswered > 0) {
      const bytes = this.#link.receive();
      this.#unanswered -= this.#ready.count(bytes);
      this.#incoming = bytes;
    }
    const part = this.#incoming.subarray(0, max);
    this.#incoming = this.#incoming.subarray(part.length);
    return part;
  }

  /** A message's length counts itself, but not the letter that all but the first message begin with. */
  #messageSize(): number | null {
    const letter = this.#started ? 1 : 0;
    return this.#outgoing.length < letter + 4 ? null : letter + this.#outgoing.readUInt32BE(letter);
  }
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
