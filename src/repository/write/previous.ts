import type { ListRef } from '../format/chunkList.ts';
import { epochOf } from '../keys/keys.ts';
import { type Manifest, type PartName, type PartRecord, partKey, refOf } from '../manifest.ts';
import { hasAllPacks, newestFirst } from '../newest.ts';
import type { PackChecks } from '../packs/packChecks.ts';
import { readParts } from '../read/parts.ts';
import { SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import type { PreviousLists } from './protocol.ts';
import { type Reusable, reusable } from './reusable.ts';

/** Lists of the previous snapshot given along with one part at the most: bounds a worker's memory. */
export const LISTS_MAX = 8;
/** Manifests looked through for a whole snapshot once one in part was found. */
const FURTHER_MAX = 1000;

/** Whether a snapshot holds all of its database. */
export type IsWhole = (manifest: Pick<Manifest, 'scope'>) => boolean;

/** The snapshot that a backup or copy is deduplicated against: which parts it had, and where their chunks are. */
export class PreviousSnapshot {
  readonly manifest: Manifest;
  readonly reader: SnapshotReader;
  readonly #checks: PackChecks;
  #parts: KnownParts;

  private constructor(manifest: Manifest, reader: SnapshotReader, checks: PackChecks) {
    this.manifest = manifest;
    this.reader = reader;
    this.#checks = checks;
    this.#parts = new KnownParts(reader, [], checks);
  }

  /**
   * The newest snapshot of the database that holds all of it, or else the newest of all; and only if its packs are
   * there, and of the epoch that is written: what is not there whole must not be relied on. One that can't be read is
   * passed over; `verify` reports it. What lies in packs that `checks` knows as damaged is not used.
   */
  static async find(
    repository: Repository,
    database: string,
    checks: PackChecks,
    isWhole: IsWhole,
  ): Promise<PreviousSnapshot | undefined> {
    let partial: PreviousSnapshot | undefined;
    let further = 0;
    for await (const manifest of newestFirst(repository)) {
      if (partial && ++further > FURTHER_MAX) break;
      if (manifest.database !== database || (partial && !isWhole(manifest))) continue;
      if (!isOfEpoch(manifest, repository.keys.newest)) continue;
      const opened = await PreviousSnapshot.#open(repository, manifest, checks);
      if (opened && isWhole(manifest)) return opened;
      partial ??= opened;
    }
    return partial;
  }

  static async #open(
    repository: Repository,
    manifest: Manifest,
    checks: PackChecks,
  ): Promise<PreviousSnapshot | undefined> {
    if (!(await hasAllPacks(repository, manifest))) return undefined;
    const reader = new SnapshotReader(repository.storage, repository.keys, manifest, { verifyIds: false });
    const previous = new PreviousSnapshot(manifest, reader, checks);
    const parts = await readParts(reader, manifest).catch(() => undefined);
    if (!parts) return undefined;
    previous.#parts = new KnownParts(reader, parts, checks);
    return previous;
  }

  /** The part of the same name. */
  part(name: PartName): PartRecord | undefined {
    return this.#parts.part(name);
  }

  listsOf(name: PartName): Promise<PreviousLists> {
    return this.#parts.listsOf(name);
  }

  /** A chunk list of it, without what must not be used; undefined where nothing is left. */
  async reusable(ref: ListRef): Promise<Reusable | undefined> {
    const encoded = await this.reader.encodedList(ref).catch(() => undefined);
    return encoded && reusable(encoded, ref, this.#checks);
  }
}

/** Parts that are stored, by group. */
export class KnownParts {
  readonly #reader: SnapshotReader;
  readonly #checks: PackChecks;
  readonly #parts = new Map<string, PartRecord[]>();

  constructor(reader: SnapshotReader, parts: readonly PartRecord[], checks: PackChecks) {
    this.#reader = reader;
    this.#checks = checks;
    for (const part of parts) {
      const known = this.#parts.get(part.group);
      if (known) known.push(part);
      else this.#parts.set(part.group, [part]);
    }
  }

  /** The part of the same name. */
  part(name: PartName): PartRecord | undefined {
    const wanted = partKey(name);
    return this.#parts.get(name.group)?.find(part => partKey(part) === wanted);
  }

  /** Chunk lists of what the part held before: of its group, those that overlap it. */
  async listsOf(name: PartName): Promise<PreviousLists> {
    const parts = (this.#parts.get(name.group) ?? [])
      .filter(part => overlaps(part, name))
      .slice(0, LISTS_MAX);
    // One that is damaged costs deduplication, not the backup.
    const lists = await Promise.all(parts.map(part => this.#reader.encodedList(part).catch(() => undefined)));
    const good = lists.flatMap((list, i) => (list && reusable(list, refOf(parts[i]!), this.#checks)) ?? []);
    return { lists: good.map(each => each.encoded), refs: good.map(each => each.ref) };
  }
}

/** Chunks of another epoch have other ids, and a key that was retired opens them. */
function isOfEpoch(manifest: Manifest, epoch: number): boolean {
  return Object.keys(manifest.sessions).every(session => epochOf(manifest, session) === epoch);
}

function overlaps(a: PartName, b: PartName): boolean {
  return a.from < (b.to ?? Number.POSITIVE_INFINITY) && b.from < (a.to ?? Number.POSITIVE_INFINITY);
}
