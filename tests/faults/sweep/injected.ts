import { mock } from 'node:test';
import { LocalStorage, localKind } from '../../../src/storage/local/storage.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { RetriedStorage } from '../../../src/storage/wrap/retry.ts';
import { type FaultPlan, FaultyStorage, RecentWrites } from '../../support/faultyStorage.ts';

/** Attempts are made again at once: no machine has to be waited for. */
const RETRIES = { attempts: 3, firstWaitMs: 1 };

/**
 * What happens in the course of one run:
 * - `error`, `timeout`, `cut`, `torn`, `lost`: once, and the call that is made again does well: the operation has to as well;
 * - `stale`: once what was written last is not seen;
 * - `refused`: once the storage says no, and the operation may give up or do without;
 * - `gone`: the storage is away from then on; `lost, gone` and `torn, gone`: after it did the call, or half of it.
 */
export const INJECTED: readonly string[] = [
  'error',
  'gone',
  'lost',
  'stale',
  'lost, gone',
  'timeout',
  'refused',
  'torn',
  'torn, gone',
  'cut',
];
export type Injected = string;

/** Those after which an operation has to end well. */
export const PASSING: ReadonlySet<Injected> = new Set(['error', 'timeout', 'cut', 'torn', 'lost']);

export function planOf(injected: Injected, at: number): FaultPlan[] {
  const gone = (from: number): FaultPlan => ({
    at: from,
    fault: 'permanent',
    times: Number.POSITIVE_INFINITY,
  });
  switch (injected) {
    case 'refused':
      return [{ at, fault: 'permanent' }];
    case 'gone':
      return [gone(at)];
    case 'lost, gone':
      return [{ at, fault: 'lost' }, gone(at + 1)];
    case 'torn, gone':
      return [{ at, fault: 'torn' }, gone(at + 1)];
    default:
      return [{ at, fault: injected as FaultPlan['fault'] }];
  }
}

const injected = new Map<string, Storage>();

/** From now on whoever opens a folder as a storage gets what was injected there. Worker threads open theirs unhurt. */
export function beginInjecting(): { end(): void } {
  const open = localKind.open;
  const opening = mock.method(
    localKind,
    'open',
    async (spec: Parameters<typeof open>[0]) => injected.get(spec.path) ?? (await open(spec)),
  );
  return { end: () => opening.mock.restore() };
}

/** Lets faults happen to whoever opens this folder. `recent`: what counts as written in the last moments, at first. */
export function inject(folder: string, plan: FaultPlan[], recent: string[]): FaultyStorage {
  const writes = new RecentWrites();
  for (const name of recent) writes.add(name);
  const faulty = new FaultyStorage(new LocalStorage(folder), plan, writes);
  injected.set(folder, new RetriedStorage(faulty, RETRIES));
  return faulty;
}

/** Whoever opens the folder from now on meets no fault. */
export function heal(folder: string): void {
  injected.delete(folder);
}
