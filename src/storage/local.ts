import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { invariant, TidemarkError, usageError } from '../base/errors.ts';
import { type Address, refuseSettings, type StorageKind, type StorageSettings } from './kind.ts';
import { checkName, truncated } from './object.ts';
import type { PutOptions, Storage, StoredObject } from './storage.ts';

export interface LocalSpec {
  kind: 'local';
  /** Absolute, without a slash at the end. */
  path: string;
}

export const localKind: StorageKind<LocalSpec> = {
  kind: 'local',
  schemes: ['file'],
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
  async open(spec) {
    const storage = new LocalStorage(spec.path);
    await storage.sweep();
    return storage;
  },
};

/** Where unfinished writes stand; `list` never looks here, and `open` clears what crashed writers left. */
const UNFINISHED = '.unfinished';
/** An unfinished write older than this belongs to nobody. */
const ABANDONED_MS = 24 * 3600 * 1000;

/** A folder as a storage. A write goes to a temporary file, is synced, then renamed (or linked, for `ifAbsent`). */
export class LocalStorage implements Storage {
  readonly place: string;
  readonly #root: string;
  readonly #synced = new Set<string>();

  constructor(path: string) {
    this.#root = path;
    this.place = path;
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    const target = this.#path(name);
    const folder = join(this.#root, UNFINISHED);
    const temporary = join(folder, `${process.pid}-${randomBytes(8).toString('hex')}`);
    try {
      await this.#makeFolder(folder);
      await writeWhole(temporary, data);
      await this.#makeFolder(dirname(target));
      if (options.ifAbsent) await fs.link(temporary, target);
      else await fs.rename(temporary, target);
      await syncFolder(dirname(target));
    } catch (error) {
      throw storageError(error, `can't write ${name} in ${this.place}`);
    } finally {
      await fs.rm(temporary, { force: true }).catch(() => {});
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
      await syncFolder(dirname(path)).catch(error => {
        if (!isMissing(error)) throw error;
      });
    } catch (error) {
      throw storageError(error, `can't remove ${name} in ${this.place}`);
    }
  }

  async now(): Promise<Date> {
    const folder = join(this.#root, UNFINISHED);
    const probe = join(folder, `clock-${process.pid}-${randomBytes(8).toString('hex')}`);
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

  async close(): Promise<void> {}

  /** Removes what writers that died left behind. */
  async sweep(): Promise<void> {
    const folder = join(this.#root, UNFINISHED);
    for (const name of await fs.readdir(folder).catch(() => [])) {
      const found = await fs.stat(join(folder, name)).catch(() => undefined);
      if (found && Date.now() - found.mtimeMs > ABANDONED_MS)
        await fs.rm(join(folder, name), { force: true }).catch(() => {}); // a medium that can only be read
    }
  }

  #path(name: string): string {
    checkName(name);
    return join(this.#root, name);
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

async function writeWhole(path: string, data: readonly Uint8Array[]): Promise<void> {
  const file = await fs.open(path, 'wx', 0o600);
  try {
    let total = 0;
    for (const piece of data) total += piece.byteLength;
    let done = 0;
    // writev may write less than asked (a disk that fills up); what is left is written piece by piece.
    for (let at = 0; at < data.length; at += 512) {
      const batch = data.slice(at, at + 512);
      const { bytesWritten } = await file.writev(batch as Uint8Array[]);
      done += bytesWritten;
      let rest = bytesWritten;
      for (const piece of batch) {
        if (rest >= piece.byteLength) rest -= piece.byteLength;
        else {
          let offset = rest;
          rest = 0;
          while (offset < piece.byteLength) {
            const result = await file.write(piece, offset);
            offset += result.bytesWritten;
            done += result.bytesWritten;
          }
        }
      }
    }
    invariant(done === total, `wrote ${done} of ${total} bytes`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await fs.open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems (network shares) don't sync folders; the rename itself is then as durable as they make it.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EPERM') throw error;
  } finally {
    await folder.close();
  }
}

const isMissing = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

/** Errors of the file system, each with what to do about it. */
function storageError(error: unknown, what: string): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'STORAGE';
  const [name, hint] = REMEDIES[code] ?? [
    'STORAGE',
    'see the reason above; is the disk or share still there?',
  ];
  const reason = error instanceof Error ? error.message.replace(/^[A-Z]+: /, '') : String(error);
  const kind = code === 'ENOENT' ? 'fault' : 'failed';
  return new TidemarkError(name, `${what}: ${reason}`, hint, { cause: error, kind });
}

const REMEDIES: Record<string, [string, string]> = {
  EEXIST: ['OBJECT_EXISTS', 'somebody else wrote it first; run the command again'],
  ENOENT: ['OBJECT_MISSING', "the object is gone; run 'tidemark verify --all' to see what is hurt"],
  ENOSPC: [
    'STORAGE_FULL',
    "free some space, or move the repository to a larger disk; 'tidemark prune' frees what no snapshot needs",
  ],
  EDQUOT: ['STORAGE_FULL', 'the disk quota is used up; free some space or raise it'],
  EACCES: ['STORAGE_DENIED', 'give the user that runs tidemark read and write permission on the folder'],
  EPERM: ['STORAGE_DENIED', 'give the user that runs tidemark read and write permission on the folder'],
  EROFS: ['STORAGE_READ_ONLY', 'the file system is mounted read-only'],
  ENOTDIR: ['STORAGE_NOT_A_FOLDER', 'the path of the repository must be a folder'],
  EMFILE: ['STORAGE', 'too many open files; raise the limit (ulimit -n)'],
};
