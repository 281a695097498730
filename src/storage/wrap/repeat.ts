import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';

/** Attempts a call gets in all. With the waits below, a storage may be away for about two minutes. */
const ATTEMPTS = 8;
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
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      await waitAfter(error, attempt, options);
    }
  }
}

/**
 * Waits after a failed attempt, longer each time, at random within the second half of the wait, or as long as the
 * server said. Throws the error where there is to be no other attempt.
 */
export async function waitAfter(error: unknown, attempt: number, options: RepeatOptions): Promise<void> {
  const { attempts = ATTEMPTS, firstWaitMs = FIRST_WAIT_MS, signal, waiting } = options;
  if (!(error instanceof TidemarkError && error.retry) || attempt >= attempts) throw error;
  const longest = Math.min(LONGEST_WAIT_MS, firstWaitMs * 2 ** (attempt - 1));
  const own = longest / 2 + (Math.random() * longest) / 2;
  const waitMs = Math.max(own, Math.min(error.retry.afterMs ?? 0, LONGEST_WORD_MS));
  waiting?.(error, waitMs);
  await sleep(waitMs, undefined, { signal });
}
