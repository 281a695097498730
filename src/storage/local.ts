import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { usageError } from '../base/errors.ts';
import { claimObject, NO_LINKS_REMARK } from './claim.ts';
import { type Address, refuseSettings, type StorageKind, type StorageSettings } from './kind.ts';
import { CLAIM_FILES, isMissing, linkFile, storageError, syncFolder, writeWhole } from './localFiles.ts';
import { checkName, existing, holds, truncated } from './object.ts';
import type { PutOptions, Storage, StoredObject } from './storage.ts';
import { ABANDONED_MS, claimName, UNFINISHED, unfinishedName } from './unfinished.ts';

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

/**
 * A folder as a storage (docs/format.md, "In a file system"): a write goes to a temporary file, is synced, then renamed, or
 * linked for `ifAbsent`, or claimed where there are no links.
 */
export class LocalStorage implements Storage {
  readonly place: string;
  readonly #root: string;
  readonly #synced = new Set<string>();
  #noLinks = false;

  constructor(path: string) {
    this.#root = resolve(path);
    this.place = path;
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    const target = this.#path(name);
    const folder = join(this.#root, UNFINISHED);
    const temporary = join(folder, unfinishedName());
    try {
      await this.#makeFolder(folder);
      await writeWhole(temporary, data);
      await this.#inFolder(dirname(target), () =>
        options.ifAbsent ? this.#putIfAbsent(name, temporary, target, data) : fs.rename(temporary, target),
      );
      await syncFolder(dirname(target)).catch(unlessMissing);
    } catch (error) {
      throw storageError(error, `can't write ${name} in ${this.place}`);
    } finally {
      await fs.rm(temporary, { force: true }).catch(() => {});
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
      const claim = join(this.#root, UNFINISHED, claimName(name));
      const isOurs = () => holds(this, name, data);
      await claimObject(name, this.place, CLAIM_FILES, { folder, file, claim, target, isOurs });
    } finally {
      await fs.rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    let file: fs.FileHandle | undefined;
    try {
      file = await fs.open(this.#path(name), 'r');
      const offset = range?.offset ?? 0;
      const length = range?.length ?? (await file.stat()).size;
      const buffer = Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
        if (bytesRead === 0) throw truncated(name, this.place, offset + length, offset + done);
        done += bytesRead;
      }
      return buffer;
    } catch (error) {
      throw storageError(error, `can't read ${name} in ${this.place}`);
    } finally {
      await file?.close();
    }
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    try {
      const found = await fs.stat(this.#path(name));
      return found.isFile() ? { name, sizeBytes: found.size, modified: found.mtime } : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storageError(error, `can't look at ${name} in ${this.place}`);
    }
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    let entries: import('node:fs').Dirent[];
    try {
      entries = await fs.readdir(join(this.#root, prefix), { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return;
      throw storageError(error, `can't list ${prefix || 'the folder'} in ${this.place}`);
    }
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const name = prefix + entry.name;
      if (entry.isDirectory()) yield* this.list(`${name}/`);
      else {
        const found = await this.stat(name);
        if (found) yield found;
      }
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name);
    try {
      await fs.rm(path, { force: true });
      await syncFolder(dirname(path)).catch(unlessMissing);
    } catch (error) {
      throw storageError(error, `can't remove ${name} in ${this.place}`);
    }
    await this.#removeEmpty(dirname(path));
  }

  /** A folder that no object is in any more costs every list. Another may be about to put one there: `#inFolder`. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let each = folder; each !== this.#root; each = dirname(each)) {
      const removed = await fs.rmdir(each).then(
        () => true,
        () => false,
      );
      if (!removed) return;
    }
  }

  async now(): Promise<Date> {
    const folder = join(this.#root, UNFINISHED);
    const probe = join(folder, unfinishedName());
    try {
      await this.#makeFolder(folder);
      await fs.writeFile(probe, '');
      return (await fs.stat(probe)).mtime;
    } catch (error) {
      throw storageError(error, `can't read the clock of ${this.place}`);
    } finally {
      await fs.rm(probe, { force: true }).catch(() => {});
    }
  }

  async remarks(): Promise<readonly string[]> {
    return this.#noLinks ? [NO_LINKS_REMARK] : [];
  }

  async close(): Promise<void> {}

  /** Removes what writers that died left behind. */
  async sweep(): Promise<void> {
    const folder = join(this.#root, UNFINISHED);
    for (const name of await fs.readdir(folder).catch(() => [])) {
      const found = await fs.stat(join(folder, name)).catch(() => undefined);
      if (found && Date.now() - found.mtimeMs > ABANDONED_MS)
        await fs.rm(join(folder, name), { recursive: true, force: true }).catch(() => {}); // a medium that can only be read
    }
  }

  #path(name: string): string {
    checkName(name);
    return join(this.#root, name);
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

  /** Makes a folder durably: each new level is synced into its parent. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#synced.has(folder)) {
      const there = await fs.access(folder, constants.W_OK).then(
        () => true,
        () => false,
      );
      if (there) return;
    }
    const first = await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    if (first) {
      for (let at = folder; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
    }
    this.#synced.add(folder);
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
