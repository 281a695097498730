import { randomBytes } from 'node:crypto';
import type { ListRef } from './chunkWriter.ts';

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
  packs: [session: string, number: number, sizeBytes: number][];
  streams: { archive: ListRef; globals: ListRef; parts: ListRef };
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
