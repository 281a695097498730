import { randomBytes } from 'node:crypto';
import type { Storage } from '../../storage/storage.ts';

/** Measured with one object at a time; several at once may be faster. */
export interface Speed {
  /** Of the large object. */
  sizeBytes: number;
  putBytesPerSecond: number;
  getBytesPerSecond: number;
  /** Median time to get 100 bytes. */
  smallGetMs: number;
}

/** What a pack has, about. */
const LARGE_BYTES = 16 * 1024 * 1024;
/** Again, as long as it takes no longer than this in all. */
const PATIENCE_MS = 3_000;
const RUNS = 3;
const SMALL_BYTES = 100;
const SMALL_RUNS = 9;

export async function measureSpeed(storage: Storage): Promise<Speed> {
  const large = randomBytes(LARGE_BYTES);
  // In the way that shows most of what the storage lacks, for its remarks.
  await storage.put('small', [randomBytes(SMALL_BYTES)], { ifAbsent: true });
  const putMs = await timed(RUNS, () => storage.put('large', [large]));
  const getMs = await timed(RUNS, () => storage.get('large'));
  const smallGetMs = await timed(SMALL_RUNS, () => storage.get('small'));
  return {
    sizeBytes: LARGE_BYTES,
    putBytesPerSecond: Math.round(LARGE_BYTES / (putMs / 1000)),
    getBytesPerSecond: Math.round(LARGE_BYTES / (getMs / 1000)),
    smallGetMs,
  };
}

/** The median of at most so many runs, in milliseconds. */
async function timed(runs: number, call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  const from = performance.now();
  while (times.length < runs && (times.length === 0 || performance.now() - from < PATIENCE_MS)) {
    const started = performance.now();
    await call();
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}
