import { randomBytes } from 'node:crypto';
import { faultError, TidemarkError, usageError } from '../base/errors.ts';
import type { Storage } from '../storage/storage.ts';
import { EpochKeys, RepositoryKeys } from './keys.ts';
import { MANIFEST_NAME, type Manifest, manifestName } from './manifest.ts';
import { openKeys } from './openKeys.ts';
import { ownerOf, parseObject, plainObject, type Secret, wrapKey } from './slots.ts';
import { PLAIN_POLICY, putOptions, type StoragePolicy } from './storagePolicy.ts';

export const HEADER = 'repository.json';

/** `repository.json`, docs/format.md ("Objects"). */
export interface Header {
  tidemark: 'repository';
  format: number;
  id: string;
  created: string;
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
    const id = randomBytes(16).toString('hex');
    const master = randomBytes(32);
    const slot = await wrapKey(new EpochKeys(master, id, 0), 'first', await ownerOf(secret));
    const header: Header = { tidemark: 'repository', format: 1, id, created: now.toISOString() };
    await storage.put('keys/first.json', [plainObject(slot)], { ifAbsent: true });
    await storage.put(HEADER, [plainObject(header)], { ifAbsent: true });
    return new Repository(storage, new RepositoryKeys([master], id));
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

  async forgottenNames(): Promise<string[]> {
    return this.#names('forgotten/');
  }

  async #names(prefix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const object of this.storage.list(prefix)) {
      const name = object.name.slice(prefix.length);
      if (MANIFEST_NAME.test(name)) names.push(name);
    }
    return names.sort();
  }

  async manifest(name: string, folder: 'snapshots' | 'forgotten' = 'snapshots'): Promise<Manifest> {
    const object = `${folder}/${name}`;
    const sealed = await this.storage.get(object);
    const where = `${object} in ${this.storage.place}`;
    const manifest = this.keys.open(`snapshots/${name}`, sealed, where) as Manifest;
    if (manifest.format !== 1) {
      throw new TidemarkError(
        'FORMAT_TOO_NEW',
        `${where} has format ${manifest.format}`,
        'use a newer tidemark',
      );
    }
    return manifest;
  }

  /** All manifests, oldest first. One that can't be read fails the call: a list with a hole is not a list. */
  async manifests(): Promise<Manifest[]> {
    const manifests: Manifest[] = [];
    for (const name of await this.snapshotNames()) {
      const manifest = await this.manifest(name).catch(unlessMissing);
      if (manifest) manifests.push(manifest);
    }
    return manifests;
  }

  /** Makes the snapshot exist. Everything it refers to must be stored. */
  async commit(manifest: Manifest): Promise<number> {
    const name = `snapshots/${manifestName(manifest)}`;
    const sealed = this.keys.seal(name, manifest);
    await this.storage.put(name, [sealed], { ...putOptions(this.policy, 'lists'), ifAbsent: true });
    return sealed.length;
  }

  /** Ends a snapshot's existence; its packs stay until they are collected. */
  async forget(name: string): Promise<void> {
    const sealed = await this.storage.get(`snapshots/${name}`);
    await this.storage.put(`forgotten/${name}`, [sealed]);
    await this.storage.remove(`snapshots/${name}`);
  }
}

export async function readHeader(storage: Storage): Promise<Header> {
  if (!(await storage.stat(HEADER))) {
    throw usageError(
      'REPOSITORY_MISSING',
      `there is no repository in ${storage.place}`,
      "make it with 'tidemark init'",
    );
  }
  const header = parseObject(await storage.get(HEADER), `${HEADER} in ${storage.place}`) as unknown as Header;
  if (header.tidemark !== 'repository' || !/^[0-9a-f]{32}$/.test(header.id)) {
    throw faultError(
      'HEADER_DAMAGED',
      `${HEADER} in ${storage.place} is not a repository's header`,
      'restore it from another copy',
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

/** A snapshot may be forgotten between listing and reading: that is no fault. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof TidemarkError && error.code === 'OBJECT_MISSING') return undefined;
  throw error;
}
