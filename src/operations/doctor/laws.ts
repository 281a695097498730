import { AssertionError } from 'node:assert';
import { asTidemarkError, TidemarkError } from '../../base/errors.ts';
import { LAWS } from '../../storage/laws.ts';
import type { Storage } from '../../storage/storage.ts';

/** One law of src/storage/laws.ts, as a storage keeps it. */
export interface LawResult {
  law: string;
  ok: boolean;
  /** Null where it is kept. */
  error: { code: string; message: string; hint: string } | null;
}

/** Laws that make puts with `ifAbsent` what leases rely on. */
export const CONDITIONAL_LAWS = [
  'ifAbsent leaves what is there alone',
  'of many that put the same object with ifAbsent at once, one wins',
] as const satisfies readonly (keyof typeof LAWS)[];

/** Clocks of object storages may be as coarse as a second, those of some disks as two. */
const CLOCK_MS = 2000;
const MESSAGE_LENGTH_MAX = 300;

/**
 * Tries every law, one after the other.
 *
 * @param open gives handles on the same objects, of the place of that name, which is empty at first.
 * @throws what made the storage unavailable: then nothing can be said about laws.
 */
export async function* tryLaws(open: (place: string) => Promise<Storage>): AsyncIterable<LawResult> {
  for (const [i, [law, keeps]] of Object.entries(LAWS).entries()) {
    const place = String(i + 1);
    const storage = await open(place);
    try {
      await keeps({ storage, clockMs: CLOCK_MS, again: () => open(place) });
      yield { law, ok: true, error: null };
    } catch (error) {
      if (error instanceof TidemarkError && (error.retry || error.kind === 'interrupted')) throw error;
      yield { law, ok: false, error: asFault(error) };
    } finally {
      await storage.close();
    }
  }
}

function asFault(error: unknown): NonNullable<LawResult['error']> {
  if (!(error instanceof AssertionError)) return asTidemarkError(error).toJSON();
  const message = error.message.replace(/\s+/g, ' ').trim();
  return {
    code: 'LAW_BROKEN',
    message: message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message,
    hint: 'backups rely on it: use another storage, or another server program in front of it',
  };
}
