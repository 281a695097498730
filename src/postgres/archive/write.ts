/**
 * Writes the header and table of contents of a pg_dump archive: the inverse of parse.ts, byte for byte.
 *
 * With another `minorVersion` than the archive's own it writes what that version's pg_restore reads the same way:
 * - 1.14 has no compression algorithm but zlib's level: none and gzip only.
 * - 1.16 alone has relkind. Older ones are written as 0, as pg_restore 17 takes older archives; back, relkind is left
 *   out, unless it means something: pg_restore needs it to give a partitioned table its access method.
 * - 1.16 alone has BLOB METADATA, whose definition is a list of large objects and no SQL.
 * What would be lost is an error. SQL that an older server does not know is the caller's matter.
 */
import { TidemarkError } from '../../base/errors.ts';
import { encodeText } from '../encoding.ts';
import type { Archive, ArchiveEntry } from './entry.ts';
import { ARCHIVE_MAGIC, COMPRESSIONS, type LevelledHeader, OFFSET_STATES, SECTIONS } from './parse.ts';

export type ArchiveMinorVersion = 14 | 15 | 16;

/**
 * 'custom': a file's head, with the offsets of the entries' data.
 * 'directory': a toc.dat, where `fileName` says which file beside it holds an entry's data, '' for none.
 */
export type WriteOptions = { minorVersion?: ArchiveMinorVersion } & (
  | { format: 'custom' }
  | { format: 'directory'; fileName: (entry: ArchiveEntry) => string }
);

const FORMAT_CUSTOM = 1;
/** pg_dump marks toc.dat as tar, since the two are read alike (_CloseArchive in pg_backup_directory.c). */
const FORMAT_TAR = 3;
const GZIP_DEFAULT_LEVEL = -1;
const FIRST_BUFFER_BYTES = 64 * 1024;

export function writeArchive(archive: Archive, options: WriteOptions = { format: 'custom' }): Buffer {
  const minor = options.minorVersion ?? archive.header.version.minor;
  const out = new Output(archive.text);
  writeHeader(out, archive.header, minor, options.format === 'custom' ? FORMAT_CUSTOM : FORMAT_TAR);
  out.int(archive.entries.length);
  for (const entry of archive.entries) {
    writeEntry(out, entry, minor);
    if (options.format === 'directory') out.string(options.fileName(entry));
    else out.offset(entry.offset);
  }
  return out.finish();
}

function lossy(what: string, minor: number): TidemarkError {
  return new TidemarkError(
    'ARCHIVE_VERSION_LOSSY',
    `${what} can't be written to a pg_dump archive of version 1.${minor}`,
    'write the archive in its own version',
  );
}

function writeHeader(out: Output, header: LevelledHeader, minor: number, format: number): void {
  const { version, created } = header;
  out.bytes(ARCHIVE_MAGIC);
  for (const byte of [version.major, minor, version.revision, header.intSize, header.offsetSize, format]) {
    out.byte(byte);
  }
  if (minor >= 15) out.byte(COMPRESSIONS.indexOf(header.compression));
  else out.int(compressionLevel(header, minor));
  const { sec, min, hour, mday, mon, year, isdst } = created;
  for (const part of [sec, min, hour, mday, mon, year, isdst]) out.int(part);
  out.string(header.database);
  out.string(header.serverVersion);
  out.string(header.dumpVersion);
}

function compressionLevel(header: LevelledHeader, minor: number): number {
  if (header.compression === 'none') return 0;
  if (header.compression === 'gzip') return header.compressionLevel ?? GZIP_DEFAULT_LEVEL;
  throw lossy(`${header.compression} compression`, minor);
}

function writeEntry(out: Output, entry: ArchiveEntry, minor: number): void {
  if (minor < 16 && entry.desc === 'BLOB METADATA')
    throw lossy(`entry ${entry.dumpId} (BLOB METADATA)`, minor);
  if (minor < 16 && entry.relkind === 'p' && entry.tableam !== null) {
    throw lossy(`the access method of partitioned table ${entry.tag}`, minor);
  }
  out.int(entry.dumpId);
  out.int(entry.hasData ? 1 : 0);
  out.string(entry.tableOid);
  out.string(entry.oid);
  out.string(entry.tag);
  out.string(entry.desc);
  out.int(SECTIONS.indexOf(entry.section) + 1);
  out.string(entry.defn);
  out.string(entry.dropStmt);
  out.string(entry.copyStmt);
  out.string(entry.namespace);
  out.string(entry.tablespace);
  out.string(entry.tableam);
  if (minor >= 16) out.int(entry.relkind === '' ? 0 : entry.relkind.charCodeAt(0));
  out.string(entry.owner);
  out.string('false');
  for (const dependency of entry.dependencies) out.string(String(dependency));
  out.string(null);
}

class Output {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  #length = 0;
  readonly #text: Archive['text'];

  constructor(text: Archive['text']) {
    this.#text = text;
  }

  /** Room for `size` more bytes, and where they go. */
  #take(size: number): number {
    const start = this.#length;
    const needed = start + size;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, start);
      this.#buffer = larger;
    }
    this.#length = needed;
    return start;
  }

  byte(value: number): void {
    const start = this.#take(1);
    this.#buffer[start] = value;
  }

  bytes(value: Buffer): void {
    const start = this.#take(value.length);
    value.copy(this.#buffer, start);
  }

  int(value: number): void {
    const start = this.#take(5);
    this.#buffer[start] = value < 0 ? 1 : 0;
    this.#buffer.writeUInt32LE(Math.abs(value), start + 1);
  }

  string(value: string | null): void {
    if (value === null) {
      this.int(-1);
      return;
    }
    const bytes = encodeText(value, this.#text);
    this.int(bytes.length);
    this.bytes(bytes);
  }

  offset(value: ArchiveEntry['offset']): void {
    this.byte(OFFSET_STATES.indexOf(value.state) + 1);
    const start = this.#take(8);
    this.#buffer.writeBigUInt64LE(value.position, start);
  }

  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }
}
