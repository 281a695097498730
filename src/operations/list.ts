import { failureOf, type TidemarkError } from '../base/errors.ts';
import { Interned } from '../base/interned.ts';
import { logicalFacts } from '../capture/logical/part.ts';
import { isAhead } from '../repository/clock.ts';
import { type Hold, readHolds } from '../repository/guards/holds.ts';
import { type Manifest, snapshotOf } from '../repository/manifest.ts';
import { missingPacks, newestFirst, type PackSizes } from '../repository/newest.ts';
import { PackChecks } from '../repository/packs/packChecks.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { openPlaces, type RepositoryFailure } from './open/snapshots.ts';
import { partOf } from './open/wholeness.ts';

/** A snapshot, and the repositories that have it: no more of its manifest than is shown, since there may be 100,000. */
export interface ListedSnapshot {
  snapshot: string;
  database: string;
  /** Nearest first; the sizes are those in the first of them. */
  repositories: string[];
  plan: string | null;
  /** Why it is not meant where only the database is named, such as `safety snapshot`; null: it is a whole one. */
  part: string | null;
  kind: Manifest['kind'];
  started: string;
  finished: string;
  tables: number;
  rows: number;
  bytesRead: number;
  bytesAdded: number;
  /**
   * Those of them in which packs that it needs were found damaged, or, of the newest LOOKED_AT there, are missing or have
   * another size.
   */
  damagedIn: string[];
  /** It says to begin later than it is now by the storage's clock: the clock of its machine was wrong. */
  ahead: boolean;
  /** In any of them. */
  holds: (Hold & { repository: string })[];
}

export interface ListOptions {
  /** Only there. */
  repository?: string;
  /** Only of this database. */
  database?: string;
  /** Only the newest so many. */
  last?: number;
}

/** Snapshots of a database whose packs are looked for, in each repository. */
const LOOKED_AT = 10;
/** The same over all databases: what a list asks for does not grow with them. */
const LOOKED_AT_ALL = 50;

/**
 * The snapshots of all repositories, oldest first, each read once, the newest of each repository in each; with `last`, no further back than it takes. What can't be
 * read does not hide the rest.
 */
export async function listSnapshots(
  strategy: Strategy,
  options: ListOptions,
): Promise<{ snapshots: ListedSnapshot[]; failures: RepositoryFailure[] }> {
  const { places, failures } = await openPlaces(strategy, options.repository);
  const listing = new Listing(options);
  for (const { name, repository } of places) {
    const failed = (snapshot: string | null, error: unknown) =>
      failures.push({ repository: name, snapshot, error: failureOf(error) });
    try {
      const damaged = (each: string, error: TidemarkError) => failed(snapshotOf(each), error);
      await listing.add(name, repository, damaged);
      await listing.look(name, repository, damaged);
    } catch (error) {
      failed(null, error);
    }
  }
  return { snapshots: listing.snapshots, failures };
}

class Listing {
  readonly #options: ListOptions;
  /** By id; null for those that are not wanted. */
  readonly #found = new Map<string, ListedSnapshot | null>();
  readonly #newest: NewestIds;
  readonly #texts = new Interned<string>();

  constructor(options: ListOptions) {
    this.#options = options;
    this.#newest = new NewestIds(options.last ?? Number.POSITIVE_INFINITY);
  }

  get snapshots(): ListedSnapshot[] {
    const wanted = [...this.#found.values()].filter(
      each => each !== null && !this.#newest.isPast(each.snapshot),
    );
    return (wanted as ListedSnapshot[]).sort((a, b) => (a.snapshot < b.snapshot ? -1 : 1));
  }

  async add(
    name: string,
    repository: Repository,
    damaged: (name: string, error: TidemarkError) => void,
  ): Promise<void> {
    const checks = await PackChecks.read(repository);
    const unread = this.#unread(name, await repository.snapshotNames(), checks);
    const bounded = this.#options.last !== undefined;
    const reading = bounded
      ? newestFirst(repository, { names: unread, damaged })
      : repository.read(unread, { damaged });
    for await (const manifest of reading) {
      if (bounded && this.#newest.isPast(manifest.snapshot)) break;
      const known = this.#enter(name, manifest);
      if (known && checks.hurting(manifest).length > 0) known.damagedIn.push(name);
    }
    const now = await repository.storage.now().catch(() => new Date());
    for (const found of this.#found.values()) if (found && isAhead(found.snapshot, now)) found.ahead = true;
    for (const [snapshot, holds] of await readHolds(repository, now))
      this.#found.get(snapshot)?.holds.push(...holds.map(hold => ({ ...hold, repository: name })));
  }

  /** Opens the newest manifests there, whichever repository they were read in, and looks for their packs. */
  async look(
    name: string,
    repository: Repository,
    damaged: (name: string, error: TidemarkError) => void,
  ): Promise<void> {
    const wanted = new Set<string>();
    const byDatabase = new Map<string, number>();
    for (const { snapshot, database, repositories } of this.snapshots.reverse()) {
      const count = byDatabase.get(database) ?? 0;
      if (wanted.size === LOOKED_AT_ALL) break;
      if (count === LOOKED_AT || !repositories.includes(name)) continue;
      byDatabase.set(database, count + 1);
      wanted.add(snapshot);
    }
    const names = (await repository.snapshotNames()).filter(each => wanted.has(snapshotOf(each)));
    const sizes = new Map<string, PackSizes>();
    for await (const manifest of repository.read(names, { damaged })) {
      const known = this.#found.get(manifest.snapshot);
      if (!known || known.damagedIn.includes(name)) continue;
      if ((await missingPacks(repository, manifest, sizes)).length > 0) known.damagedIn.push(name);
    }
  }

  /** Of these manifests, those that tell something new: of what is known already, only what is damaged here. */
  #unread(repository: string, names: string[], checks: PackChecks): string[] {
    return names.filter(name => {
      const known = this.#found.get(snapshotOf(name));
      if (known && known.repositories.at(-1) !== repository) known.repositories.push(repository);
      return known === undefined || (known !== null && !checks.sound);
    });
  }

  #enter(repository: string, manifest: Manifest): ListedSnapshot | null {
    const { snapshot, database, plan, kind, started, finished, counts } = manifest;
    const known = this.#found.get(snapshot);
    if (known !== undefined) return known;
    const { database: only } = this.#options;
    const part = partOf(manifest);
    const { bytesRead, bytesAdded } = counts;
    const { tables, rows } = logicalFacts(manifest).source;
    const fresh: ListedSnapshot | null =
      only !== undefined && database !== only
        ? null
        : {
            ...{ snapshot, database: this.#texts.once(database), repositories: [repository] },
            ...{
              plan: plan && this.#texts.once(plan),
              part: part && this.#texts.once(part),
              kind,
              started,
              finished,
            },
            ...{ tables, rows, bytesRead, bytesAdded, damagedIn: [], ahead: false, holds: [] },
          };
    this.#found.set(snapshot, fresh);
    if (fresh) this.#newest.add(snapshot);
    return fresh;
  }
}

/** The newest so many ids of those that were added. */
class NewestIds {
  readonly #count: number;
  /** Newest first. */
  readonly #ids: string[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  add(id: string): void {
    if (!Number.isFinite(this.#count)) return;
    const at = this.#ids.findLastIndex(each => each > id) + 1;
    this.#ids.splice(at, 0, id);
    if (this.#ids.length > this.#count) this.#ids.pop();
  }

  /** Whether as many as are wanted are newer. */
  isPast(id: string): boolean {
    return this.#ids.length === this.#count && id < this.#ids.at(-1)!;
  }
}
