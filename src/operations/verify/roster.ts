import { packName } from '../../repository/keys.ts';
import { type Manifest, manifestName } from '../../repository/manifest.ts';
import type { PackChecks } from '../../repository/packChecks.ts';

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

/** The packs of several snapshots, each once, and which snapshot needs which: 4 bytes for each that it names. */
export class PackRoster {
  readonly packs: RosterPack[] = [];
  readonly #index = new Map<string, number>();
  readonly #names = new Set<string>();
  readonly #snapshots: { snapshot: string; database: string; packs: Int32Array }[] = [];

  add(manifest: Manifest): void {
    const packs = manifest.packs.map(([session, number, sizeBytes]) => {
      const name = packName(session, number);
      const known = this.#index.get(name);
      if (known !== undefined) return known;
      const salt = manifest.sessions[session] ?? '';
      const epoch = manifest.epochs?.[session] ?? 0;
      this.#index.set(name, this.packs.length);
      return this.packs.push({ session, number, salt, epoch, sizeBytes }) - 1;
    });
    const { snapshot, database } = manifest;
    this.#names.add(manifestName(manifest));
    this.#snapshots.push({ snapshot, database, packs: Int32Array.from(packs) });
  }

  /** Whether the snapshot whose manifest is called so was added. */
  knows(name: string): boolean {
    return this.#names.has(name);
  }

  has(session: string, number: number): boolean {
    return this.#index.has(packName(session, number));
  }

  /** Ids of the snapshots that need a pack. */
  needing(session: string, number: number): string[] {
    const index = this.#index.get(packName(session, number));
    if (index === undefined) return [];
    return this.#snapshots.flatMap(({ snapshot, packs }) => (packs.includes(index) ? snapshot : []));
  }

  coverage(repository: string, checks: PackChecks, since: Date): SnapshotCoverage[] {
    const times = Float64Array.from(this.packs, each => checks.checkedMs(each.session, each.number));
    const damaged = this.packs.map(each => checks.damage(each.session, each.number) !== undefined);
    return this.#snapshots.map(({ snapshot, database, packs }) => {
      let all = 0;
      let checked = 0;
      let oldestMs = Number.POSITIVE_INFINITY;
      for (const index of packs) {
        const { sizeBytes } = this.packs[index]!;
        all += sizeBytes;
        if (times[index]! >= since.getTime()) checked += sizeBytes;
        oldestMs = Math.min(oldestMs, times[index]!);
      }
      return {
        ...{ snapshot, database, repository },
        percent: all === 0 ? 100 : Math.floor((checked / all) * 1000) / 10,
        oldest: Number.isFinite(oldestMs) && oldestMs > 0 ? new Date(oldestMs).toISOString() : null,
        damaged: packs.reduce((sum, index) => sum + (damaged[index] ? 1 : 0), 0),
      };
    });
  }
}
