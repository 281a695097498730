import { randomBytes } from 'node:crypto';
import type { ListRef } from './format/chunkList.ts';

/** docs/format.md, "Manifests". What a kind of capture says in `scope`, `source` and its parts' `facts` means nothing here. */
export interface Manifest {
  format: 1;
  /** How it was captured. */
  kind: string;
  snapshot: string;
  database: string;
  plan: string | null;
  started: string;
  finished: string;
  base: string | null;
  tool: string;
  scope: object;
  source: object;
  counts: Counts;
  sessions: Record<string, string>;
  /** Of sessions whose epoch is not 0. */
  epochs?: Record<string, number>;
  packs: [session: string, number: number, sizeBytes: number][];
  usage?: Usage;
  streams: Streams;
  /** Only where another session than the snapshot's own wrote it: it was copied from another repository. */
  copied?: CopyFacts;
  /** Only in revisions. */
  revised?: RevisionFacts;
}

/** By name: the list of parts, and the kind's own. */
export type Streams = { parts: ListRef } & Record<string, ListRef>;

/** The names of a manifest's streams but the list of parts. */
export function ownStreams({ streams }: Pick<Manifest, 'streams'>): string[] {
  return Object.keys(streams).filter(name => name !== 'parts');
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

export interface Counts {
  parts: number;
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

/** What a part is called; no two of a snapshot have one name. Of one group, those that overlap are likely to share chunks. */
export interface PartName {
  group: string;
  from: number;
  /** Null: to the end. */
  to: number | null;
}

/** A part's name as one text. */
export function partKey({ group, from, to }: PartName): string {
  return JSON.stringify([group, from, to]);
}

/** One line of the `parts` stream: what the capture said of a part, and where its bytes are. */
export type PartRecord = PartName & { rows: number; bytes: number; facts: object } & ListRef;

/** Where the bytes of a part are. */
export function refOf(part: ListRef): ListRef {
  return 'at' in part ? { at: part.at } : { list: part.list };
}

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
