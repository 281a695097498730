import { dirname } from 'node:path/posix';
import type { Attributes, Entry } from 'ssh2';
import { TidemarkError } from '../../base/errors.ts';
import type { ClaimFiles } from '../claim.ts';
import { isUnfinishedFile } from '../unfinished.ts';
import { hasStatus, LostError, type SftpChannel, STATUS, UnsupportedError } from './channel.ts';
import { readAll, writeAll } from './transfer.ts';

/** What one channel does with files and folders, over the differences between servers. */

/** How often others may remove a folder before something is in it. */
const FOLDER_ATTEMPTS = 10;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const TYPE_BITS = 0o170000;

export const isFolder = ({ mode }: Attributes): boolean => (mode & TYPE_BITS) === 0o040000;
export const isLink = ({ mode }: Attributes): boolean => (mode & TYPE_BITS) === 0o120000;
export const isFile = ({ mode }: Attributes): boolean => (mode & TYPE_BITS) === 0o100000;

/** What the call gives, or something else where there is no such file. */
export async function ifThere<A, B>(call: Promise<A>, otherwise: B): Promise<A | B> {
  try {
    return await call;
  } catch (error) {
    if (hasStatus(error, STATUS.noSuchFile)) return otherwise;
    throw error;
  }
}

export async function isThere(channel: SftpChannel, path: string): Promise<boolean> {
  return (await ifThere(channel.lstat(path), undefined)) !== undefined;
}

export async function entriesOf(channel: SftpChannel, folder: string): Promise<Entry[]> {
  const handle = await channel.opendir(folder);
  try {
    const entries: Entry[] = [];
    for (let some = await channel.readdir(handle); some; some = await channel.readdir(handle))
      entries.push(...some);
    return entries;
  } finally {
    await channel.close(handle).catch(() => {});
  }
}

export interface WrittenFile {
  /** Seconds since 1970. */
  mtime: number;
  /** It is on the server's disk; false where the server has no fsync@openssh.com. */
  synced: boolean;
}

/** Makes a new file. */
export async function writeFile(
  channel: SftpChannel,
  path: string,
  data: readonly Uint8Array[],
): Promise<WrittenFile> {
  const handle = await channel.open(path, 'wx', FILE_MODE);
  try {
    await writeAll(channel, handle, data);
    const [found, synced] = await Promise.all([channel.fstat(handle), sync(channel, handle)]);
    const wanted = data.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (found.size !== wanted) throw shortened(path, found.size, wanted);
    await channel.close(handle);
    return { mtime: found.mtime, synced };
  } catch (error) {
    await channel.close(handle).catch(() => {});
    throw error;
  }
}

export interface ReadFile {
  /** Of what was asked for, as much as there is. */
  bytes: Buffer;
  /** Of the whole file. */
  sizeBytes: number;
}

/**
 * The whole file, or a part of it.
 *
 * @param path of a regular file: opening a FIFO would hold up the channel.
 * @param check told how long the file is before memory is taken for all of it.
 */
export async function readFile(
  channel: SftpChannel,
  path: string,
  range?: { offset: number; length: number },
  check: (sizeBytes: number) => void = () => {},
): Promise<ReadFile> {
  const handle = await channel.open(path, 'r');
  try {
    const found = await channel.fstat(handle);
    if (!range) check(found.size);
    const { offset, length } = range ?? { offset: 0, length: found.size };
    const there = Math.max(0, Math.min(length, found.size - offset));
    const buffer = Buffer.allocUnsafeSlow(there);
    const read = await readAll(channel, handle, buffer, offset);
    return { bytes: buffer.subarray(0, read), sizeBytes: found.size };
  } finally {
    await channel.close(handle).catch(() => {});
  }
}

async function sync(channel: SftpChannel, handle: Buffer): Promise<boolean> {
  try {
    await channel.fsync(handle);
    return true;
  } catch (error) {
    if (!(error instanceof UnsupportedError) && !hasStatus(error, STATUS.unsupported)) throw error;
    return false;
  }
}

function shortened(path: string, size: number, wanted: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_WRONG',
    `the server took ${wanted} bytes for ${path} and keeps ${size}`,
    'look at its disk; nothing on it can be relied on',
  );
}

/** Makes a folder and those above it, where they are not there yet; others may make and remove them at the same time. */
export async function makeFolder(channel: SftpChannel, path: string): Promise<void> {
  const above = dirname(path);
  for (let attempt = 1; ; attempt++) {
    const refusal = await tryFolder(channel, path);
    if (!refusal) return;
    if (refusal instanceof LostError || above === path || attempt === FOLDER_ATTEMPTS) throw refusal;
    // What is denied stays so, once what it lies in is there.
    if (attempt > 1 && hasStatus(refusal, STATUS.permissionDenied)) throw refusal;
    await makeFolder(channel, above);
  }
}

/** Undefined where it is there now: what a server says of a folder that was there before differs. */
async function tryFolder(channel: SftpChannel, path: string): Promise<unknown> {
  try {
    await channel.mkdir(path, FOLDER_MODE);
    return undefined;
  } catch (error) {
    if (error instanceof LostError) return error;
    const found = await ifThere(channel.lstat(path), undefined);
    if (found && !isFolder(found) && !isLink(found)) throw notAFolder(path);
    return found ? undefined : error;
  }
}

function notAFolder(path: string): TidemarkError {
  const hint = 'the path of the repository must be a folder';
  return new TidemarkError('STORAGE_NOT_A_FOLDER', `${path} is not a folder`, hint);
}

/**
 * Does something in a folder, which is made first where that turns out to be the trouble. It may be removed as an empty one
 * as soon as it is made.
 */
export async function inFolder<T>(channel: SftpChannel, folder: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof LostError || error instanceof UnsupportedError || error instanceof TidemarkError)
        throw error;
      // Another may have made it since; what other servers say where it lacks differs.
      const lacks = hasStatus(error, STATUS.noSuchFile) || !(await isThere(channel, folder));
      if (!lacks || attempt === FOLDER_ATTEMPTS) throw error;
    }
    await makeFolder(channel, folder);
  }
}

/**
 * Moves a file into the place of what is there. Where the server has no posix-rename@openssh.com, that takes two steps, unless
 * what is there has the same bytes.
 *
 * @returns whether the server has it.
 */
export async function replace(
  channel: SftpChannel,
  from: string,
  to: string,
  isSame: () => Promise<boolean | undefined>,
): Promise<boolean> {
  try {
    return await move(channel, from, to);
  } catch (error) {
    if (error instanceof LostError || !(await isThere(channel, from)) || !(await isThere(channel, to)))
      throw error;
    if (await isSame()) await channel.unlink(from);
    else {
      await channel.unlink(to);
      await move(channel, from, to);
    }
    return false;
  }
}

/** rename(2) where the server has it; otherwise it fails where something is there. Which, is returned. */
async function move(channel: SftpChannel, from: string, to: string): Promise<boolean> {
  try {
    await channel.posixRename(from, to);
    return true;
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    await channel.rename(from, to);
    return false;
  }
}

/** Only if it is empty; whether it is gone now. */
export async function removeFolder(channel: SftpChannel, path: string): Promise<boolean> {
  return channel.rmdir(path).then(
    () => true,
    () => false,
  );
}

export function claimFiles(channel: SftpChannel): ClaimFiles {
  return {
    async moveFolder(from, to) {
      for (let attempt = 1; ; attempt++) {
        try {
          await move(channel, from, to);
          return 'moved';
        } catch (error) {
          if (error instanceof LostError) throw error;
          if (await isThere(channel, to)) return 'taken';
          // What was in the way may have gone since.
          if (attempt > 1) throw error;
        }
      }
    },
    async moveFile(from, to) {
      try {
        await move(channel, from, to);
        return 'moved';
      } catch (error) {
        if (error instanceof LostError) throw error;
        if (!(await isThere(channel, from))) return 'gone';
        // The folder it goes to may have been removed as an empty one.
        await inFolder(channel, dirname(to), () => move(channel, from, to));
        return 'moved';
      }
    },
    exists: path => isThere(channel, path),
    async names(folder) {
      const found = await ifThere(channel.lstat(folder), undefined);
      if (!found || !isFolder(found)) return [];
      const entries = await ifThere(entriesOf(channel, folder), []);
      return entries.map(entry => entry.filename).filter(isUnfinishedFile);
    },
    removeFile: path =>
      ifThere(
        channel.unlink(path).then(() => 'removed' as const),
        'gone' as const,
      ),
    async removeFolder(path) {
      await removeFolder(channel, path);
    },
  };
}
