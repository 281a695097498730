import type { Archive } from '../archive/entry.ts';
import type { Session } from '../session.ts';
import type { Environment, PgDumpTool } from './tool.ts';

export interface ArchiveRequest extends PgDumpRequest {
  /**
   * In a transaction of the caller, whose snapshot pg_dump reads under and who holds the locks of the tables: pg_dump
   * takes none. It may have written.
   */
  session: Session;
  /** How long one statement of pg_dump waits for a lock (of a view, or of a catalog); without an end if left out. */
  lockTimeoutMs?: number;
}

export interface ArchiveHead {
  /** Header and table of contents, no data: byte for byte, but for what only this server knows (internalOptions.ts). */
  bytes: Buffer;
  archive: Archive;
  tool: PgDumpTool;
  /** What pg_dump warned of on stderr. */
  warnings: string[];
}

export interface PgDumpRequest {
  /** Further options of pg_dump, as `--schema-only`. */
  args: string[];
  signal?: AbortSignal;
  /** If the caller has chosen one already; else findPgDump chooses. */
  tool?: PgDumpTool;
  /**
   * Whether `tool` may be older than the server, and is told that the server is of its own version: it knows nothing then of
   * what is newer, and fails where a catalog is not what it was. Not for a capture.
   */
  older?: boolean;
  /** Where to look for a pg_dump; the process's own environment if left out. */
  environment?: Environment;
}
