import type { PostedError } from '../../base/worker.ts';
import type { PackFindings, PackJob } from '../../repository/check/check.ts';
import type { KeyRing } from '../../repository/keys/keys.ts';
import type { StoragePlace } from '../../storage/index.ts';

/** What the main thread and a verify worker say to each other. */

export interface VerifyWorkerData {
  storage: StoragePlace;
  keys: KeyRing;
}

export type ToVerifyWorker = { id: number; job: PackJob };

export type FromVerifyWorker =
  | { type: 'checked'; id: number; findings: PackFindings }
  | { type: 'failed'; error: PostedError };
