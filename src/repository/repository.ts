import { randomBytes } from 'node:crypto';
import { ahead } from '../base/ahead.ts';
import { faultError, TidemarkError, usageError } from '../base/errors.ts';
import { isMissing, unlessMissing } from '../storage/object.ts';
import type { Storage } from '../storage/storage.ts';
import { HEADER, type Header } from './format/header.ts';
import { isRepositoryObject, listNames } from './format/objectNames.ts';
import { EpochKeys, RepositoryKeys } from './keys/keys.ts';
import { openKeys } from './keys/openKeys.ts';
import { ownerOf, parseObject, plainObject, type Secret, wrapKey } from './keys/slots.ts';
import { type Manifest, manifestName, snapshotOf } from './manifest.ts';
import { openRecord } from './records/recordFolder.ts';
import { currentRevision, listRevisions, type Revisions, revisionName } from './revisions.ts';
import { PLAIN_POLICY, putOptions, type StoragePolicy } from './storagePolicy.ts';

/** Manifests asked for at once; they wait sealed until it is their turn, so that one at a time is large in memory. */
const MANIFESTS_AHEAD = 48;
/** A revision may be replaced between being listed and being read, but hardly this often. */
const LOOKS = 5;

export interface ReadOptions {
  /** Takes what can't be read, for whatever reason that lasts, or throws it again. */
  damaged?(name: string, error: TidemarkError): void;
  revisions?: ReadonlyMap<string, Revisions>;
}

/**
 * A repository that was opened with a key. Its snapshots go by the names of their manifests (`manifestName`): their ids,
 * but for copies.
 */
export class Repository {
  readonly storage: Storage;
  readonly keys: RepositoryKeys;

  /** How what is written from now on is stored; set by whoever opens it for writing. */
  policy: StoragePolicy = PLAIN_POLICY;

  constructor(storage: Storage, keys: RepositoryKeys) {
    this.storage = storage;
    this.keys = keys;
  }

  /** Makes a repository where there is none; REPOSITORY_EXISTS where there is one. */
  static async create(storage: Storage, secret: Secret, now: Date): Promise<Repository> {
    await Repository.requireNone(storage);
    const id = randomBytes(16).toString('hex');
    const master = randomBytes(32);
    const slot = await wrapKey(new EpochKeys(master, id, 0), 'first', await ownerOf(secret));
    const header: Header = { tidemark: 'repository', format: 1, id, created: now.toISOString() };
    await storage.put('keys/first.json', [plainObject(slot)], { ifAbsent: true });
    await storage.put(HEADER, [plainObject(header)], { ifAbsent: true });
    return new Repository(storage, new RepositoryKeys([master], id));
  }

  /** @throws TidemarkError REPOSITORY_EXISTS, STORAGE_NOT_EMPTY where there is one, or something else. */
  static async requireNone(storage: Storage): Promise<void> {
    if (await storage.stat(HEADER)) {
      throw usageError(
        'REPOSITORY_EXISTS',
        `there is a repository in ${storage.place} already`,
        'open it with its key, or choose another place',
      );
    }
    for await (const object of storage.list('')) {
      throw usageError(
        'STORAGE_NOT_EMPTY',
        `${storage.place} is not empty: it holds ${object.name}`,
        'choose an empty place for a new repository',
      );
    }
  }

  static async open(storage: Storage, secret: Secret): Promise<Repository> {
    const header = await readHeader(storage);
    return new Repository(storage, await openKeys(storage, header.id, secret));
  }

  get id(): string {
    return this.keys.repositoryId;
  }

  /** Names of the manifests of all snapshots, oldest snapshot first. */
  async snapshotNames(): Promise<string[]> {
    return this.#names('snapshots/');
  }

  /** Of those, the ones of one snapshot: two where an interrupted heal left both. */
  async namesOf(snapshot: string): Promise<string[]> {
    return (await this.snapshotNames()).filter(name => snapshotOf(name) === snapshot);
  }

  async forgottenNames(): Promise<string[]> {
    return this.#names('forgotten/');
  }

  async #names(prefix: string): Promise<string[]> {
    return (await listNames(this.storage, prefix)).map(name => name.slice(prefix.length));
  }

  /** As it was committed, or as its newest revision has it. OBJECT_MISSING where there is no such snapshot. */
  async manifest(name: string): Promise<Manifest> {
    for (let attempt = 1; ; attempt++) {
      const sealed = await this.storage.get(`snapshots/${name}`);
      const number = currentRevision((await listRevisions(this.storage, name)).get(name));
      if (number === 0) return this.#open(`snapshots/${name}`, sealed);
      try {
        return await this.revision(name, number);
      } catch (error) {
        // There is a newer one, or the snapshot was forgotten.
        if (!isMissing(error) || attempt === LOOKS) throw error;
      }
    }
  }

  /** One revision; number 0 is the manifest as it was committed. */
  async revision(
    name: string,
    number: number,
    folder: 'snapshots' | 'forgotten' = 'snapshots',
  ): Promise<Manifest> {
    const object = number === 0 ? `${folder}/${name}` : revisionName(name, number);
    return this.#open(object, await this.storage.get(object));
  }

  #open(object: string, sealed: Buffer): Manifest {
    const where = `${object} in ${this.storage.place}`;
    const bound = object.replace(/^forgotten\//, 'snapshots/');
    return openRecord<Manifest>(this.keys, bound, sealed, where);
  }

  /**
   * The manifests of these snapshots, in this order, each read when it is nearly its turn; those of snapshots that were
   * forgotten meanwhile are left out. One that can't be read fails the call, unless `damaged` takes it.
   *
   * @param names of manifests, listed before; `revisions` too, where they were.
   */
  async *read(names: Iterable<string>, options: ReadOptions = {}): AsyncGenerator<Manifest> {
    const { damaged, revisions = await listRevisions(this.storage) } = options;
    const fetchOne = async (name: string): Promise<{ name: string; open(): Manifest | undefined }> => {
      const number = currentRevision(revisions.get(name));
      const object = number === 0 ? `snapshots/${name}` : revisionName(name, number);
      try {
        const sealed = await this.storage.get(object).catch(unlessMissing);
        if (sealed) return { name, open: () => this.#open(object, sealed) };
        // There is a newer revision than was listed, or the snapshot was forgotten.
        const manifest = await this.manifest(name).catch(unlessMissing);
        return { name, open: () => manifest };
      } catch (error) {
        return { name, open: () => { throw error; } }; // biome-ignore format: one thing
      }
    };
    for await (const { name, open } of ahead(names, MANIFESTS_AHEAD, fetchOne)) {
      let manifest: Manifest | undefined;
      try {
        manifest = open();
      } catch (error) {
        if (!damaged || !(error instanceof TidemarkError) || error.retry) throw error;
        damaged(name, error);
      }
      if (manifest) yield manifest;
    }
  }

  /** All manifests, oldest snapshot first. One that can't be read fails the call: a list with a hole is not a list. */
  async manifests(): Promise<Manifest[]> {
    return Array.fromAsync(this.read(await this.snapshotNames()));
  }

  /** Makes the snapshot exist. Everything it refers to must be stored. */
  async commit(manifest: Manifest): Promise<number> {
    const name = `snapshots/${manifestName(manifest)}`;
    const sealed = this.keys.seal(name, manifest);
    await this.storage.put(name, [sealed], { ...putOptions(this.policy, 'any'), ifAbsent: true });
    return sealed.length;
  }

  /**
   * Ends a snapshot's existence; its packs stay until they are collected. It does not look for holds: `Forgetting` does.
   *
   * @param lastLook called right before the snapshot is removed; what it throws leaves the snapshot there.
   */
  async forget(name: string, lastLook?: () => Promise<void>): Promise<void> {
    const sealed = await this.storage.get(`snapshots/${name}`);
    await this.storage.put(`forgotten/${name}`, [sealed], { freesSpace: true });
    await lastLook?.();
    await this.storage.remove(`snapshots/${name}`);
  }
}

export async function readHeader(storage: Storage): Promise<Header> {
  const bytes = await storage.get(HEADER).catch(unlessMissing);
  if (!bytes) throw await headerMissing(storage);
  const header = parseObject(bytes, `${HEADER} in ${storage.place}`) as unknown as Header;
  if (header.tidemark !== 'repository' || !/^[0-9a-f]{32}$/.test(header.id) || !(header.format >= 1)) {
    throw faultError(
      'HEADER_DAMAGED',
      `${HEADER} in ${storage.place} is not a repository's header`,
      "'tidemark repair REPOSITORY --id ID' writes it anew; the recovery kit has the id",
    );
  }
  if (header.format !== 1) {
    throw usageError(
      'FORMAT_TOO_NEW',
      `the repository in ${storage.place} has format ${header.format}`,
      'use a newer tidemark',
    );
  }
  return header;
}

/** Where a repository's other objects are, it was one, and `init` would make none there. */
async function headerMissing(storage: Storage): Promise<TidemarkError> {
  const { place } = storage;
  for await (const { name } of storage.list('')) {
    if (!isRepositoryObject(name)) continue;
    const hint = `bring it back from a copy of the storage, or write it anew: 'tidemark repair REPOSITORY --id ID'; the recovery kit has the id`;
    return faultError(
      'REPOSITORY_MISSING',
      `${HEADER} is not in ${place}, where other objects of a repository are`,
      hint,
    );
  }
  const hint = `see that the right disk or share is mounted and the address is right; a new repository is made with 'tidemark init'`;
  return usageError('REPOSITORY_MISSING', `there is no repository in ${place}`, hint);
}
