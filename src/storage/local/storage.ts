import { constants, type Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TidemarkError, usageError } from '../../base/errors.ts';
import { claimObject, NO_LINKS_REMARK } from '../claim.ts';
import { type Address, refuseSettings, type StorageKind, type StorageSettings } from '../kind.ts';
import {
  checkName,
  checkWholeSize,
  existing,
  foreign,
  holds,
  isObjectName,
  OTHER_NAME,
  truncated,
} from '../object.ts';
import type { PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';
import { claimName, UNFINISHED, unfinishedName } from '../unfinished.ts';
import { CLAIM_FILES, isMissing, linkFile, storageError, syncFolder, writeWhole } from './files.ts';
import { keepReserve, useReserve } from './reserve.ts';
import { RootFolder, typeOf } from './root.ts';
import { sweepUnfinished } from './sweep.ts';

export interface LocalSpec {
  kind: 'local';
  /** Absolute, without a slash at the end. */
  path: string;
}

export const localKind: StorageKind<LocalSpec> = {
  kind: 'local',
  schemes: ['file'],
  variables: [],
  classes: {},
  parse(address: Address, settings: StorageSettings): LocalSpec {
    if (address.host !== '' || address.path === '' || address.query.size > 0) {
      throw usageError(
        'STORAGE_ADDRESS',
        'is not a file:// URL',
        'write three slashes and an absolute path: file:///var/backups/x',
      );
    }
    refuseSettings(settings, 'a folder', []);
    return { kind: 'local', path: `/${address.path}` };
  },
  location: spec => spec.path,
  host: () => null,
  async open(spec) {
    const storage = new LocalStorage(spec.path);
    await storage.sweep();
    return storage;
  },
};

/** How often others may remove a folder before something is in it. */
const FOLDER_ATTEMPTS = 20;
/** A FIFO that nobody writes to, or a device, does not hold up who opens it; a link is not opened. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * A folder as a storage (docs/format.md, "In a file system"): a write goes to a temporary file, is synced, then renamed, or
 * linked for `ifAbsent`, or claimed where there are no links.
 */
export class LocalStorage implements Storage {
  readonly place: string;
  readonly #root: RootFolder;
  readonly #synced = new Set<string>();
  #noLinks = false;
  #reserved: Promise<void> | undefined;

  constructor(path: string) {
    this.#root = new RootFolder(path);
    this.place = path;
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkName(name);
    if (name.startsWith('packs/')) await this.#keepReserve();
    if (!options.freesSpace) return this.#put(name, data, options);
    try {
      await this.#put(name, data, options);
    } catch (error) {
      if (!isFull(error)) throw error;
      await useReserve(await this.#root.at(UNFINISHED));
      await this.#put(name, data, options).catch(again => {
        throw isFull(again) ? fullError(name, this.place, again) : again;
      });
    }
  }

  /** Once: what is used up is made again by the next that writes packs. */
  #keepReserve(): Promise<void> {
    this.#reserved ??= (async () =>
      keepReserve(await this.#makeFolder(await this.#root.at(UNFINISHED))))().catch(() => {});
    return this.#reserved;
  }

  async #put(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void> {
    let temporary: string | undefined;
    try {
      await this.#root.requireStill();
      const target = await this.#root.at(name);
      const unfinished = await this.#makeFolder(await this.#root.at(UNFINISHED));
      temporary = join(unfinished, unfinishedName());
      const written = temporary;
      await writeWhole(written, data);
      await this.#inFolder(dirname(target), () =>
        options.ifAbsent ? this.#putIfAbsent(name, written, target, data) : fs.rename(written, target),
      );
      await syncFolder(dirname(target)).catch(unlessMissing);
    } catch (error) {
      throw storageError(error, `can't write ${name} in ${this.place}`, true);
    } finally {
      if (temporary !== undefined) await fs.rm(temporary, { force: true }).catch(() => {});
    }
  }

  async #putIfAbsent(name: string, temporary: string, target: string, data: readonly Uint8Array[]) {
    const linked = await linkFile(temporary, target);
    if (linked === 'linked') return;
    if (linked === 'exists') throw existing(name, this.place);
    this.#noLinks = true;
    const folder = `${temporary}.d`;
    const file = basename(temporary);
    try {
      await fs.mkdir(folder, { mode: 0o700 });
      await fs.rename(temporary, join(folder, file));
      const claim = join(dirname(temporary), claimName(name));
      const isOurs = () => holds(this, name, data);
      await claimObject(name, this.place, CLAIM_FILES, { folder, file, claim, target, isOurs });
    } finally {
      await fs.rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    checkName(name);
    let file: fs.FileHandle | undefined;
    try {
      const path = await this.#root.at(name);
      await this.#root.requireOwn(dirname(path));
      const there = await fs.lstat(path);
      if (!there.isFile()) throw foreign(name, this.place, typeOf(there));
      file = await fs.open(path, READ_FLAGS);
      const opened = await file.stat();
      if (!opened.isFile()) throw foreign(name, this.place, typeOf(opened));
      if (!range) checkWholeSize(name, this.place, opened.size);
      return await this.#read(file, name, range ?? { offset: 0, length: opened.size }, opened.size);
    } catch (error) {
      throw storageError(error, `can't read ${name} in ${this.place}`);
    } finally {
      await file?.close();
    }
  }

  async #read(
    file: fs.FileHandle,
    name: string,
    { offset, length }: { offset: number; length: number },
    sizeBytes: number,
  ): Promise<Buffer> {
    if (offset + length > sizeBytes) throw truncated(name, this.place, offset + length, sizeBytes);
    const buffer = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
      if (bytesRead === 0) throw truncated(name, this.place, offset + length, offset + done);
      done += bytesRead;
    }
    return buffer;
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    checkName(name);
    try {
      const path = await this.#root.at(name);
      await this.#root.requireOwn(dirname(path));
      const found = await fs.lstat(path);
      if (!found.isFile() && !found.isDirectory()) throw foreign(name, this.place, typeOf(found));
      return found.isFile() ? stored(name, found) : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storageError(error, `can't look at ${name} in ${this.place}`);
    }
  }

  async *list(
    prefix: string,
    passedOver: (entry: PassedOver) => void = () => {},
  ): AsyncIterable<StoredObject> {
    const folder = await this.#folderOf(prefix);
    if (folder !== undefined) yield* this.#walk(prefix, folder, passedOver);
  }

  /** The folder that a prefix names; undefined where there is none. */
  async #folderOf(prefix: string): Promise<string | undefined> {
    try {
      const folder = await this.#root.at(prefix.replace(/\/$/, ''));
      await this.#root.requireOwn(folder);
      const found = await fs.lstat(folder);
      if (found.isDirectory()) return folder;
      throw foreign(prefix.replace(/\/$/, '') || 'the root', this.place, 'no folder');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storageError(error, `can't list ${prefix || 'the folder'} in ${this.place}`);
    }
  }

  /** Objects right in the folder first, then those in its folders. */
  async *#walk(
    prefix: string,
    folder: string,
    passedOver: (entry: PassedOver) => void,
  ): AsyncIterable<StoredObject> {
    const folders: string[] = [];
    for (const entry of await this.#entries(prefix, folder)) {
      const name = prefix + entry.name;
      if (name === UNFINISHED) continue;
      if (!isObjectName(name)) passedOver({ name, what: OTHER_NAME });
      else if (entry.isDirectory()) folders.push(entry.name);
      else if (!entry.isFile()) passedOver({ name, what: typeOf(entry) });
      else {
        const found = await fs.lstat(join(folder, entry.name)).catch(error => {
          if (!isMissing(error)) throw storageError(error, `can't look at ${name} in ${this.place}`);
        });
        if (found?.isFile()) yield stored(name, found);
      }
    }
    for (const each of folders) yield* this.#walk(`${prefix}${each}/`, join(folder, each), passedOver);
  }

  async #entries(prefix: string, folder: string): Promise<import('node:fs').Dirent[]> {
    try {
      return await fs.readdir(folder, { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return [];
      throw storageError(error, `can't list ${prefix || 'the folder'} in ${this.place}`);
    }
  }

  async remove(name: string): Promise<void> {
    checkName(name);
    try {
      const path = await this.#root.at(name);
      await this.#root.requireOwn(dirname(path));
      const found = await fs.lstat(path);
      if (!found.isFile()) throw foreign(name, this.place, typeOf(found));
      await fs.rm(path, { force: true });
      await syncFolder(dirname(path)).catch(unlessMissing);
    } catch (error) {
      if (!isMissing(error)) throw storageError(error, `can't remove ${name} in ${this.place}`);
    }
    await this.#removeEmpty(dirname(name));
  }

  /** A folder that no object is in any more costs every list. Another may be about to put one there: `#inFolder`. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let each = folder; each !== '.'; each = dirname(each)) {
      const path = await this.#root.at(each);
      const removed = await this.#root
        .requireOwn(dirname(path))
        .then(() => fs.rmdir(path))
        .then(
          () => true,
          () => false,
        );
      if (!removed) return;
    }
  }

  async now(): Promise<Date> {
    let probe: string | undefined;
    try {
      await this.#root.requireStill();
      probe = join(await this.#makeFolder(await this.#root.at(UNFINISHED)), unfinishedName());
      await fs.writeFile(probe, '', { flag: 'wx', mode: 0o600 });
      return (await fs.lstat(probe)).mtime;
    } catch (error) {
      throw storageError(error, `can't read the clock of ${this.place}`, true);
    } finally {
      if (probe !== undefined) await fs.rm(probe, { force: true }).catch(() => {});
    }
  }

  async remarks(): Promise<readonly string[]> {
    return this.#noLinks ? [NO_LINKS_REMARK] : [];
  }

  async close(): Promise<void> {}

  /** Removes what writers that died left behind; where it can't, a medium that can only be read, it stays. */
  async sweep(): Promise<void> {
    await sweepUnfinished(this.#root, () => this.now()).catch(() => {});
  }

  /** Does something in a folder, which may be removed as an empty one as soon as it is made. */
  async #inFolder(folder: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#makeFolder(folder);
        return await work();
      } catch (error) {
        if (!isMissing(error) || attempt === FOLDER_ATTEMPTS) throw error;
      }
    }
  }

  /** Makes a folder durably: each new level is synced into its parent. One that is, or lies behind, a link is refused. */
  async #makeFolder(folder: string): Promise<string> {
    if (this.#synced.has(folder)) {
      const there = await this.#root.requireOwn(folder).then(
        () => true,
        error => {
          if (!isMissing(error)) throw error;
          return false;
        },
      );
      if (there) return folder;
    }
    const first = await this.#root.make(folder);
    if (first) {
      for (let at = folder; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
    }
    this.#synced.add(folder);
    return folder;
  }
}

function stored(name: string, { size, mtime }: Stats): StoredObject {
  return { name, sizeBytes: size, modified: mtime };
}

const isFull = (error: unknown) => error instanceof TidemarkError && error.code === 'STORAGE_FULL';

/** Of what would have freed space. */
function fullError(name: string, place: string, cause: Error): TidemarkError {
  return new TidemarkError(
    'STORAGE_FULL',
    `can't write ${name} in ${place}: the disk is full, and the room that is kept for freeing space is used up`,
    'remove something else from this disk, or enlarge it: a few megabytes are enough; then run the command again',
    { cause },
  );
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
