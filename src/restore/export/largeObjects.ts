/**
 * Large objects from their parts: COPY rows `oid TAB offset TAB \\xHEX` (part.ts), as one stream of bytes an object.
 * A row may be cut anywhere by the stream's chunks; no more than a chunk is held.
 */
import { faultError, type TidemarkError } from '../../base/errors.ts';

const NEWLINE = 0x0a;
const LETTER_X = 0x78;
/** Longest start of a row: two numbers, two tabs and `\\x`. */
const HEAD_BYTES = 48;
/** Bytes of nothing written at once where an object has a hole. */
const HOLE = Buffer.alloc(64 * 1024);

export interface LargeObject {
  oid: string;
  /** To be read before the next object is asked for. What isn't read is skipped. */
  bytes: AsyncIterable<Buffer>;
}

type Event = { kind: 'object'; oid: string } | { kind: 'bytes'; bytes: Buffer };

export async function* largeObjects(rows: AsyncIterable<Buffer>): AsyncGenerator<LargeObject> {
  const events = decode(rows);
  let next: Event | null = null;
  const advance = async () => {
    const { value, done } = await events.next();
    next = done ? null : value;
  };
  async function* bytesOfObject(): AsyncGenerator<Buffer> {
    for (await advance(); next?.kind === 'bytes'; await advance()) yield next.bytes;
  }
  try {
    await advance();
    while ((next as Event | null)?.kind === 'object') {
      const bytes = bytesOfObject();
      yield { oid: (next as unknown as { oid: string }).oid, bytes };
      for await (const _ of bytes);
    }
  } finally {
    await events.return(undefined);
  }
}

async function* decode(rows: AsyncIterable<Buffer>): AsyncGenerator<Event> {
  let head = '';
  let inData = false;
  let nibble = '';
  let oid = '';
  let position = 0;
  for await (const chunk of rows) {
    for (let at = 0; at < chunk.length; ) {
      if (!inData) {
        const end = chunk.indexOf(LETTER_X, at) + 1 || chunk.length;
        head += chunk.toString('latin1', at, end);
        at = end;
        if (!head.endsWith('x') && head.length <= HEAD_BYTES) continue;
        const row = headOf(head);
        if (row.oid !== oid) {
          position = 0;
          oid = row.oid;
          yield { kind: 'object', oid };
        } else if (row.offset === position && position === 0) throw damaged(`${oid} twice`);
        if (row.offset < position) throw damaged(`${oid} out of order`);
        for (; position < row.offset; position += HOLE.length) {
          yield { kind: 'bytes', bytes: HOLE.subarray(0, row.offset - position) };
        }
        position = row.offset;
        head = '';
        inData = true;
        continue;
      }
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline < 0 ? chunk.length : newline;
      const hex = nibble + chunk.toString('latin1', at, end);
      const bytes = Buffer.from(hex, 'hex');
      nibble = hex.length % 2 === 1 ? hex.slice(-1) : '';
      if (bytes.length !== hex.length >> 1) throw damaged(`${oid} with bytes that are no hexadecimal digits`);
      if (bytes.length > 0) yield { kind: 'bytes', bytes };
      position += bytes.length;
      at = end;
      if (newline >= 0) {
        if (nibble) throw damaged(`${oid} with half a byte`);
        inData = false;
        at++;
      }
    }
  }
  if (inData || head) throw damaged('an incomplete row');
}

function headOf(head: string): { oid: string; offset: number } {
  const match = /^(\d{1,10})\t(\d{1,15})\t\\\\x$/.exec(head);
  if (!match) throw damaged('a row that is no piece of one');
  return { oid: match[1]!, offset: Number(match[2]) };
}

function damaged(what: string): TidemarkError {
  return faultError(
    'ROWS_DAMAGED',
    `the stored large objects hold ${what}`,
    'nothing was exported; verify the repository, and export another snapshot',
  );
}
