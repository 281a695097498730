import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { RESERVE } from '../unfinished.ts';

/** Room that is kept on a disk, so that what frees space can be written where there is none left. */
const RESERVE_BYTES = 2 ** 20;
const SMALLEST_BYTES = 32 * 1024;
/** The reserve is at most this part of what is free when it is made. */
const PART = 64;

/** Makes the reserve in a folder where there is none and room for it; that it can't be made is no fault. */
export async function keepReserve(folder: string): Promise<void> {
  const path = join(folder, RESERVE);
  try {
    await fs.lstat(path);
    return;
  } catch {}
  let made = false;
  try {
    const { bavail, bsize } = await fs.statfs(folder);
    const sizeBytes = Math.min(RESERVE_BYTES, Math.floor((bavail * bsize) / PART));
    if (sizeBytes < SMALLEST_BYTES) return;
    const file = await fs.open(path, 'wx', 0o600);
    made = true;
    try {
      // Bytes that are written: a hole would take no room.
      await file.writeFile(Buffer.alloc(sizeBytes, 1));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch {
    if (made) await fs.rm(path, { force: true }).catch(() => {});
  }
}

/** Gives the reserve up. */
export async function useReserve(folder: string): Promise<void> {
  const path = join(folder, RESERVE);
  const found = await fs.lstat(path).catch(() => undefined);
  if (found?.isFile()) await fs.unlink(path).catch(() => {});
}
