import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { TidemarkError, usageError } from '../../base/errors.ts';
import type { Secret } from '../../repository/keys/slots.ts';
import { Repository } from '../../repository/repository.ts';
import { openStorage } from '../../storage/index.ts';
import { folderOf, locationOf } from '../../storage/kinds.ts';
import type { Storage } from '../../storage/storage.ts';
import type { KeySource, RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { readOrMakeKey } from '../key/keyFile.ts';
import { removeEmptyFolders, type Undo } from '../key/undo.ts';
import { readSecret, storagePlace } from '../open/open.ts';

/** docs/format.md, "Objects": what makes a storage a repository, and its first key. */
const HEADER = 'repository.json';
const FIRST_KEY = 'keys/first.json';

export interface MadeRepository {
  name: string;
  id: string;
  storage: string;
  spec: RepositorySpec;
  made: boolean;
  key: { source: KeySource; made: boolean };
  secret: Secret;
}

/** Opens the repository that a strategy names; where it or its key file is missing, makes it. */
export async function openOrMakeRepository(
  spec: RepositorySpec,
  environment: Strategy['environment'],
  undo: Undo,
): Promise<MadeRepository> {
  await requireUsable(spec);
  const storage = await openStorage(storagePlace(spec));
  try {
    const made = !(await storage.stat(HEADER));
    const { secret, keyMade } = await secretOf(spec.key, environment, made, undo);
    const repository = made
      ? await make(storage, spec, secret, undo)
      : await Repository.open(storage, secret);
    return {
      name: spec.name,
      id: repository.id,
      storage: locationOf(spec.storage),
      spec,
      made,
      key: { source: spec.key, made: keyMade },
      secret,
    };
  } finally {
    await storage.close();
  }
}

/** A key is only made for a repository that is made too: none that is new opens an old one. */
async function secretOf(
  key: KeySource,
  environment: Strategy['environment'],
  mayMake: boolean,
  undo: Undo,
): Promise<{ secret: Secret; keyMade: boolean }> {
  if (key.kind !== 'file' || !mayMake) return { secret: await readSecret(key, environment), keyMade: false };
  const { text, made } = await readOrMakeKey(key.path, undo);
  return { secret: { kind: 'key', text, where: key.path }, keyMade: made };
}

async function make(storage: Storage, spec: RepositorySpec, secret: Secret, undo: Undo): Promise<Repository> {
  await Repository.requireNone(storage);
  const removeFolders = folderRemover(folderOf(spec.storage));
  const remove = async () => {
    for (const name of [HEADER, FIRST_KEY]) await storage.remove(name);
    await removeFolders();
  };
  try {
    const repository = await Repository.create(storage, secret, new Date());
    undo.push(remove);
    return repository;
  } catch (error) {
    // What somebody else put there is not ours to remove.
    const others = ['REPOSITORY_EXISTS', 'STORAGE_NOT_EMPTY', 'OBJECT_EXISTS'];
    if (!(error instanceof TidemarkError && others.includes(error.code))) await remove().catch(() => {});
    throw error;
  }
}

/** Removes, when it is called, the folders that were not there now and are empty then. */
function folderRemover(root: string | null): () => Promise<void> {
  if (root === null) return async () => {};
  const top = firstMissing(root);
  return async () => {
    for (const folder of ['keys', '.unfinished'])
      await removeEmptyFolders(path.join(root, folder), root + path.sep);
    if (top !== null) await removeEmptyFolders(root, top);
  };
}

/** The topmost folder on the way to `folder` that is not there; null if all are. */
function firstMissing(folder: string): string | null {
  let missing: string | null = null;
  for (let at = folder; !existsSync(at) && at !== path.dirname(at); at = path.dirname(at)) missing = at;
  return missing;
}

async function requireUsable({ storage, key, name }: RepositorySpec): Promise<void> {
  const folder = folderOf(storage);
  if (folder === null) return;
  const found = await stat(folder).catch(() => null);
  if (found && !found.isDirectory()) {
    throw usageError(
      'STORAGE_NOT_A_FOLDER',
      `the storage of repository ${name} is ${folder}, which is not a folder`,
      'choose another place: --storage',
    );
  }
  requireOwnFolder(folder, name);
  if ('path' in key) requireOutside({ storage }, key.path);
}

/** Refuses a folder within another repository's: its objects would be foreign to that one, and end with it. */
function requireOwnFolder(folder: string, name: string): void {
  for (let at = path.dirname(folder); at !== path.dirname(at); at = path.dirname(at)) {
    if (!existsSync(path.join(at, HEADER))) continue;
    throw usageError(
      'STORAGE_NESTED',
      `the storage of repository ${name}, ${folder}, lies within the repository ${at}`,
      'choose a folder outside of it: --storage',
    );
  }
}

/** Refuses a key file in the folder of the storage: KEY_IN_STORAGE. */
export function requireOutside({ storage }: Pick<RepositorySpec, 'storage'>, keyPath: string): void {
  const folder = folderOf(storage);
  if (folder !== null && !path.relative(folder, keyPath).startsWith('..')) {
    throw usageError(
      'KEY_IN_STORAGE',
      `the key ${keyPath} lies in the storage that it protects`,
      'keep it apart: whoever has the storage would have the key, and what takes one would take both',
    );
  }
}
