import { faultError, TidemarkError } from '../../src/base/errors.ts';
import { packName } from '../../src/repository/format/packName.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import type { Locks, PutOptions, Storage, StoredObject } from '../../src/storage/storage.ts';
import type { SealedManifests } from './sealed.ts';
import type { World } from './world.ts';

const PACK = /^packs\/(\d{8}-\d{9}-[0-9a-f]{8})\/(\d{8})$/;
const SNAPSHOT = /^snapshots\/(\d{8}-\d{9}-[0-9a-f]{8})$/;

/**
 * The objects of a world, which take no room, together with those of a folder, which are real: what is written goes there.
 * The clock stands still but for what is let pass. Packs of the world are there with their sizes, and can't be read.
 */
export class SimulatedStorage implements Storage {
  readonly place: string;
  readonly locks?: Locks;
  readonly #world: World;
  readonly #manifests: SealedManifests;
  readonly #snapshots: number;
  readonly #real: LocalStorage;
  readonly #removed = new Set<string>();
  readonly #written = new Map<string, Date>();
  #passedMs = 0;

  /**
   * @param snapshots it has so many of the world's, the oldest.
   * @param locking locks can be extended, and none is known of.
   */
  constructor(folder: string, world: World, manifests: SealedManifests, snapshots: number, locking = false) {
    this.#snapshots = snapshots;
    this.place = folder;
    this.#world = world;
    this.#manifests = manifests;
    this.#real = new LocalStorage(folder);
    if (locking) this.locks = { until: async () => undefined, extend: async () => {} };
  }

  pass(ms: number): void {
    this.#passedMs += ms;
  }

  async now(): Promise<Date> {
    return new Date(this.#world.now.getTime() + this.#passedMs);
  }

  async put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const now = await this.now();
    await this.#real.put(name, data, options);
    this.#written.set(name, now);
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    if (this.#removed.has(name)) throw missing(name);
    const i = this.#snapshot(name);
    if (i !== undefined) return this.#manifests.get(i);
    if (this.#pack(name)) {
      throw new TidemarkError('NOT_SIMULATED', `${name} is not real`, 'read packs of real snapshots only');
    }
    return this.#real.get(name, range);
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    if (this.#removed.has(name)) return undefined;
    const i = this.#snapshot(name);
    if (i !== undefined) return this.#manifest(i);
    const found = this.#pack(name) ?? (await this.#real.stat(name));
    return found && this.#dated(found);
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (const object of this.#simulated(prefix)) if (!this.#removed.has(object.name)) yield object;
    for await (const object of this.#real.list(prefix)) yield this.#dated(object);
  }

  *#simulated(prefix: string): Iterable<StoredObject> {
    const session = /^packs\/([^/]+)\/$/.exec(prefix)?.[1];
    const only = session === undefined ? undefined : this.#find(session);
    if (prefix === 'snapshots/') for (let i = 0; i < this.#snapshots; i++) yield this.#manifest(i);
    if (only !== undefined) yield* this.#packs(only);
    if (prefix === 'packs/') for (let i = 0; i < this.#snapshots; i++) yield* this.#packs(i);
  }

  *#packs(i: number): Iterable<StoredObject> {
    const session = this.#world.session(i);
    const modified = this.#world.time(i);
    for (let number = 1; number <= this.#world.packsEach; number++)
      yield {
        name: `packs/${packName(session, number)}`,
        sizeBytes: this.#world.packBytes(i, number),
        modified,
      };
  }

  async remove(name: string): Promise<void> {
    if (this.#snapshot(name) !== undefined || this.#pack(name)) this.#removed.add(name);
    else await this.#real.remove(name);
  }

  close(): Promise<void> {
    return this.#real.close();
  }

  #find(session: string): number | undefined {
    const i = this.#world.find(session);
    return i !== undefined && i < this.#snapshots ? i : undefined;
  }

  #snapshot(name: string): number | undefined {
    const [, session] = SNAPSHOT.exec(name) ?? [];
    return session === undefined ? undefined : this.#find(session);
  }

  #manifest(i: number): StoredObject {
    const name = `snapshots/${this.#world.session(i)}`;
    return { name, sizeBytes: this.#manifests.sizeBytes(i), modified: this.#world.time(i) };
  }

  #pack(name: string): StoredObject | undefined {
    const [, session, digits] = PACK.exec(name) ?? [];
    const i = session === undefined ? undefined : this.#find(session);
    if (i === undefined || Number(digits) > this.#world.packsEach) return undefined;
    return { name, sizeBytes: this.#world.packBytes(i, Number(digits)), modified: this.#world.time(i) };
  }

  /** What was not written in this run was there long before. */
  #dated(object: StoredObject): StoredObject {
    return { ...object, modified: this.#written.get(object.name) ?? new Date(0) };
  }
}

function missing(name: string): TidemarkError {
  return faultError('OBJECT_MISSING', `${name} is not there`, 'it was removed in this simulation');
}
