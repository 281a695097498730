/** The bytes of an entry's parts, as one stream of whole COPY rows. */

import { faultError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { ExportInput } from './format.ts';

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
/** A line that begins like the end of COPY data. */
const FALSE_END = Buffer.from('\n\\.');

/** What ends a table's rows in an archive and in a script (dumpTableData_copy in pg_dump.c). */
export const END_OF_ROWS = Buffer.from('\\.\n\n\n');

/**
 * Rows of a TABLE DATA or BLOBS entry, part after part. COPY never writes a line that begins with `\.` (a backslash in
 * a value is doubled); one would end the rows early where they are loaded, and what follows would be taken for
 * commands. So it is an error, and so is a part that ends inside a row.
 */
export async function* rowsOf(input: ExportInput, entry: ArchiveEntry): AsyncGenerator<Buffer> {
  for (const part of input.parts(entry)) {
    const name =
      part.kind === 'rows' ? `rows of ${quoteQualified(part.schema, part.table)}` : 'large objects';
    const lines = new LineCheck(name);
    for await (const chunk of input.source.read(part, input.signal)) {
      input.signal?.throwIfAborted();
      if (chunk.length === 0) continue;
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      lines.add(bytes);
      yield bytes;
      input.progress?.(bytes.length);
    }
    lines.finish();
  }
}

/** Rows as an archive holds them: with the line that ends them. */
export async function* endedRows(input: ExportInput, entry: ArchiveEntry): AsyncGenerator<Buffer> {
  yield* rowsOf(input, entry);
  yield END_OF_ROWS;
}

class LineCheck {
  readonly #name: string;
  /** The last two bytes; a part starts like a line. */
  #before = NEWLINE;
  #last = NEWLINE;

  constructor(name: string) {
    this.#name = name;
  }

  add(bytes: Buffer): void {
    const [first, second] = bytes;
    const atBorder =
      (this.#last === NEWLINE && first === BACKSLASH && second === DOT) ||
      (this.#before === NEWLINE && this.#last === BACKSLASH && first === DOT);
    if (atBorder || bytes.includes(FALSE_END)) {
      throw this.#damaged('hold a line that would end them early');
    }
    this.#before = bytes.length > 1 ? bytes[bytes.length - 2]! : this.#last;
    this.#last = bytes[bytes.length - 1]!;
  }

  finish(): void {
    if (this.#last !== NEWLINE) throw this.#damaged('end inside a row');
  }

  #damaged(how: string) {
    return faultError(
      'ROWS_DAMAGED',
      `${this.#name} ${how}`,
      'nothing was exported; verify the repository, and export another snapshot',
    );
  }
}

/** The same bytes in pieces of at least `sizeBytes`, the last one excepted. */
export async function* gathered(pieces: AsyncIterable<Buffer>, sizeBytes: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of pieces) {
    held.push(piece);
    heldBytes += piece.length;
    if (heldBytes < sizeBytes) continue;
    yield held.length === 1 ? piece : Buffer.concat(held, heldBytes);
    held = [];
    heldBytes = 0;
  }
  if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
}
