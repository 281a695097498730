import { open, realpath, rename } from 'node:fs/promises';
import path from 'node:path';
import { usageError } from '../../base/errors.ts';
import { readOrMakeKey } from './keyFile.ts';
import type { Undo } from './undo.ts';

/** A new key that waits beside the old one until it opens the repository. */
export interface WaitingKey {
  /** The file whose key is replaced, links resolved. */
  file: string;
  /** Where the new key lies until then. */
  beside: string;
  text: string;
  /** False where it was left by a rotation that was cut off. */
  made: boolean;
}

/** Writes a new key beside a key file, or takes up the one that a rotation has left there. */
export async function makeKeyBeside(keyFile: string, undo: Undo): Promise<WaitingKey> {
  const file = await realpath(keyFile).catch(() => keyFile);
  const beside = `${file}.new`;
  return { file, beside, ...(await readOrMakeKey(beside, undo)) };
}

/** Puts the new key in the old one's place, in one step. */
export async function swapKeyFile({ file, beside }: WaitingKey): Promise<void> {
  try {
    await rename(beside, file);
    const folder = await open(path.dirname(file), 'r');
    await folder.sync().finally(() => folder.close());
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw usageError(
      'KEY_UNWRITABLE',
      `the new key in ${beside} can't take the place of ${file}: ${code}`,
      'both open the repository; put the new one in its place, then run the command again, which removes the old slot',
      cause,
    );
  }
}
