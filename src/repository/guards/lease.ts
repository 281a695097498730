import { randomBytes } from 'node:crypto';
import { TidemarkError } from '../../base/errors.ts';
import { holds, unlessMissing } from '../../storage/object.ts';
import type { Storage } from '../../storage/storage.ts';
import { listOwn } from '../format/objectNames.ts';
import { SESSION_ID } from '../manifest.ts';

/** A lease that was not renewed for this long, by the storage's clock, belongs to nobody. */
export const LEASE_TTL_MS = 30 * 60 * 1000;
const RENEW_MS = 5 * 60 * 1000;
/** What one does at a time, and the name under which those who want to take turns: `leases/prune/<number>`. */
const EXCLUSIVE = {
  prune: { code: 'PRUNE_RUNNING', what: 'another prune is at work' },
  keys: { code: 'KEYS_BUSY', what: 'somebody else is changing the keys' },
} as const;
/** Kinds of leases of what frees space: they are had on a full disk too. */
const FREEING: ReadonlySet<string> = new Set(['prune', 'forget']);
type Exclusive = keyof typeof EXCLUSIVE;

export interface LiveLease {
  session: string;
  /** When it was first and last written, by the storage's clock. */
  since: Date;
  renewed: Date;
  /** Its last object. */
  object: string;
}

/**
 * Says in the repository that an operation is running, so that nothing it relies on is collected. Renewed by writing
 * another object, since no object is ever changed. All times are the storage's: a machine that sleeps stops its own
 * clock, the storage's goes on. Once there was a gap longer than LEASE_TTL_MS the lease is lost for good, however well
 * it was renewed after.
 */
export class Lease {
  readonly #storage: Storage;
  readonly #session: string;
  readonly #body: Buffer;
  readonly #exclusive: boolean;
  readonly #freesSpace: boolean;
  #number: number;
  readonly #first: number;
  /** Not later than the storage has the last renewal. */
  #renewed: Date | undefined;
  #lost = false;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(storage: Storage, session: string, kind: string, after?: number) {
    this.#storage = storage;
    this.#session = session;
    this.#exclusive = after !== undefined;
    this.#freesSpace = FREEING.has(kind);
    this.#number = after ?? 0;
    this.#first = this.#number + 1;
    this.#body = Buffer.from(JSON.stringify({ session, kind, holder: randomBytes(8).toString('hex') }));
  }

  /** The lease of one session, which nobody else writes. */
  static async take(storage: Storage, session: string, kind: string): Promise<Lease> {
    const lease = new Lease(storage, session, kind);
    await lease.#renew();
    lease.#keep();
    return lease;
  }

  /**
   * The right to collect, which one has at a time; PRUNE_RUNNING while somebody else has it. Whoever writes the number
   * after the highest has it; the highest belongs to nobody once it is older than LEASE_TTL_MS. (docs/recovery.md says
   * why nothing is lost even where two should have it.)
   */
  static takePrune(storage: Storage): Promise<Lease> {
    return Lease.#takeExclusive(storage, 'prune');
  }

  /** The right to change the slots of keys, in the same way; KEYS_BUSY while somebody else has it. */
  static takeKeys(storage: Storage): Promise<Lease> {
    return Lease.#takeExclusive(storage, 'keys');
  }

  static async #takeExclusive(storage: Storage, name: Exclusive): Promise<Lease> {
    const now = await storage.now();
    const highest = await highestOf(storage, name);
    if (highest && now.getTime() - highest.modified.getTime() <= LEASE_TTL_MS)
      throw busy(storage, name, highest.modified);
    const lease = new Lease(storage, name, name, highest?.number ?? 0);
    try {
      await lease.#renew();
    } catch (error) {
      if ((error as TidemarkError).code !== 'LEASE_LOST') throw error;
      throw busy(storage, name, now);
    }
    // Whoever looked before others began and writes only now finds what they have written meanwhile.
    const after = await highestOf(storage, name);
    if (after?.number !== lease.#first) {
      await storage.remove(leaseName(name, lease.#first));
      throw busy(storage, name, after?.modified ?? now);
    }
    for await (const object of listOwn(storage, `leases/${name}/`))
      if (numberOf(object.name) < lease.#first) await storage.remove(object.name);
    lease.#keep();
    return lease;
  }

  #keep(): void {
    this.#timer = setInterval(() => {
      this.#queue().catch(() => {}); // judged by `hold`, which knows when the last one succeeded
    }, RENEW_MS);
    this.#timer.unref();
  }

  /** Renews after a renewal that is under way. */
  #queue(): Promise<void> {
    const next = this.#renewing.catch(() => {}).then(() => this.#renew());
    this.#renewing = next;
    return next;
  }

  async #renew(): Promise<void> {
    if (this.#lost) return;
    const number = this.#number + 1;
    const name = leaseName(this.#session, number);
    const before = await this.#storage.now();
    if (this.#exclusive) await this.#putFirst(name);
    else await this.#storage.put(name, [this.#body], { freesSpace: this.#freesSpace });
    this.#number = number;
    // Only now is the renewal to be seen; whoever looked before went by the one before.
    await this.#mustBeHeld();
    this.#renewed = before;
    // The first stays: it says since when. Those in between are of no more use.
    if (number - 1 > this.#first) await this.#storage.remove(leaseName(this.#session, number - 1));
  }

  /** Under a number that only one may have. A repeated put may meet what it wrote itself. */
  async #putFirst(name: string): Promise<void> {
    try {
      await this.#storage.put(name, [this.#body], { ifAbsent: true, freesSpace: this.#freesSpace });
    } catch (error) {
      if ((error as TidemarkError).code !== 'OBJECT_EXISTS') throw error;
      if (await holds(this.#storage, name, [this.#body])) return;
      this.#lost = true;
      throw leaseLost();
    }
  }

  async #mustBeHeld(): Promise<void> {
    const renewed = this.#renewed;
    if (renewed && (await this.#storage.now()).getTime() - renewed.getTime() > LEASE_TTL_MS)
      this.#lost = true;
    if (this.#lost) throw leaseLost();
  }

  /** Renews; throws LEASE_LOST if there ever was a gap: then what the operation relied on may be gone. */
  async hold(): Promise<void> {
    await this.#queue();
    if (this.#lost) throw leaseLost();
  }

  /**
   * To be called after what the lease was for has been written: throws LEASE_LOST if that came so long after the last
   * renewal that a collection may have taken place without seeing either.
   */
  async confirm(): Promise<void> {
    await this.#renewing.catch(() => {});
    await this.#mustBeHeld();
  }

  /** What can't be removed ends by itself, so this never fails: the operation is over, well or not. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing.catch(() => {});
    try {
      for await (const object of listOwn(this.#storage, `leases/${this.#session}/`)) {
        const number = numberOf(object.name);
        // The numbers of collections go on from one holder to the next.
        if (!this.#exclusive || (number >= this.#first && number <= this.#number))
          await this.#storage.remove(object.name);
      }
    } catch {}
  }
}

/**
 * Leases of running operations (those that one has at a time apart, which protect no packs), and the names of objects of those that ended
 * without being released.
 */
export async function readLeases(
  storage: Storage,
  now: Date,
): Promise<{ live: LiveLease[]; dead: string[] }> {
  const found = new Map<string, Omit<LiveLease, 'session'> & { names: string[] }>();
  for await (const object of listOwn(storage, 'leases/')) {
    const session = object.name.split('/')[1]!;
    if (Object.hasOwn(EXCLUSIVE, session)) continue;
    const { name, modified } = object;
    const lease = found.get(session);
    if (!lease) found.set(session, { names: [name], since: modified, renewed: modified, object: name });
    else {
      lease.names.push(name);
      if (modified < lease.since) lease.since = modified;
      if (modified > lease.renewed) lease.renewed = modified;
      if (name > lease.object) lease.object = name;
    }
  }
  const live: LiveLease[] = [];
  const dead: string[] = [];
  for (const [session, { names, ...lease }] of found) {
    if (now.getTime() - lease.renewed.getTime() > LEASE_TTL_MS) dead.push(...names);
    else live.push({ session, ...lease });
  }
  return { live, dead };
}

/** Sessions of the running operations of one kind, and of those whose lease does not say: it may be changing just now. */
export async function runningSessions(storage: Storage, kind: string): Promise<string[]> {
  const { live } = await readLeases(storage, await storage.now());
  const sessions: string[] = [];
  for (const { session, object } of live) {
    if (!SESSION_ID.test(session)) continue;
    const body = await storage.get(object).catch(unlessMissing);
    if (body === undefined || (kindOf(body) ?? kind) === kind) sessions.push(session);
  }
  return sessions;
}

/** Null where a lease does not say. */
function kindOf(body: Buffer): string | null {
  try {
    return (JSON.parse(body.toString('utf8')) as { kind?: string }).kind ?? null;
  } catch {
    return null;
  }
}

async function highestOf(
  storage: Storage,
  name: Exclusive,
): Promise<{ number: number; modified: Date } | undefined> {
  let highest: { number: number; modified: Date } | undefined;
  for await (const object of listOwn(storage, `leases/${name}/`)) {
    const number = numberOf(object.name);
    if (number > (highest?.number ?? 0)) highest = { number, modified: object.modified };
  }
  return highest;
}

function leaseName(session: string, number: number): string {
  return `leases/${session}/${String(number).padStart(6, '0')}`;
}

const numberOf = (name: string): number => Number(name.split('/')[2]);

function leaseLost(): TidemarkError {
  return new TidemarkError(
    'LEASE_LOST',
    'this run was suspended or lost its storage for longer than its lease (30 min), so its work was discarded',
    'run the command again; other snapshots are not affected',
  );
}

function busy(storage: Storage, name: Exclusive, since: Date): TidemarkError {
  const { code, what } = EXCLUSIVE[name];
  return new TidemarkError(
    code,
    `${what} in ${storage.place}`,
    `wait until it has ended; if it was killed, its lease ends at ${new Date(since.getTime() + LEASE_TTL_MS).toISOString()}`,
  );
}
