import { invariant, type TidemarkError } from '../../base/errors.ts';
import { packName } from '../format/packName.ts';
import { Lease } from '../guards/lease.ts';
import { type Manifest, manifestName, newSessionId } from '../manifest.ts';
import type { Repository } from '../repository.ts';
import { revisionName } from '../revisions.ts';
import { putOptions } from '../storagePolicy.ts';
import { type Announced, announce, withdraw } from './compactions.ts';

/** Revisions written between two looks at the leases. */
export const REVISIONS_AT_ONCE = 8;

/** A manifest with new places, and the one it comes after. */
export interface Revision {
  before: Manifest;
  /** What differs. */
  after: Pick<Manifest, 'sessions' | 'epochs' | 'packs' | 'usage' | 'streams' | 'counts'>;
  number: number;
}

/**
 * A session that writes manifests anew, which two leases and an announcement guard (docs/recovery.md, "Compaction"): it holds
 * the lease of the session and says which revisions may come, before the first is written; and withdraws that after the last.
 * Where it fails or is killed the announcement stays, and whoever collects next ends it.
 */
export class RevisionRound {
  /** The session's id. */
  readonly id: string;
  readonly #repository: Repository;
  readonly #leases: readonly Lease[];
  #announced = false;

  private constructor(repository: Repository, id: string, leases: readonly Lease[]) {
    this.#repository = repository;
    this.id = id;
    this.#leases = leases;
  }

  /**
   * Does the work of one round.
   *
   * @param prune the right to collect.
   * @param id of the session, where it has one already.
   */
  static async run<T>(
    repository: Repository,
    kind: 'compaction' | 'repair',
    prune: Lease,
    work: (round: RevisionRound) => Promise<T>,
    id?: string,
  ): Promise<T> {
    const { storage } = repository;
    const session = id ?? newSessionId(await storage.now());
    const lease = await Lease.take(storage, session, kind);
    try {
      const round = new RevisionRound(repository, session, [prune, lease]);
      const result = await work(round);
      if (round.#announced) await withdraw(repository, session);
      return result;
    } finally {
      await lease.release();
    }
  }

  /** Says once, before anything is written, which revisions may be. */
  async announce(revisions: Announced): Promise<void> {
    await announce(this.#repository, this.id, revisions);
    this.#announced = true;
  }

  /**
   * Writes revisions that were announced, and of which everything is stored. LEASE_LOST where a lease isn't held any more:
   * then the rest is not written.
   *
   * @returns names of the manifests that were revised; one that somebody else has revised meanwhile is left.
   */
  async write(revisions: readonly Revision[]): Promise<string[]> {
    invariant(this.#announced, 'revisions are announced before they are written');
    const names: string[] = [];
    for (let from = 0; from < revisions.length; from += REVISIONS_AT_ONCE) {
      const some = revisions.slice(from, from + REVISIONS_AT_ONCE);
      const at = (await this.#repository.storage.now()).toISOString();
      for (const lease of this.#leases) await lease.hold();
      const written = await Promise.all(some.map(each => write(this.#repository, this.id, each, at)));
      names.push(...written.flatMap(name => name ?? []));
    }
    return names;
  }
}

async function write(
  { storage, keys, policy }: Repository,
  session: string,
  { before, after, number }: Revision,
  at: string,
): Promise<string | undefined> {
  const name = manifestName(before);
  const object = revisionName(name, number);
  const { epochs: _, ...said } = before;
  const manifest: Manifest = {
    ...said,
    ...after,
    revised: { number, session, at, dropped: dropped(before, after) },
  };
  try {
    const sealed = keys.seal(object, manifest);
    await storage.put(object, [sealed], { ...putOptions(policy, 'any'), ifAbsent: true });
    return name;
  } catch (error) {
    if ((error as TidemarkError).code === 'OBJECT_EXISTS') return undefined;
    throw error;
  }
}

function dropped(before: Pick<Manifest, 'packs'>, after: Pick<Manifest, 'packs'>): [string, number][] {
  const names = new Set(after.packs.map(([session, number]) => packName(session, number)));
  return before.packs.flatMap(([session, number]) =>
    names.has(packName(session, number)) ? [] : [[session, number]],
  );
}
