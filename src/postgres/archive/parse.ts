/**
 * Reads the header and table of contents of a pg_dump archive, versions 1.14 (PostgreSQL 12 to 15), 1.15 (16) and
 * 1.16 (17 to 19). Source of the layout: ReadHead, ReadToc, ReadInt, ReadStr and ReadOffset in PostgreSQL's
 * src/bin/pg_dump/pg_backup_archiver.c. Whatever `writeArchive` could not write again byte for byte is refused.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { TidemarkError } from '../../base/errors.ts';
import { decodeText } from '../encoding.ts';
import type { Archive, ArchiveEntry, ArchiveHeader, DataOffset, Section } from './entry.ts';
import { archiveEncoding } from './statements.ts';

export const ARCHIVE_MAGIC = Buffer.from('PGDMP');
/** By their number in the archive. */
export const SECTIONS: readonly Section[] = ['none', 'pre-data', 'data', 'post-data'];
export const OFFSET_STATES: readonly DataOffset['state'][] = ['not-set', 'set', 'no-data'];
export const COMPRESSIONS: readonly ArchiveHeader['compression'][] = ['none', 'gzip', 'lz4', 'zstd'];
/** The header of a 1.14 archive holds zlib's level (-1 for its default) where later ones hold the algorithm. */
export type LevelledHeader = ArchiveHeader & { compressionLevel?: number };

const FORMAT_CUSTOM = 1;
const SUPPORTED_MINORS = [14, 15, 16];
const INT_BYTES = 4;
const OFFSET_BYTES = 8;
const INT_MAX = 0x7fffffff;
/** No table of contents is near this; it keeps a stream that never completes from filling the memory. */
const HEAD_MAX_BYTES = 512 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 256 * 1024;

export interface ParsedArchive {
  archive: Archive;
  /** Bytes of the header and the table of contents; the data begins behind them. */
  length: number;
}

/** The bytes end inside the header or the table of contents: with more of them it may be read. */
export class IncompleteArchive extends TidemarkError {
  constructor() {
    super(
      'ARCHIVE_INCOMPLETE',
      'the pg_dump archive ends before its table of contents does',
      'the file or the transfer was cut short: get it again',
    );
    this.name = 'IncompleteArchive';
  }
}

function invalid(what: string): TidemarkError {
  const message = `not a pg_dump archive that can be read: ${what}`;
  return new TidemarkError('ARCHIVE_INVALID', message, 'use a custom-format archive of pg_dump 15 to 19');
}

/** Whole archive head in `bytes`, or IncompleteArchive where they end too early. What follows the head is ignored. */
export function parseArchive(bytes: Buffer): ParsedArchive {
  const scan = new Scan();
  scan.advance(bytes);
  return scan.finish(bytes);
}

/**
 * Reads an archive head from a stream. Each entry is read once, however the bytes are cut: a chunk that ends inside an
 * entry costs only that entry's beginning again.
 */
export class ArchiveReader {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  #filled = 0;
  readonly #scan = new Scan();

  /** The head once it is complete (`bytes` is exactly the head), else null. Not to be called after that. */
  push(chunk: Buffer): (ParsedArchive & { bytes: Buffer }) | null {
    this.#append(chunk);
    const bytes = this.#buffer.subarray(0, this.#filled);
    try {
      this.#scan.advance(bytes);
    } catch (error) {
      if (error instanceof IncompleteArchive) return null;
      throw error;
    }
    const parsed = this.#scan.finish(bytes);
    return { ...parsed, bytes: Buffer.from(bytes.subarray(0, parsed.length)) };
  }

  #append(chunk: Buffer): void {
    const needed = this.#filled + chunk.length;
    if (needed > HEAD_MAX_BYTES) throw invalid(`its table of contents exceeds ${HEAD_MAX_BYTES} bytes`);
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#filled);
    this.#filled = needed;
  }
}

/**
 * One pass over an archive head that can stop at missing bytes and go on. It reads every string as latin1, which
 * never fails; only if they turn out to be more than ASCII is the head read a second time, in the encoding it names.
 */
class Scan {
  #offset = 0;
  #header: LevelledHeader | null = null;
  #remaining = -1;
  readonly #entries: ArchiveEntry[] = [];
  readonly #seen: TextSeen = { ascii: true, utf8: true };

  /** `bytes` always begins at the archive's beginning. Throws IncompleteArchive, having kept all that it read. */
  advance(bytes: Buffer): void {
    const cursor = new Cursor(bytes, this.#offset, null, this.#seen);
    if (this.#header === null) {
      this.#header = readHeader(cursor);
      this.#offset = cursor.at;
    }
    if (this.#remaining < 0) {
      const count = cursor.int();
      if (count < 0) throw invalid(`it has ${count} entries`);
      this.#remaining = count;
      this.#offset = cursor.at;
    }
    while (this.#remaining > 0) {
      this.#entries.push(readEntry(cursor, this.#header.version.minor));
      this.#remaining -= 1;
      this.#offset = cursor.at;
    }
  }

  finish(bytes: Buffer): ParsedArchive {
    const length = this.#offset;
    const header = this.#header!;
    const text = archiveEncoding({ entries: this.#entries });
    if (this.#seen.ascii) return { archive: { header, entries: this.#entries, text }, length };
    const isPlain = this.#seen.utf8 && (text === 'UTF8' || text === 'SQL_ASCII');
    const cursor = new Cursor(bytes, 0, isPlain ? 'UTF8' : text, this.#seen);
    const decodedHeader = readHeader(cursor);
    const entries = Array.from({ length: cursor.int() }, () => readEntry(cursor, header.version.minor));
    return { archive: { header: decodedHeader, entries, text }, length };
  }
}

interface TextSeen {
  ascii: boolean;
  utf8: boolean;
}

class Cursor {
  readonly #bytes: Buffer;
  /** Null as long as it is not known: one character a byte. */
  readonly #text: string | null;
  readonly #seen: TextSeen;
  at: number;

  constructor(bytes: Buffer, at: number, text: string | null, seen: TextSeen) {
    this.#bytes = bytes;
    this.at = at;
    this.#text = text;
    this.#seen = seen;
  }

  /** Moves over `size` bytes and returns where they begin. */
  skip(size: number): number {
    const start = this.at;
    if (start + size > this.#bytes.length) throw new IncompleteArchive();
    this.at = start + size;
    return start;
  }

  byte(): number {
    return this.#bytes[this.skip(1)]!;
  }

  magic(): void {
    const found = this.#bytes.subarray(this.at, this.at + ARCHIVE_MAGIC.length);
    if (!found.equals(ARCHIVE_MAGIC.subarray(0, found.length))) throw invalid('it does not begin with PGDMP');
    this.skip(ARCHIVE_MAGIC.length);
  }

  /** A sign byte, then the magnitude, smallest byte first. */
  int(): number {
    const start = this.skip(1 + INT_BYTES);
    const sign = this.#bytes[start]!;
    const magnitude = this.#bytes.readUInt32LE(start + 1);
    if (sign > 1 || magnitude > INT_MAX || (sign === 1 && magnitude === 0)) {
      throw invalid(`byte ${start} is not the beginning of an integer`);
    }
    return sign === 1 ? -magnitude : magnitude;
  }

  string(): string | null {
    const size = this.int();
    if (size === -1) return null;
    if (size < 0) throw invalid(`a string of ${size} bytes before byte ${this.at}`);
    const start = this.skip(size);
    const slice = this.#bytes.subarray(start, this.at);
    if (!isAscii(slice)) {
      this.#seen.ascii = false;
      if (this.#seen.utf8 && !isUtf8(slice)) this.#seen.utf8 = false;
    }
    return this.#text === null ? slice.toString('latin1') : decodeText(slice, this.#text);
  }

  text(what: string): string {
    const value = this.string();
    if (value === null) throw invalid(`the ${what} before byte ${this.at} is missing`);
    return value;
  }

  position(): bigint {
    return this.#bytes.readBigUInt64LE(this.skip(OFFSET_BYTES));
  }

  choice<T>(from: readonly T[], number: number, what: string): T {
    const value = from[number];
    if (value === undefined) throw invalid(`the ${what} before byte ${this.at} is unknown`);
    return value;
  }
}

function readHeader(cursor: Cursor): LevelledHeader {
  cursor.magic();
  const version = { major: cursor.byte(), minor: cursor.byte(), revision: cursor.byte() };
  if (version.major !== 1 || !SUPPORTED_MINORS.includes(version.minor)) {
    throw invalid(`its version is ${version.major}.${version.minor}, supported are 1.14 to 1.16`);
  }
  const intSize = cursor.byte();
  const offsetSize = cursor.byte();
  const format = cursor.byte();
  if (intSize !== INT_BYTES || offsetSize !== OFFSET_BYTES) {
    throw invalid(`its integers have ${intSize} bytes and its offsets ${offsetSize}, not 4 and 8`);
  }
  if (format !== FORMAT_CUSTOM) throw invalid(`its format number is ${format}, not 1 (custom)`);
  const compressed = readCompression(cursor, version.minor);
  const created = {
    sec: cursor.int(),
    min: cursor.int(),
    hour: cursor.int(),
    mday: cursor.int(),
    mon: cursor.int(),
    year: cursor.int(),
    isdst: cursor.int(),
  };
  const [database, serverVersion, dumpVersion] = [cursor.string(), cursor.string(), cursor.string()];
  return {
    version,
    intSize,
    offsetSize,
    format,
    ...compressed,
    created,
    database,
    serverVersion,
    dumpVersion,
  };
}

function readCompression(
  cursor: Cursor,
  minor: number,
): Pick<LevelledHeader, 'compression' | 'compressionLevel'> {
  if (minor >= 15) return { compression: cursor.choice(COMPRESSIONS, cursor.byte(), 'compression') };
  const compressionLevel = cursor.int();
  return { compression: compressionLevel === 0 ? 'none' : 'gzip', compressionLevel };
}

function readEntry(cursor: Cursor, minor: number): ArchiveEntry {
  const dumpId = cursor.int();
  if (dumpId <= 0) throw invalid(`an entry has the number ${dumpId}`);
  return {
    dumpId,
    hasData: cursor.choice([false, true], cursor.int(), 'data flag'),
    tableOid: cursor.text('catalog number'),
    oid: cursor.text('object number'),
    tag: cursor.text('name'),
    desc: cursor.text('kind'),
    section: cursor.choice(SECTIONS, cursor.int() - 1, 'section'),
    defn: cursor.string(),
    dropStmt: cursor.string(),
    copyStmt: cursor.string(),
    namespace: cursor.string(),
    tablespace: cursor.string(),
    tableam: cursor.string(),
    relkind: minor >= 16 ? readRelkind(cursor) : '',
    owner: cursor.string(),
    dependencies: readDependencies(cursor),
    offset: {
      state: cursor.choice(OFFSET_STATES, cursor.byte() - 1, 'offset state'),
      position: cursor.position(),
    },
  };
}

function readRelkind(cursor: Cursor): string {
  const code = cursor.int();
  if (code < 0 || code > 127) throw invalid(`the relation kind before byte ${cursor.at} is ${code}`);
  return code === 0 ? '' : String.fromCharCode(code);
}

/** Numbers as strings up to a null string; before them, what is left of WITH OIDS: always `false` since 12. */
function readDependencies(cursor: Cursor): number[] {
  if (cursor.text('WITH OIDS flag') !== 'false') throw invalid('it has tables WITH OIDS');
  const dependencies: number[] = [];
  for (let text = cursor.string(); text !== null; text = cursor.string()) {
    const number = Number(text);
    if (!Number.isInteger(number) || String(number) !== text) {
      throw invalid(`a dependency before byte ${cursor.at} is no number`);
    }
    dependencies.push(number);
  }
  return dependencies;
}
