import { epochOf } from '../../repository/keys/keys.ts';
import { type Manifest, manifestName, snapshotOf } from '../../repository/manifest.ts';
import { PackCatalog } from '../../repository/packs/packCatalog.ts';
import type { PackChecks } from '../../repository/packs/packChecks.ts';
import { RunPool, runsOf } from '../../repository/packs/packRuns.ts';

/** A pack, as manifests describe it. */
export interface RosterPack {
  session: string;
  number: number;
  salt: string;
  epoch: number;
  sizeBytes: number;
}

/** How much of a snapshot was read back lately. */
export interface SnapshotCoverage {
  snapshot: string;
  database: string;
  repository: string;
  /** Of the bytes of its packs, those that were checked since `since`, in percent with one decimal, rounded down. */
  percent: number;
  /** ISO 8601: when the pack was checked that was not for longest; null where one never was. */
  oldest: string | null;
  /** Packs of it that are known to be damaged. */
  damaged: number;
}

/**
 * The packs of several snapshots, each once, and which snapshot needs which. What bounds memory: 8 bytes a pack, some 300 a
 * session or snapshot, and for each snapshot 2 bytes a run of packs that were stored one after another.
 */
export class PackRoster {
  /** Each pack at a place of its own, in the order in which the snapshots came. */
  readonly packs = new PackCatalog();
  readonly #sessions = new Map<string, { salt: string; epoch: number }>();
  /** By the names of their manifests. */
  readonly #snapshots = new Map<string, { database: string; packs: { start: number; end: number } }>();
  readonly #runs = new RunPool();

  add(manifest: Manifest): void {
    const { database, packs, sessions } = manifest;
    this.packs.addNamed(packs);
    for (const [session, salt] of Object.entries(sessions))
      if (!this.#sessions.has(session))
        this.#sessions.set(session, { salt, epoch: epochOf(manifest, session) });
    const places = packs.map(([session, number]) => this.packs.find(session, number));
    this.#snapshots.set(manifestName(manifest), { database, packs: this.#runs.add(runsOf(places)) });
  }

  pack(place: number): RosterPack {
    const [session, number, sizeBytes] = this.packs.ref(place);
    const { salt, epoch } = this.#sessions.get(session) ?? { salt: '', epoch: 0 };
    return { session, number, salt, epoch, sizeBytes };
  }

  /** Whether the snapshot whose manifest is called so was added. */
  knows(name: string): boolean {
    return this.#snapshots.has(name);
  }

  has(session: string, number: number): boolean {
    return this.packs.find(session, number) !== -1;
  }

  /** Ids of the snapshots that need a pack. */
  needing(session: string, number: number): string[] {
    const place = this.packs.find(session, number);
    if (place === -1) return [];
    const ids: string[] = [];
    for (const [name, { packs }] of this.#snapshots)
      if (Iterator.from(this.#runs.each(packs)).some(each => each === place)) ids.push(snapshotOf(name));
    return ids;
  }

  coverage(repository: string, checks: PackChecks, since: Date): SnapshotCoverage[] {
    const { times, which } = checks.timesOf(this.packs);
    const hurt = new Set(checks.damages().map(({ session, number }) => this.packs.find(session, number)));
    return Array.from(this.#snapshots, ([name, { database, packs }]) => {
      let all = 0;
      let checked = 0;
      let damaged = 0;
      let oldest = times.length;
      for (const place of this.#runs.each(packs)) {
        const sizeBytes = this.packs.sizeBytes(place);
        all += sizeBytes;
        if (times[which[place]!]! >= since.getTime()) checked += sizeBytes;
        oldest = Math.min(oldest, which[place]!);
        if (hurt.has(place)) damaged++;
      }
      const oldestMs = times[oldest] ?? 0;
      return {
        ...{ snapshot: snapshotOf(name), database, repository },
        percent: all === 0 ? 100 : Math.floor((checked / all) * 1000) / 10,
        oldest: oldestMs > 0 ? new Date(oldestMs).toISOString() : null,
        damaged,
      };
    });
  }
}
