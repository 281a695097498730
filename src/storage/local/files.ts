import * as fs from 'node:fs/promises';
import { invariant, TidemarkError } from '../../base/errors.ts';
import type { ClaimFiles } from '../claim.ts';
import { DAMAGE_HINT } from '../damage.ts';
import { isUnfinishedFile } from '../unfinished.ts';

/** The file system calls that a folder's storage is made of, each durable when it returns. */

/** A new file, on its disk when this returns. */
export async function writeWhole(path: string, data: readonly Uint8Array[]): Promise<void> {
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

export async function syncFolder(path: string): Promise<void> {
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

/** Where there are no hard links: exFAT and FAT (EPERM), some shares (ENOTSUP, EOPNOTSUPP), some FUSE file systems (ENOSYS). */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** A second name for a file, unless the name is taken. */
export async function linkFile(from: string, to: string): Promise<'linked' | 'exists' | 'no links'> {
  try {
    await fs.link(from, to);
    return 'linked';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (NO_LINKS.has(code)) return 'no links';
    if (code !== 'EEXIST') throw error;
    // Over NFS the answer may have been lost and the request repeated: then the name that is taken is ours (link(2)).
    return (await fs.lstat(from)).nlink > 1 ? 'linked' : 'exists';
  }
}

export const CLAIM_FILES: ClaimFiles = {
  async moveFolder(from, to) {
    try {
      await fs.rename(from, to);
      return 'moved';
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // What else a share says of a folder that is in the way differs; that one is there, is what counts.
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || (await isThere(to))) return 'taken';
      throw error;
    }
  },
  moveFile: (from, to) => unlessMissing(fs.rename(from, to), 'moved', 'gone'),
  exists: isThere,
  async names(folder) {
    try {
      if (!(await fs.lstat(folder)).isDirectory()) return [];
      return (await fs.readdir(folder)).filter(isUnfinishedFile);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },
  removeFile: path => unlessMissing(fs.unlink(path), 'removed', 'gone'),
  async removeFolder(path) {
    await fs.rmdir(path).catch(() => {});
  },
};

async function unlessMissing<A, B>(call: Promise<void>, done: A, missing: B): Promise<A | B> {
  try {
    await call;
    return done;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return unlessMissing(
    fs.lstat(path).then(() => {}),
    true,
    false,
  );
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/**
 * Errors of the file system, each with what to do about it.
 *
 * @param writing what is not there then is no object, but a folder that can't be made.
 */
export function storageError(error: unknown, what: string, writing = false): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'STORAGE';
  const known = code === 'ENOENT' && writing ? 'STORAGE' : code;
  const [name, hint] = REMEDIES[known] ?? UNKNOWN;
  const reason = error instanceof Error ? error.message.replace(/^[A-Z]+: /, '') : String(error);
  const kind = known === 'ENOENT' ? 'fault' : 'failed';
  return new TidemarkError(name, `${what}: ${reason}`, hint, { cause: error, kind });
}

const UNKNOWN = ['STORAGE', 'see the reason above; is the disk or share still there?'] as const;

const REMEDIES: Record<string, [string, string]> = {
  EEXIST: ['OBJECT_EXISTS', 'somebody else wrote it first; run the command again'],
  ENOENT: ['OBJECT_MISSING', `the object is gone; ${DAMAGE_HINT}`],
  ENOSPC: [
    'STORAGE_FULL',
    "'tidemark prune' frees what no snapshot needs, a day after it was found ('tidemark forget' gives snapshots up first); or enlarge the disk, or move the repository to a larger one",
  ],
  EDQUOT: [
    'STORAGE_FULL',
    "raise the disk quota, or remove something else that counts for it; then 'tidemark prune' frees what no snapshot needs, a day after it was found",
  ],
  EACCES: ['STORAGE_DENIED', 'give the user that runs tidemark read and write permission on the folder'],
  EPERM: ['STORAGE_DENIED', 'give the user that runs tidemark read and write permission on the folder'],
  EROFS: ['STORAGE_READ_ONLY', 'the file system is mounted read-only'],
  ENOTDIR: ['STORAGE_NOT_A_FOLDER', 'the path of the repository must be a folder'],
  ENAMETOOLONG: ['STORAGE', 'use a shorter path'],
  EMFILE: ['STORAGE', 'too many open files; raise the limit (ulimit -n)'],
};
