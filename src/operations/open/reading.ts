import { TidemarkError } from '../../base/errors.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { newSessionId } from '../../repository/manifest.ts';
import type { Repository } from '../../repository/repository.ts';

/**
 * Says in a repository that something is being read, for as long as that takes: what a snapshot needs that is read after
 * this began stays, even if the snapshot is forgotten meanwhile (docs/recovery.md, "Collection"). Whoever may only read
 * can't say so; then what is forgotten stays for the grace, and a note tells.
 */
export class Reading {
  readonly #lease: Lease | undefined;

  private constructor(lease: Lease | undefined) {
    this.#lease = lease;
  }

  static async begin({ storage }: Repository, note: (line: string) => void): Promise<Reading> {
    try {
      return new Reading(await Lease.take(storage, newSessionId(await storage.now()), 'read'));
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      note(
        `${storage.place} can't be told that it is being read: ${error.message} [${error.code}]; ` +
          'a snapshot that is forgotten meanwhile stays readable for 24 hours',
      );
      return new Reading(undefined);
    }
  }

  /** Never fails. */
  async end(): Promise<void> {
    await this.#lease?.release();
  }
}

export async function whileReading<T>(
  repository: Repository,
  note: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const reading = await Reading.begin(repository, note);
  try {
    return await work();
  } finally {
    await reading.end();
  }
}
