import { kindOf, type StorageSpec } from './kinds.ts';
import type { Storage } from './storage.ts';
import { LimitedStorage, type Limits } from './wrap/limit.ts';
import { type Measure, MeasuredStorage } from './wrap/measure.ts';
import { RetriedStorage, type RetryOptions } from './wrap/retry.ts';

/** Everything that opening a storage needs, here or in a worker thread: plain data, never to be printed. */
export interface StoragePlace {
  spec: StorageSpec;
  limits?: Limits;
}

export interface OpenOptions {
  retry?: RetryOptions;
  measure?: Measure;
  signal?: AbortSignal;
}

/** The one place where storages are wrapped: attempts are counted and bounded one by one, and repeated outside of that. */
export async function openStorage(place: StoragePlace, options: OpenOptions = {}): Promise<Storage> {
  const { retry, measure, signal } = options;
  let storage = await kindOf(place.spec).open(place.spec);
  if (measure) storage = new MeasuredStorage(storage, measure);
  storage = new LimitedStorage(storage, place.limits ?? {}, signal);
  return new RetriedStorage(storage, { signal, ...retry });
}

/** The place for one of `count` that use it at once, so that they keep its limits together. */
export function shareOf({ spec, limits }: StoragePlace, count: number): StoragePlace {
  const { connections, bytesPerSecond } = limits ?? {};
  const share: Limits = {};
  if (connections !== undefined) share.connections = Math.max(1, Math.floor(connections / count));
  if (bytesPerSecond !== undefined) share.bytesPerSecond = bytesPerSecond / count;
  return { spec, limits: share };
}
