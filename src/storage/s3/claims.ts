import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { existing } from '../object.ts';
import type { PutOptions, StoredObject } from '../storage.ts';

/** What claims are made with; names that start with a dot among them. Every call is seen at once by everybody. */
export interface ClaimStore {
  readonly place: string;
  has(name: string): Promise<boolean>;
  put(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void>;
  list(prefix: string): Promise<StoredObject[]>;
  remove(name: string): Promise<void>;
}

const FOLDER = '.tidemark/claims';
/** A claim older than this belongs to a writer that died. */
const ABANDONED_MS = 10 * 60_000;
/** A writer that took longer than this since its claim begins anew: somebody may soon pass over it. */
const USE_MS = ABANDONED_MS / 2;
const LOOKS = 20;
const LOOK_AGAIN_MS = 100;

interface Claim {
  name: string;
  /** By our own clock, which never goes back. */
  madeMs: number;
}

/**
 * Puts an object where there is none, on servers that ignore If-None-Match (docs/format.md, "On S3"). Whoever wants to
 * write puts a claim of its own first and then looks at the claims. Alone, it has the right to write: whoever claims later
 * sees its claim, which stays until the object is there. Among several, the one whose name comes first waits for the
 * others to withdraw, which they do.
 */
export class Claims {
  readonly #store: ClaimStore;
  readonly #lookAgainMs: number;
  /** Claims whose put may have been carried out, or may still be: kept for the next attempt. */
  readonly #kept = new Map<string, Claim>();

  /** @param lookAgainMs for tests, which wait less. */
  constructor(store: ClaimStore, lookAgainMs = LOOK_AGAIN_MS) {
    this.#store = store;
    this.#lookAgainMs = lookAgainMs;
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void> {
    if (await this.#store.has(name)) {
      await this.#withdraw(this.#kept.get(name), name);
      throw existing(name, this.#store.place);
    }
    const claim = await this.#claim(name);
    try {
      await this.#waitForOthers(name, claim);
      // After looking at the claims, since a claim goes when its object is there.
      if (await this.#store.has(name)) throw existing(name, this.#store.place);
    } catch (error) {
      await this.#withdraw(claim, name);
      throw error;
    }
    try {
      await this.#store.put(name, data, options);
    } catch (error) {
      if (!(error instanceof TidemarkError && error.retry)) await this.#withdraw(claim, name);
      else this.#kept.set(name, claim);
      throw error;
    }
    await this.#withdraw(claim, name);
  }

  async #claim(name: string): Promise<Claim> {
    const kept = this.#kept.get(name);
    if (kept && performance.now() - kept.madeMs < USE_MS) return kept;
    const claim = { name: `${folderOf(name)}${randomBytes(12).toString('hex')}`, madeMs: performance.now() };
    await this.#store.put(claim.name, [], {});
    return claim;
  }

  async #waitForOthers(name: string, mine: Claim): Promise<void> {
    for (let look = 1; ; look++) {
      const claims = await this.#store.list(folderOf(name));
      if (performance.now() - mine.madeMs > USE_MS) break;
      const own = claims.find(claim => claim.name === mine.name);
      // Gone, or not seen yet: no right to write in either case.
      if (!own) break;
      const others = claims.filter(
        claim => claim !== own && own.modified.getTime() - claim.modified.getTime() < ABANDONED_MS,
      );
      if (others.length === 0) return;
      if (look === LOOKS || others.some(other => other.name < mine.name)) break;
      await sleep(this.#lookAgainMs);
    }
    throw new TidemarkError(
      'STORAGE_CONTENDED',
      `${name} in ${this.#store.place} is being written by somebody else`,
      'run the command again',
      { retry: {} },
    );
  }

  /** A claim that can't be removed is passed over in time. */
  async #withdraw(claim: Claim | undefined, name: string): Promise<void> {
    if (!claim) return;
    this.#kept.delete(name);
    await this.#store.remove(claim.name).catch(() => {});
  }
}

function folderOf(name: string): string {
  return `${FOLDER}/${name}/`;
}
