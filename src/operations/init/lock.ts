import { lstat, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';

const LOCK = '.tidemark-init.lock';
/** A lock that is empty for longer was left by a process that ended before it could write. */
const WRITING_MS = 10_000;

/**
 * Keeps other inits out of a folder: what one of them makes another might use, and then lose when the first is undone.
 * The lock of a process that is no more is taken over. A folder that can't be written is not locked: nothing can be made
 * there either.
 *
 * @returns what ends the lock.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = path.join(folder, LOCK);
  for (let attempt = 1; ; attempt++) {
    try {
      return await take(file);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') return async () => {};
      if (attempt > 1 || (await isHeld(file))) {
        const hint = `wait for it; if there is none, remove ${file}`;
        throw usageError('INIT_RUNNING', `another tidemark init is at work in ${folder}`, hint, cause);
      }
      await rm(file, { force: true });
    }
  }
}

/** Where nothing can be written into it, on a full disk, it does not stay. */
async function take(file: string): Promise<() => Promise<void>> {
  const handle = await open(file, 'wx', 0o600);
  const remove = () => rm(file, { force: true });
  try {
    await handle.writeFile(String(process.pid));
    return remove;
  } catch (error) {
    await remove();
    throw error;
  } finally {
    await handle.close();
  }
}

async function isHeld(file: string): Promise<boolean> {
  const text = await readSmallFile(file).then(
    ({ bytes }) => bytes.toString('utf8'),
    () => 'nothing that an init has written',
  );
  if (text === '') return Date.now() - (await lstat(file)).mtimeMs < WRITING_MS;
  if (!/^\d+$/.test(text)) return true;
  try {
    process.kill(Number(text), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
