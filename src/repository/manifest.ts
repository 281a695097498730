import { randomBytes } from 'node:crypto';
import type { ListRef } from './format/chunkList.ts';

/** docs/format.md, "Manifests". */
export interface Manifest {
  format: 1;
  snapshot: string;
  database: string;
  plan: string | null;
  kind: 'logical';
  started: string;
  finished: string;
  base: string | null;
  tool: string;
  pgDump: string;
  source: SourceFacts;
  scope: Scope;
  counts: Counts;
  sessions: Record<string, string>;
  /** Of sessions whose epoch is not 0. */
  epochs?: Record<string, number>;
  packs: [session: string, number: number, sizeBytes: number][];
  usage?: Usage;
  streams: { archive: ListRef; globals: ListRef; parts: ListRef };
  /** Only where another session than the snapshot's own wrote it: it was copied from another repository. */
  copied?: CopyFacts;
  /** Only in revisions. */
  revised?: RevisionFacts;
}

/** What a revision says of itself. docs/format.md, "Revisions". */
export interface RevisionFacts {
  number: number;
  /** The session that wrote it. */
  session: string;
  /** ISO 8601, UTC, the storage's clock. */
  at: string;
  /** Packs that the manifest before it named, and it does not. */
  dropped: [session: string, number: number][];
}

export interface CopyFacts {
  /** Id of the repository that it was read from. */
  from: string;
  /** The session that wrote the packs and this manifest. */
  session: string;
  /** ISO 8601, UTC, the writer's clock. */
  at: string;
  /** Version of tidemark that copied it. */
  tool: string;
}

export interface SourceFacts {
  database: string;
  host: string;
  serverVersion: string;
  serverVersionNum: number;
  encoding: string;
  collate: string;
  ctype: string;
  localeProvider: string;
  icuLocale: string | null;
  sizeBytes: number;
}

export interface Scope {
  tables: string[];
  excludeTables: string[];
  schemaOnly: boolean;
  dataOnly: boolean;
  rolePasswords: boolean;
  /** Only where less was asked for by hand than the plan captures. */
  narrowed?: true;
  /** Entries of the archive (dumpIds) that need a table that was left out, each with its name; a restore leaves them out. */
  needsExcluded?: [dumpId: number, needs: string][];
}

export interface Counts {
  tables: number;
  rows: number;
  largeObjects: number;
  bytesRead: number;
  bytesAdded: number;
  chunks: number;
  chunksAdded: number;
}

/** How much of its packs a snapshot uses; compaction goes by it. docs/format.md, "Manifests". */
export interface Usage {
  listBytes: number;
  /** For each of the manifest's packs, in their order; `plainBytes` is 0 where nobody knows it any more. */
  packs: [usedBytes: number, plainBytes: number][];
}

/** One line of the `parts` stream: what the capture said of a part, and where its bytes are. */
export type PartRecord = {
  kind: 'rows' | 'largeObjects';
  oid: string;
  schema: string;
  table: string;
  from: number;
  to: number | null;
  rows: number;
  bytes: number;
} & ListRef;

/** `20261121-095747123-3f9c2a7b`: sorts by time to the millisecond; two runs in the same one still differ. */
export function newSessionId(now: Date): string {
  const stamp = now
    .toISOString()
    .replace(/[-:.Z]/g, '')
    .replace('T', '-');
  return `${stamp}-${randomBytes(4).toString('hex')}`;
}

export const SESSION_ID = /^\d{8}-\d{9}-[0-9a-f]{8}$/;
/** A snapshot's id, and for a copy the session that wrote it behind a dot. */
export const MANIFEST_NAME = /^\d{8}-\d{9}-[0-9a-f]{8}(\.\d{8}-\d{9}-[0-9a-f]{8})?$/;

/** What a manifest is called under `snapshots/` and `forgotten/`: no two that were ever written share a name. */
export function manifestName({ snapshot, copied }: Pick<Manifest, 'snapshot' | 'copied'>): string {
  return copied ? `${snapshot}.${copied.session}` : snapshot;
}

/** The id of the snapshot that a manifest of this name describes. */
export function snapshotOf(name: string): string {
  return name.split('.', 1)[0]!;
}
