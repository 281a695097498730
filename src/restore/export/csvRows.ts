/**
 * COPY text rows as CSV: the bytes that `COPY … TO … (FORMAT csv)` gives for the same rows.
 *
 * NULL is an empty field, an empty text is `""`. A field is quoted if it is empty, holds a comma, a double quote, a
 * carriage return or a line feed, or is `\.` in a table of one column; a double quote in it is doubled. Beyond that one
 * thing differs: a value of more than 1 MiB is always quoted, since it is passed on before its end is seen.
 *
 * Source: CopyAttributeOutText and CopyAttributeOutCSV in PostgreSQL's src/backend/commands/copyto.c.
 */

/** What is held of one value before it is known whether it needs quotes. */
const FIELD_BYTES = 1024 * 1024;
const OUTPUT_BYTES = 256 * 1024;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DOT = 0x2e;
const BACKSLASH = 0x5c;
const LETTER_N = 0x4e;

/** What a letter behind a backslash stands for; every other character stands for itself. */
const ESCAPES: Record<string, number> = { b: 0x08, f: 0x0c, n: NEWLINE, r: RETURN, t: TAB, v: 0x0b };
const ESCAPED = Uint8Array.from({ length: 256 }, (_, byte) => ESCAPES[String.fromCharCode(byte)] ?? byte);
/** Bytes that end a plain run in a field. */
const STOPS = new Uint8Array(256);
for (const byte of [TAB, NEWLINE, BACKSLASH, QUOTE, COMMA]) STOPS[byte] = 1;

export async function* csvRows(rows: AsyncIterable<Buffer>, columns: number): AsyncGenerator<Buffer> {
  const writer = new CsvWriter(columns === 1);
  for await (const chunk of rows) {
    writer.add(chunk);
    if (writer.length >= OUTPUT_BYTES) yield writer.take();
  }
  if (writer.length > 0) yield writer.take();
}

/** One line of CSV, by the same rules. */
export function csvLine(fields: readonly string[]): string {
  const quoted = fields.map(field =>
    /^$|[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field,
  );
  return `${quoted.join(',')}\n`;
}

/** Bytes that grow. */
class Bytes {
  buffer = Buffer.allocUnsafe(64 * 1024);
  length = 0;

  room(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + size));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  byte(value: number): void {
    this.room(1);
    this.buffer[this.length++] = value;
  }

  copy(from: Buffer, start: number, end: number): void {
    this.room(end - start);
    from.copy(this.buffer, this.length, start, end);
    this.length += end - start;
  }
}

class CsvWriter {
  readonly #out = new Bytes();
  /** The field so far, decoded, its quotes doubled; sent on as it comes once it is too long to hold. */
  readonly #field = new Bytes();
  readonly #isOnlyColumn: boolean;
  #needsQuotes = false;
  #isOpen = false;
  #isNull = false;
  /** A backslash was the last byte seen. */
  #escaping = false;

  constructor(isOnlyColumn: boolean) {
    this.#isOnlyColumn = isOnlyColumn;
  }

  get length(): number {
    return this.#out.length;
  }

  take(): Buffer {
    const bytes = Buffer.from(this.#out.buffer.subarray(0, this.#out.length));
    this.#out.length = 0;
    return bytes;
  }

  add(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#escaping) {
        this.#escape(chunk[at++]!);
        continue;
      }
      const start = at;
      while (at < chunk.length && STOPS[chunk[at]!] === 0) at++;
      if (at > start) this.#field.copy(chunk, start, at);
      if (at < chunk.length) this.#stop(chunk[at++]!);
      if (this.#field.length > FIELD_BYTES) this.#sendOn();
    }
  }

  #stop(byte: number): void {
    if (byte === BACKSLASH) this.#escaping = true;
    else if (byte === COMMA) this.#plain(byte, true);
    else if (byte === QUOTE) this.#quote();
    else {
      this.#endField();
      this.#out.byte(byte === TAB ? COMMA : NEWLINE);
    }
  }

  #escape(byte: number): void {
    this.#escaping = false;
    if (byte === LETTER_N) this.#isNull = true;
    else {
      const value = ESCAPED[byte]!;
      this.#plain(value, value === NEWLINE || value === RETURN);
    }
  }

  #plain(byte: number, needsQuotes: boolean): void {
    this.#field.byte(byte);
    if (needsQuotes) this.#needsQuotes = true;
  }

  #quote(): void {
    this.#needsQuotes = true;
    this.#field.byte(QUOTE);
    this.#field.byte(QUOTE);
  }

  #sendOn(): void {
    if (!this.#isOpen) this.#out.byte(QUOTE);
    this.#isOpen = true;
    this.#out.copy(this.#field.buffer, 0, this.#field.length);
    this.#field.length = 0;
  }

  #endField(): void {
    const { buffer, length } = this.#field;
    const isEndMark = this.#isOnlyColumn && length === 2 && buffer[0] === BACKSLASH && buffer[1] === DOT;
    const quotes = !this.#isOpen && !this.#isNull && (this.#needsQuotes || length === 0 || isEndMark);
    if (quotes) this.#out.byte(QUOTE);
    this.#out.copy(buffer, 0, length);
    if (quotes || this.#isOpen) this.#out.byte(QUOTE);
    this.#field.length = 0;
    this.#needsQuotes = this.#isOpen = this.#isNull = false;
  }
}
