import type { TidemarkError } from '../base/errors.ts';
import { kindOf, type StorageSpec } from './kinds.ts';
import type { Storage } from './storage.ts';
import { DeadlineStorage } from './wrap/deadline.ts';
import { LimitedStorage, type Limits } from './wrap/limit.ts';
import { type Measure, MeasuredStorage } from './wrap/measure.ts';
import { RetriedStorage, type RetryOptions } from './wrap/retry.ts';
import type { Call } from './wrap/wrapped.ts';

/** Everything that opening a storage needs, here or in a worker thread: plain data, never to be printed. */
export interface StoragePlace {
  spec: StorageSpec;
  limits?: Limits;
}

export interface OpenOptions {
  retry?: RetryOptions;
  measure?: Measure;
  signal?: AbortSignal;
  /** For people: told when the storage lets us wait, or is tried again. */
  waiting?(line: string): void;
}

/** What holds for every storage that this process opens, where whoever opens it says nothing else. */
let defaults: Pick<OpenOptions, 'signal' | 'waiting'> = {};

/** For the program that runs a command: its interruption ends calls, and its user is told of waits. */
export function watchStorages(options: Pick<OpenOptions, 'signal' | 'waiting'>): void {
  defaults = options;
}

/** The one place where storages are wrapped: attempts are counted and bounded one by one, and repeated outside of that. */
export async function openStorage(place: StoragePlace, options: OpenOptions = {}): Promise<Storage> {
  const { retry, measure, signal = defaults.signal, waiting = defaults.waiting } = options;
  let storage = await kindOf(place.spec).open(place.spec);
  if (measure) storage = new MeasuredStorage(storage, measure);
  storage = new DeadlineStorage(storage, { signal, waiting });
  storage = new LimitedStorage(storage, place.limits ?? {}, signal);
  const again = (_: Call, { message, code }: TidemarkError, waitMs: number) =>
    waiting?.(`${message} [${code}]; it is tried again in ${Math.ceil(waitMs / 1000)} s`);
  return new RetriedStorage(storage, { signal, waiting: again, ...retry });
}

/** The place for one of `count` that use it at once, so that they keep its limits together. */
export function shareOf({ spec, limits }: StoragePlace, count: number): StoragePlace {
  const { connections, bytesPerSecond } = limits ?? {};
  const share: Limits = {};
  if (connections !== undefined) share.connections = Math.max(1, Math.floor(connections / count));
  if (bytesPerSecond !== undefined) share.bytesPerSecond = bytesPerSecond / count;
  return { spec, limits: share };
}
