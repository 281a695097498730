import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';

/** Attempts a call gets in all. With the waits below, a storage may be away for about two minutes. */
const ATTEMPTS = 8;
/** Attempts that took longer than this together are followed by no other: a storage that says nothing is given up. */
const ATTEMPTS_MS = 110_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A server that says when to come back is believed up to this. */
const LONGEST_WORD_MS = 120_000;

export interface RepeatOptions {
  attempts?: number;
  firstWaitMs?: number;
  signal?: AbortSignal;
  /** Told before each wait. */
  waiting?: (error: TidemarkError, waitMs: number) => void;
}

/**
 * Carries out what may fail for the moment (`error.retry`) until it does well or has been tried often enough. A signal
 * ends the waiting, and forbids no first attempt: whoever was interrupted still has to clean up.
 */
export async function repeated<T>(run: () => Promise<T>, options: RepeatOptions = {}): Promise<T> {
  let spentMs = 0;
  for (let attempt = 1; ; attempt++) {
    const begun = performance.now();
    try {
      return await run();
    } catch (error) {
      spentMs += performance.now() - begun;
      await waitAfter(error, attempt, options, spentMs);
    }
  }
}

/**
 * Waits after a failed attempt, longer each time, at random within the second half of the wait, or as long as the
 * server said. Throws the error where there is to be no other attempt.
 *
 * @param spentMs what the attempts took so far, without the waits between them.
 */
export async function waitAfter(
  error: unknown,
  attempt: number,
  options: RepeatOptions,
  spentMs = 0,
): Promise<void> {
  const { attempts = ATTEMPTS, firstWaitMs = FIRST_WAIT_MS, signal, waiting } = options;
  if (!(error instanceof TidemarkError && error.retry) || attempt >= attempts || spentMs > ATTEMPTS_MS)
    throw error;
  const longest = Math.min(LONGEST_WAIT_MS, firstWaitMs * 2 ** (attempt - 1));
  const own = longest / 2 + (Math.random() * longest) / 2;
  const waitMs = Math.max(own, Math.min(error.retry.afterMs ?? 0, LONGEST_WORD_MS));
  waiting?.(error, waitMs);
  await sleep(waitMs, undefined, { signal });
}
