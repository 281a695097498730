import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileTrouble } from '../../base/errno.ts';
import { usageError } from '../../base/errors.ts';
import { makeFolders } from '../../base/makeFolders.ts';
import { readSmallFile, type SmallFile } from '../../base/smallFile.ts';
import { newKeyText, parseKeyText } from '../../repository/keys/keyText.ts';
import { requireOwn } from '../open/open.ts';
import { removeEmptyFolders, type Undo } from './undo.ts';

/** The text of the key in a file, or null where there is no such file. KEY_MALFORMED where it holds something else. */
export async function readKey(path: string): Promise<string | null> {
  let file: SmallFile;
  try {
    file = await readSmallFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const hint = 'let this user read it, or choose another key file';
    throw usageError(
      'KEY_UNREADABLE',
      `the key file ${path} can't be read: ${fileTrouble(cause)}`,
      hint,
      cause,
    );
  }
  requireOwn(path, file);
  const text = file.bytes.toString('utf8');
  parseKeyText(text, path);
  return text.trim();
}

/** The key in a file; makes both where there is no file, and never changes one. */
export async function readOrMakeKey(path: string, undo: Undo): Promise<{ text: string; made: boolean }> {
  const there = await readKey(path);
  if (there !== null) return { text: there, made: false };
  const text = newKeyText();
  try {
    const firstMade = await makeFolders(dirname(path), 0o700);
    if (firstMade !== undefined) undo.push(() => removeEmptyFolders(dirname(path), firstMade));
    const file = await open(path, 'wx', 0o600);
    undo.push(() => rm(path, { force: true }));
    try {
      await file.writeFile(`${text}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const hint = 'choose another place for the key';
    throw usageError(
      'KEY_UNWRITABLE',
      `the key file ${path} can't be written: ${fileTrouble(cause)}`,
      hint,
      cause,
    );
  }
  return { text, made: true };
}
