import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/errors.ts';

const LOCK = '.tidemark-init.lock';

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
      await writeFile(file, String(process.pid), { flag: 'wx', mode: 0o600 });
      return () => rm(file, { force: true });
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

async function isHeld(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => '');
  // One that is empty is being written just now.
  if (!/^\d+$/.test(text)) return true;
  try {
    process.kill(Number(text), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
