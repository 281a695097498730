/**
 * What an export format is: a way to write a snapshot so that tools that know nothing of Tidemark read it.
 *
 * A format writes through a sink it is given and holds a bounded amount of memory, whatever the size of a table or of a
 * value; it awaits every write, so the reader's pace is kept. It never makes a name appear under which an incomplete
 * export could be taken for a whole one: whoever opened the sink publishes it once `write` has returned (target.ts).
 * An error leaves nothing behind but what a pipe's reader has seen already.
 */
import type { Part, PartSource } from '../../capture/logical/part.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { StatementOptions } from '../../postgres/archive/statements.ts';

export interface ExportInput {
  archive: Archive;
  /** dumpIds to write; everything where it is missing. The session's settings (ENCODING, …) are always written. */
  select?: ReadonlySet<number>;
  /**
   * The parts of a TABLE DATA or BLOBS entry, in order; none for an empty table. Where the archive has several BLOBS
   * entries (version 1.16), each has the objects of the BLOB METADATA entry it depends on, and no others.
   */
  parts(entry: ArchiveEntry): Part[];
  source: PartSource;
  /** What plain SQL says and doesn't (owners, privileges, …); archives always have it all, pg_restore chooses. */
  statements?: StatementOptions;
  /** Of archives' data: gzip unless told. */
  compression?: 'none' | 'gzip';
  signal?: AbortSignal;
  /** Called now and then with the plain bytes of parts read since the last call. */
  progress?(bytes: number): void;
}

/** One file or pipe being written. Each write is awaited; after an error nothing more is written. */
export interface FileSink {
  write(bytes: Uint8Array): Promise<void>;
  /** Bytes written so far. */
  readonly position: number;
  /** Whether `patch` works: true for files. */
  readonly seekable: boolean;
  /** Replaces bytes already written. */
  patch(position: number, bytes: Uint8Array): Promise<void>;
}

/** A folder being written, one file after another. */
export interface FolderSink {
  /** A new file; a name that is taken is an error. The file is closed, and safe on disk, when `fill` returns. */
  file(name: string, fill: (sink: FileSink) => Promise<void>): Promise<void>;
}

interface FormatBase {
  readonly name: string;
  /** One line for --help: what it is and what reads it. */
  readonly summary: string;
  /** It has rows of tables, and nothing else of a database. */
  readonly rowsOnly?: true;
}

export interface FileFormat extends FormatBase {
  readonly shape: 'file';
  write(input: ExportInput, sink: FileSink): Promise<void>;
}

export interface FolderFormat extends FormatBase {
  readonly shape: 'folder';
  write(input: ExportInput, sink: FolderSink): Promise<void>;
}

export type ExportFormat = FileFormat | FolderFormat;
