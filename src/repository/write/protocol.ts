import type { PostedError } from '../../base/worker.ts';
import type { ListRef } from '../format/chunkList.ts';
import type { PackContent } from '../storagePolicy.ts';
import type { WrittenStream } from './chunkWriter.ts';

/** What the main thread and a worker that writes parts say to each other. */

export interface WriterData {
  /** The master key of the session's epoch. */
  master: Uint8Array;
  epoch: number;
  repositoryId: string;
  session: string;
  sessionSalt: Uint8Array;
  level: number;
  content: PackContent;
  /** This worker's packs are numbered firstPack, firstPack + packStep, … */
  firstPack: number;
  packStep: number;
}

export interface PreviousLists {
  lists: Uint8Array[];
  /** Null where the list itself must not be used again. */
  refs: (ListRef | null)[];
}

export type ToWriter<Job, Start = undefined> =
  /** Before the first part: what the reader needs to know beside its own data. */
  | { type: 'start'; start: Start }
  | { type: 'part'; id: number; job: Job; previous?: PreviousLists }
  /** The parts given, in the order in which they are to be written from now on. */
  | { type: 'hurry'; ids: number[] }
  /** Rows of the part that the worker could not read itself: text, cut anywhere; then the server's count of them. */
  | { type: 'rows'; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'rows-end'; rows: number }
  | { type: 'flush' }
  /** Bytes of pieces that the main thread has room for again. */
  | { type: 'credit'; bytes: number };

export type FromWriter =
  /** The reader is open. */
  | { type: 'opened' }
  /** The reader has been started. */
  | { type: 'ready' }
  /** The part that the worker is at has to be read for it. */
  | { type: 'refused'; id: number }
  /** The worker has room for as many bytes of rows again. */
  | { type: 'taken'; bytes: number }
  | { type: 'piece'; pack: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'end'; pack: number; sizeBytes: number; content: PackContent }
  | { type: 'progress'; bytes: number }
  | { type: 'done'; id: number; written: WrittenStream }
  | { type: 'flushed' }
  | { type: 'failed'; error: PostedError; id?: number };
