/**
 * What a pg_dump archive (custom format, version 1.14 to 1.16) says in its header and table of contents.
 * Source: PostgreSQL's src/bin/pg_dump/pg_backup_archiver.{h,c} and pg_backup_custom.c.
 */

export interface ArchiveHeader {
  version: { major: number; minor: number; revision: number };
  /** Bytes of an integer (4) and of a file offset (8) on the machine that wrote it. */
  intSize: number;
  offsetSize: number;
  /** 1 custom, 3 tar, 5 directory (pg_backup_archiver.h, ArchiveFormat). */
  format: number;
  compression: 'none' | 'gzip' | 'lz4' | 'zstd';
  /** Broken-down local time of the dump, as struct tm has it (month 0-11, year since 1900). */
  created: { sec: number; min: number; hour: number; mday: number; mon: number; year: number; isdst: number };
  database: string | null;
  serverVersion: string | null;
  dumpVersion: string | null;
}

export type Section = 'none' | 'pre-data' | 'data' | 'post-data';

/** Where an entry's data lies in a custom archive: K_OFFSET_POS_NOT_SET, _POS_SET, _NO_DATA. */
export interface DataOffset {
  state: 'not-set' | 'set' | 'no-data';
  position: bigint;
}

/** One object of the database: its SQL, its owner, what it depends on, and whether rows belong to it. */
export interface ArchiveEntry {
  dumpId: number;
  hasData: boolean;
  tableOid: string;
  oid: string;
  tag: string;
  /** The object's kind in pg_dump's words: TABLE, TABLE DATA, FK CONSTRAINT, … */
  desc: string;
  section: Section;
  defn: string | null;
  dropStmt: string | null;
  /** `COPY public.t (a, b) FROM stdin;` with its line end, for TABLE DATA. */
  copyStmt: string | null;
  namespace: string | null;
  tablespace: string | null;
  /** Table access method; since archive version 1.14. */
  tableam: string | null;
  /** pg_class.relkind as a letter, or '' ; since archive version 1.16. */
  relkind: string;
  owner: string | null;
  /** dumpIds this entry must come after. */
  dependencies: number[];
  offset: DataOffset;
}

export interface Archive {
  header: ArchiveHeader;
  entries: ArchiveEntry[];
  /**
   * PostgreSQL's name of the encoding that the strings above came in. They are Unicode here; `encodeText` gives the same
   * bytes again, to write them or to send them to a server in a session whose client_encoding it is.
   */
  text: string;
}
