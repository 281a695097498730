/**
 * Collection: frees packs that no snapshot needs, in two phases, GRACE_MS apart. docs/recovery.md ("Collection") has the
 * rules and why they suffice. A plan is made from what was read once and changes nothing; carrying it out late, twice, or
 * half is safe.
 */
import type { CondemnedRecord, Holdings, PackRef, RecordContent } from './holdings.ts';
import { packName } from './keys.ts';
import type { Lease } from './lease.ts';
import { type Manifest, newSessionId } from './manifest.ts';
import type { Repository } from './repository.ts';

/** From being condemned to being deleted, at the least, by the storage's clock. */
export const GRACE_MS = 24 * 3600 * 1000;
/** Removals under way at once. */
const REMOVALS_MAX = 8;

export interface Amount {
  packs: number;
  bytes: number;
}

export interface CollectionPlan {
  /** Packs that are needed no more and will be condemned. */
  condemn: PackRef[];
  /** For their record. */
  settled: string[];
  /** Packs condemned long enough ago, to be deleted. */
  free: PackRef[];
  /** Packs that were condemned before and wait. `until` is when the last may go; `for` the running backups it waits for. */
  waiting: Amount & { until: Date | null; for: string[] };
  forgotten: string[];
  records: string[];
  leases: string[];
}

/** `forgetting`: snapshots to be treated as if they had just been forgotten. */
export function planCollection(
  holdings: Holdings,
  forgetting: ReadonlySet<string> = new Set(),
): CollectionPlan {
  return new Collector(holdings, forgetting).plan();
}

class Collector {
  readonly #holdings: Holdings;
  readonly #needed = new Set<string>();
  readonly #running: Set<string>;
  /** Forgotten snapshots that name a pack. */
  readonly #namedBy = new Map<string, string[]>();
  /** Of which nobody knows what they name. */
  readonly #unreadable: string[] = [];
  readonly #condemned = new Set<string>();
  readonly #free = new Map<string, PackRef>();
  readonly #done: CondemnedRecord[] = [];
  #until = 0;
  readonly #waitingFor = new Set<string>();

  constructor(holdings: Holdings, forgetting: ReadonlySet<string>) {
    this.#holdings = holdings;
    this.#running = new Set(holdings.live.map(lease => lease.session));
    for (const [id, manifest] of holdings.snapshots) {
      if (forgetting.has(id)) this.#addForgotten(id, manifest);
      else for (const pack of manifest.packs) this.#needed.add(nameOf(pack));
    }
    for (const [id, manifest] of holdings.forgotten) {
      // One whose forgetting was cut short is still a snapshot.
      if (manifest === null) this.#unreadable.push(id);
      else if (!holdings.snapshots.has(id)) this.#addForgotten(id, manifest);
    }
  }

  #addForgotten(id: string, manifest: Manifest): void {
    for (const pack of manifest.packs) {
      const name = nameOf(pack);
      const known = this.#namedBy.get(name);
      if (known) known.push(id);
      else this.#namedBy.set(name, [id]);
    }
  }

  plan(): CollectionPlan {
    const { packs, condemned, deadLeases } = this.#holdings;
    for (const record of condemned) this.#judge(record);
    const condemn: PackRef[] = [];
    for (const [name, sizeBytes] of packs) {
      if (!this.#isNeeded(name) && !this.#condemned.has(name)) condemn.push(refOf(name, sizeBytes));
    }
    const waiting = [...this.#condemned].filter(name => !this.#free.has(name));
    const bytes = waiting.reduce((sum, name) => sum + packs.get(name)!, 0);
    return {
      condemn: condemn.sort(byName),
      settled: this.#settledFor(condemn),
      free: [...this.#free.values()].sort(byName),
      waiting: {
        packs: waiting.length,
        bytes,
        until: waiting.length > 0 ? new Date(this.#until) : null,
        for: [...this.#waitingFor].sort(),
      },
      forgotten: this.#removableForgotten(condemn.length > 0),
      records: this.#done.map(record => record.id),
      leases: deadLeases,
    };
  }

  #isNeeded(name: string): boolean {
    return this.#needed.has(name) || this.#running.has(name.slice(0, name.indexOf('/')));
  }

  /** Packs of a record that still stand condemned; those due to go; and whether the record is of no more use. */
  #judge(record: CondemnedRecord): void {
    const { packs, live, readAt } = this.#holdings;
    const due = readAt.getTime() - record.since.getTime() >= GRACE_MS;
    const blocking = live.filter(lease => lease.since <= record.since);
    const revived = this.#revivals(record);
    const standing = record.packs.filter(pack => {
      const name = nameOf(pack);
      return packs.has(name) && !this.#isNeeded(name) && !revived(name);
    });
    const goes = due && blocking.length === 0;
    for (const [session, number] of standing) {
      const name = packName(session, number);
      this.#condemned.add(name);
      if (goes) this.#free.set(name, refOf(name, packs.get(name)!));
    }
    if (goes || !record.packs.some(pack => packs.has(nameOf(pack)))) this.#done.push(record);
    else if (standing.length > 0) {
      this.#until = Math.max(this.#until, record.since.getTime() + GRACE_MS);
      for (const lease of blocking) this.#waitingFor.add(lease.session);
    }
  }

  /**
   * Whether a pack was needed again after it was condemned, by a snapshot that has been forgotten since: a backup may be
   * running that began after the condemnation and found the pack through that snapshot.
   */
  #revivals(record: CondemnedRecord): (name: string) => boolean {
    const settled = new Set(record.settled);
    if (this.#unreadable.some(id => !settled.has(id))) return () => true;
    return name => this.#namedBy.get(name)?.some(id => !settled.has(id)) ?? false;
  }

  #settledFor(condemn: PackRef[]): string[] {
    const ids = new Set(this.#unreadable);
    for (const pack of condemn) for (const id of this.#namedBy.get(nameOf(pack)) ?? []) ids.add(id);
    return [...ids].filter(id => this.#holdings.settled.has(id)).sort();
  }

  /** Forgotten manifests that tell nothing any more about a pack that is condemned or could be. */
  #removableForgotten(condemning: boolean): string[] {
    const { snapshots, forgotten, settled, condemned, packs } = this.#holdings;
    const remaining = condemned.filter(record => !this.#done.includes(record));
    const recorded = new Set(remaining.flatMap(record => record.packs.map(nameOf)));
    const quiet = !condemning && remaining.length === 0;
    const tellsNothing = (manifest: Manifest) =>
      manifest.packs.map(nameOf).every(name => {
        if (!packs.has(name) || this.#free.has(name)) return true;
        return this.#isNeeded(name) && !recorded.has(name);
      });
    return [...forgotten].flatMap(([id, manifest]) => {
      if (snapshots.has(id) || !settled.has(id)) return [];
      return (manifest === null ? quiet : tellsNothing(manifest)) ? [id] : [];
    });
  }
}

/**
 * Carries a plan out: condemns first, deletes packs, then the forgotten manifests and records that spoke of them. May be
 * stopped anywhere; the next plan goes on from there. Throws LEASE_LOST if somebody else took over.
 */
export async function collect(
  repository: Repository,
  plan: CollectionPlan,
  lease: Lease,
  signal?: AbortSignal,
): Promise<void> {
  const { storage, keys } = repository;
  if (plan.condemn.length > 0) {
    const name = `condemned/${newSessionId(await storage.now())}`;
    const content: RecordContent = { format: 1, packs: plan.condemn, settled: plan.settled };
    await storage.put(name, [keys.seal(name, content)], { ifAbsent: true });
  }
  for (const names of [
    plan.free.map(pack => `packs/${nameOf(pack)}`),
    plan.forgotten.map(id => `forgotten/${id}`),
    plan.records.map(id => `condemned/${id}`),
    plan.leases,
  ]) {
    if (names.length === 0) continue;
    await lease.hold();
    await removeAll(repository, names, signal);
  }
}

async function removeAll(repository: Repository, names: string[], signal?: AbortSignal): Promise<void> {
  const queue = names.values();
  const remover = async () => {
    for (const name of queue) {
      signal?.throwIfAborted();
      await repository.storage.remove(name);
    }
  };
  await Promise.all(Array.from({ length: Math.min(REMOVALS_MAX, names.length) }, remover));
}

export function amount(packs: readonly PackRef[]): Amount {
  return { packs: packs.length, bytes: packs.reduce((sum, pack) => sum + pack[2], 0) };
}

const nameOf = (pack: PackRef): string => packName(pack[0], pack[1]);

function refOf(name: string, sizeBytes: number): PackRef {
  const [session, number] = name.split('/');
  return [session!, Number(number), sizeBytes];
}

function byName(a: PackRef, b: PackRef): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] - b[1];
}
