import { invariant, usageError } from '../../base/errors.ts';
import { unlessMissing } from '../../storage/object.ts';
import { newSessionId, snapshotOf } from '../manifest.ts';
import type { Repository } from '../repository.ts';
import { FORGET_LEASE, readHolds, refuseHeld } from './holds.ts';
import { Lease } from './lease.ts';

const FORGOTTEN_AT_ONCE = 16;

/**
 * Forgets snapshots, never one that is held. Its lease tells whoever places a hold that it is at work: they wait until it
 * has ended, and see then what has become of the snapshot. docs/recovery.md, "Holds".
 */
export class Forgetting {
  readonly #repository: Repository;
  readonly #lease: Lease;

  private constructor(repository: Repository, lease: Lease) {
    this.#repository = repository;
    this.#lease = lease;
  }

  static async begin(repository: Repository): Promise<Forgetting> {
    const { storage } = repository;
    const lease = await Lease.take(storage, newSessionId(await storage.now()), FORGET_LEASE);
    return new Forgetting(repository, lease);
  }

  /**
   * Ends a snapshot's existence; its packs stay until they are collected. One that somebody else has forgotten meanwhile
   * is no error. Throws SNAPSHOT_HELD, SNAPSHOT_LOCKED, and LEASE_LOST where the machine slept for so long that a hold may have come.
   *
   * @param name of its manifest.
   */
  async forget(name: string): Promise<void> {
    await this.#lease.hold();
    await this.#forget(name);
  }

  /**
   * The same for several at once. All have ended when it returns or throws: what one of them threw, the others forgotten.
   *
   * @returns those that are held, and stay.
   */
  async forgetUnlessHeld(names: readonly string[]): Promise<string[]> {
    await this.#lease.hold();
    const ended = await Promise.allSettled(names.map(name => this.#forget(name)));
    const reasons = ended.map(each => (each.status === 'rejected' ? each.reason : undefined));
    const isHeld = (error: unknown) => (error as { code?: string })?.code === 'SNAPSHOT_HELD';
    for (const reason of reasons) if (reason !== undefined && !isHeld(reason)) throw reason;
    return names.filter((_, i) => isHeld(reasons[i]));
  }

  async #forget(name: string): Promise<void> {
    const { storage } = this.#repository;
    const snapshot = snapshotOf(name);
    const holds = await readHolds(this.#repository, await storage.now(), snapshot);
    refuseHeld(snapshot, holds.get(snapshot), storage.place);
    await refuseLocked(this.#repository, name);
    await this.#repository.forget(name, () => this.#lease.confirm()).catch(unlessMissing);
  }

  /**
   * Forgets a damaged manifest of a snapshot whose other one, `by`, is there and whole. A hold is on the snapshot, which
   * goes on existing, and so does not stand in the way. Throws SNAPSHOT_LOCKED, LEASE_LOST as `forget`, and SNAPSHOT_GONE
   * where the other one is not there any more.
   */
  async replace(name: string, by: string): Promise<void> {
    await this.#lease.hold();
    const { storage } = this.#repository;
    invariant(snapshotOf(name) === snapshotOf(by) && name !== by, `${by} is not another manifest of ${name}`);
    await refuseLocked(this.#repository, name);
    await this.#repository.forget(name, async () => {
      await this.#lease.confirm();
      if (await storage.stat(`snapshots/${by}`)) return;
      throw usageError(
        'SNAPSHOT_GONE',
        `snapshots/${by} in ${storage.place} was forgotten meanwhile`,
        'run the command again',
      );
    });
  }

  async end(): Promise<void> {
    await this.#lease.release();
  }
}

/** Until when an object lock keeps a snapshot's manifest, by the storage's clock; undefined where none does. */
export async function lockedUntil({ storage }: Repository, name: string): Promise<Date | undefined> {
  const until = await storage.locks?.until(`snapshots/${name}`);
  return until && until > (await storage.now()) ? until : undefined;
}

/** Throws SNAPSHOT_LOCKED where an object lock keeps a snapshot's manifest. */
export async function refuseLocked(repository: Repository, name: string): Promise<void> {
  const until = await lockedUntil(repository, name);
  if (!until) return;
  throw usageError(
    'SNAPSHOT_LOCKED',
    `snapshot ${snapshotOf(name)} in ${repository.storage.place} is locked until ${until.toISOString()}`,
    'wait until the lock expires; a governance lock can also be removed by an account with s3:BypassGovernanceRetention (on Azure, one that may change immutability policies)',
  );
}

/**
 * Forgets snapshots, by the names of their manifests, unless they are held.
 *
 * @param before called before every few of them; what it throws ends the whole.
 * @returns those that are held, and stay.
 */
export async function forgetUnlessHeld(
  repository: Repository,
  names: readonly string[],
  before: () => Promise<void> = async () => {},
): Promise<string[]> {
  const held: string[] = [];
  if (names.length === 0) return held;
  const forgetting = await Forgetting.begin(repository);
  try {
    for (let from = 0; from < names.length; from += FORGOTTEN_AT_ONCE) {
      await before();
      held.push(...(await forgetting.forgetUnlessHeld(names.slice(from, from + FORGOTTEN_AT_ONCE))));
    }
  } finally {
    await forgetting.end();
  }
  return held;
}
