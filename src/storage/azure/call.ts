import { TidemarkError } from '../../base/errors.ts';

/** A call is given up when nothing has moved for so long: no byte, no answer. */
export const SILENCE_MS = 60_000;

/** One attempt of a call: what it gives to the SDK, and what it tells when bytes move. */
export interface Attempt {
  signal: AbortSignal;
  alive(): void;
}

/**
 * Carries out a call that ends in any case.
 *
 * @param what the call, for the message: `can't read packs/x in azure://…`.
 * @throws TidemarkError STORAGE_TIMEOUT, to be retried, when nothing has moved for `silenceMs`; else what `run` throws.
 */
export async function attempt<T>(
  what: string,
  silenceMs: number,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    silence.reject(timeout(what, silenceMs));
    controller.abort();
  }, silenceMs);
  try {
    const running = run({ signal: controller.signal, alive: () => timer.refresh() });
    return await Promise.race([running, silence.promise]);
  } catch (error) {
    controller.abort(); // an answer that was not read to its end would hold its connection
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function timeout(what: string, silenceMs: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_TIMEOUT',
    `${what}: nothing moved for ${silenceMs / 1000} s`,
    'check the network, and the proxy if there is one',
    { retry: {} },
  );
}
