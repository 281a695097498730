import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { faultError, TidemarkError } from '../../base/errors.ts';
import { makeFolders } from '../../base/makeFolders.ts';

const FOLDER_MODE = 0o700;

/**
 * The folder of a storage. It may itself be reached through symbolic links, which are followed once; none is followed below
 * it. Node has no openat(2): a folder is looked at right before it is used, so that who may write in the repository and
 * exchanges a folder for a link in that moment is not kept out.
 */
export class RootFolder {
  readonly #given: string;
  #real: Promise<string> | undefined;
  /** Of the file system that it was on when it was first looked at. */
  #device: number | undefined;

  constructor(path: string) {
    this.#given = resolve(path);
  }

  /** Absolute, without links. */
  get path(): Promise<string> {
    this.#real ??= resolved(this.#given).catch(error => {
      this.#real = undefined;
      throw error;
    });
    return this.#real;
  }

  /**
   * That it is still where it was: what is written into a folder that stands in the place of a repository, of a disk that was
   * taken away, is lost.
   *
   * @throws TidemarkError STORAGE_GONE where it was there before and is no more, or is another file system's.
   */
  async requireStill(): Promise<void> {
    const path = await this.path;
    const device = await fs.stat(path).then(
      found => found.dev,
      error => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      },
    );
    this.#device ??= device;
    if (device === this.#device) return;
    const what = device === undefined ? 'is not there any more' : 'is on another file system than it was';
    throw new TidemarkError(
      'STORAGE_GONE',
      `${path} ${what}`,
      'see that its disk or share is mounted, then run the command again',
    );
  }

  /** Makes a folder and those above it. Nothing is made behind a link. Returns the first that was made. */
  async make(folder: string): Promise<string | undefined> {
    const there = await this.requireOwn(folder).then(
      () => true,
      error => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return false;
      },
    );
    if (there) return undefined;
    if (folder === (await this.path)) {
      await this.requireStill();
      return makeFolders(folder, FOLDER_MODE);
    }
    const first = await this.make(dirname(folder));
    const made = await fs.mkdir(folder, { mode: FOLDER_MODE }).then(
      () => true,
      error => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        return false;
      },
    );
    await this.requireOwn(folder);
    return first ?? (made ? folder : undefined);
  }

  /** The path of a name or folder below it. Nothing is looked at. */
  async at(name: string): Promise<string> {
    return join(await this.path, name);
  }

  /**
   * @throws ENOENT where the folder isn't there, TidemarkError FOLDER_IS_LINK where it, or one on the way from the root to
   *   it, is a symbolic link.
   */
  async requireOwn(folder: string): Promise<void> {
    const real = await fs.realpath(folder).catch(async error => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // A link to nothing is there all the same.
      if ((await fs.lstat(folder)).isSymbolicLink()) return undefined;
      throw error;
    });
    if (real === folder) {
      this.#device ??= (await fs.stat(await this.path)).dev;
      return;
    }
    const hint =
      'tidemark follows no link inside a repository: put the folder itself there (or mount it there), or move the whole repository and change its path in the strategy';
    throw faultError('FOLDER_IS_LINK', `${folder} is, or lies behind, a symbolic link`, hint);
  }
}

/** The part of the path that is not there yet stays as it is written. */
async function resolved(path: string): Promise<string> {
  for (let at = path, rest = ''; ; rest = join(basename(at), rest), at = dirname(at)) {
    try {
      return join(await fs.realpath(at), rest).replace(/(.)\/$/, '$1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) throw error;
    }
  }
}

/** What is neither a regular file nor a folder, for people. */
export function typeOf(found: Pick<Stats, 'isSymbolicLink' | 'isDirectory' | 'isFIFO' | 'isSocket'>): string {
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}
