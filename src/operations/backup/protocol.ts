import type { PostedError } from '../../base/worker.ts';
import type { PartJob } from '../../capture/logical/partition.ts';
import type { ConnectionSettings } from '../../postgres/settings/settings.ts';
import type { ListRef, WrittenStream } from '../../repository/chunkWriter.ts';

/** What the main thread and a capture worker say to each other. */

export interface CaptureWorkerData {
  settings: ConnectionSettings;
  sessionSettings: string;
  snapshot: string;
  /** The master key of the session's epoch. */
  master: Uint8Array;
  epoch: number;
  repositoryId: string;
  session: string;
  sessionSalt: Uint8Array;
  level: number;
  /** This worker's packs are numbered firstPack, firstPack + packStep, … */
  firstPack: number;
  packStep: number;
}

export interface PreviousLists {
  lists: Uint8Array[];
  refs: ListRef[];
}

export type ToCaptureWorker =
  | { type: 'part'; id: number; job: PartJob; previous?: PreviousLists }
  | { type: 'flush' }
  /** Bytes of pieces that the main thread has room for again. */
  | { type: 'credit'; bytes: number };

export type FromCaptureWorker =
  | { type: 'ready' }
  | { type: 'piece'; pack: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'end'; pack: number; sizeBytes: number }
  | { type: 'progress'; bytes: number }
  | { type: 'done'; id: number; written: WrittenStream }
  | { type: 'flushed' }
  | { type: 'failed'; error: PostedError; id?: number };
