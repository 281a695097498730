import type { PostedError } from '../../base/worker.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import type { KeyRing } from '../../repository/keys/keys.ts';
import type { PackTable } from '../../repository/read/reader.ts';
import type { StoredPart } from '../../restore/parts.ts';
import type { StoragePlace } from '../../storage/index.ts';

/** What the main thread and a restore worker say to each other. */

export interface RestoreWorkerData {
  settings: ConnectionSettings;
  /** Run when the connection is open: the archive's preamble. */
  preamble: string[];
  /** The encoding that statements are sent in, PostgreSQL's name. */
  text: string;
  storage: StoragePlace;
  keys: KeyRing;
  packs: PackTable;
}

export type RestoreWork =
  | { kind: 'rows'; part: StoredPart; copy: string }
  | { kind: 'largeObjects'; part: StoredPart }
  | { kind: 'statements'; statements: string[] };

export type ToRestoreWorker = { type: 'work'; id: number; work: RestoreWork } | { type: 'close' };

export type FromRestoreWorker =
  | { type: 'ready'; pid: string }
  | { type: 'progress'; bytes: number }
  | { type: 'done'; id: number; rows: number }
  | { type: 'failed'; id: number | null; error: PostedError }
  | { type: 'closed' };
