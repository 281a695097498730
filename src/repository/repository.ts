import { randomBytes } from 'node:crypto';
import { faultError, TidemarkError, usageError } from '../base/errors.ts';
import type { Storage } from '../storage/storage.ts';
import { RepositoryKeys } from './keys.ts';
import { type Manifest, SESSION_ID } from './manifest.ts';
import { openObject, sealObject } from './seal.ts';
import { parseObject, parseSlot, plainObject, type Secret, unwrapKey, wrapKey } from './slots.ts';

export const HEADER = 'repository.json';

/** `repository.json`, docs/format.md ("Objects"). */
export interface Header {
  tidemark: 'repository';
  format: number;
  id: string;
  created: string;
}

/** A repository that was opened with a key: its snapshots, by id. */
export class Repository {
  readonly storage: Storage;
  readonly keys: RepositoryKeys;

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
    const slot = await wrapKey(master, id, 'first', secret);
    const header: Header = { tidemark: 'repository', format: 1, id, created: now.toISOString() };
    await storage.put('keys/first.json', [plainObject(slot)], { ifAbsent: true });
    await storage.put(HEADER, [plainObject(header)], { ifAbsent: true });
    return new Repository(storage, new RepositoryKeys(master, id));
  }

  static async open(storage: Storage, secret: Secret): Promise<Repository> {
    const header = await readHeader(storage);
    let slots = 0;
    let damage: unknown;
    for await (const object of storage.list('keys/')) {
      if (!object.name.endsWith('.json')) continue;
      slots++;
      try {
        const slot = parseSlot(await storage.get(object.name), `${object.name} in ${storage.place}`);
        const master = await unwrapKey(slot, header.id, secret);
        if (master) return new Repository(storage, new RepositoryKeys(master, header.id));
      } catch (error) {
        if (!(error instanceof TidemarkError) || error.kind === 'usage') throw error;
        damage ??= error; // another slot may open it
      }
    }
    if (damage !== undefined) throw damage;
    if (slots === 0) {
      throw faultError(
        'KEYS_MISSING',
        `${storage.place} holds no keys`,
        'restore its keys/ folder from another copy',
      );
    }
    throw usageError(
      'KEY_WRONG',
      `the key in ${secret.where} does not open the repository in ${storage.place}`,
      'use the key that was made for it; the recovery kit names the repository it belongs to',
    );
  }

  get id(): string {
    return this.keys.repositoryId;
  }

  /** Ids of all snapshots, oldest first. */
  async snapshotIds(): Promise<string[]> {
    return this.#ids('snapshots/');
  }

  async forgottenIds(): Promise<string[]> {
    return this.#ids('forgotten/');
  }

  async #ids(prefix: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const object of this.storage.list(prefix)) {
      const id = object.name.slice(prefix.length);
      if (SESSION_ID.test(id)) ids.push(id);
    }
    return ids.sort();
  }

  async manifest(id: string, folder: 'snapshots' | 'forgotten' = 'snapshots'): Promise<Manifest> {
    const name = `${folder}/${id}`;
    const sealed = await this.storage.get(name);
    const where = `${name} in ${this.storage.place}`;
    const manifest = openObject(this.keys.object(`snapshots/${id}`), sealed, where) as Manifest;
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
    for (const id of await this.snapshotIds()) {
      const manifest = await this.manifest(id).catch(unlessMissing);
      if (manifest) manifests.push(manifest);
    }
    return manifests;
  }

  /** Makes the snapshot exist. Everything it refers to must be stored. */
  async commit(manifest: Manifest): Promise<number> {
    const name = `snapshots/${manifest.snapshot}`;
    const sealed = sealObject(this.keys.object(name), manifest);
    await this.storage.put(name, [sealed], { ifAbsent: true });
    return sealed.length;
  }

  /** Ends a snapshot's existence; its packs stay until they are collected. */
  async forget(id: string): Promise<void> {
    const sealed = await this.storage.get(`snapshots/${id}`);
    await this.storage.put(`forgotten/${id}`, [sealed]);
    await this.storage.remove(`snapshots/${id}`);
  }

  /** The one snapshot whose id starts like this. */
  async resolve(prefix: string): Promise<string> {
    const found = (await this.snapshotIds()).filter(id => id.startsWith(prefix) || id.endsWith(`-${prefix}`));
    if (found.length === 1) return found[0]!;
    throw usageError(
      found.length === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
      found.length === 0
        ? `no snapshot ${prefix} in ${this.storage.place}`
        : `${prefix} may be ${found.length} snapshots: ${found.slice(0, 5).join(', ')}`,
      "'tidemark list' shows the snapshots",
    );
  }
}

async function readHeader(storage: Storage): Promise<Header> {
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
