import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileTrouble } from '../../base/errno.ts';
import { usageError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import type { Undo } from '../key/undo.ts';

const GIT_TIMEOUT_MS = 10_000;
const run = promisify(execFile);

/**
 * Sees to it that files in a folder are never committed: adds those to its .gitignore that git does not ignore yet.
 * Does nothing where there is no git repository.
 *
 * @param entries as .gitignore has them: `.env`, `backups/`.
 * @returns the entries that were added.
 */
export async function ignoreInGit(folder: string, entries: readonly string[], undo: Undo): Promise<string[]> {
  if (!isInWorkTree(folder)) return [];
  const file = path.join(folder, '.gitignore');
  const before = await textOf(file);
  const missing: string[] = [];
  for (const entry of entries) if (!(await isIgnored(folder, entry, before ?? ''))) missing.push(entry);
  if (missing.length === 0) return [];
  undo.push(() => (before === null ? rm(file, { force: true }) : truncate(file, Buffer.byteLength(before))));
  const start = !before || before.endsWith('\n') ? '' : '\n';
  await appendFile(file, start + missing.map(entry => `${pattern(entry)}\n`).join('')).catch(
    unwritable(file),
  );
  return missing;
}

/** Null where there is no such file. */
async function textOf(file: string): Promise<string | null> {
  try {
    return (await readSmallFile(file)).bytes.toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    return unwritable(file)(error);
  }
}

const unwritable = (file: string) => (cause: unknown) => {
  const what = `${file} can't be read or added to: ${fileTrouble(cause)}`;
  const hint = 'it is to keep secrets out of git: mend it, or use a folder outside of the git repository';
  throw usageError('GITIGNORE_UNWRITABLE', what, hint, cause);
};

/** Whether a file is under version control already, so that ignoring it is of no use. */
export async function isTracked(folder: string, entry: string): Promise<boolean> {
  if (!isInWorkTree(folder)) return false;
  const args = ['-C', folder, 'ls-files', '--error-unmatch', '--', `:(literal)${entry}`];
  return run('git', args, { timeout: GIT_TIMEOUT_MS }).then(
    () => true,
    () => false,
  );
}

function isInWorkTree(folder: string): boolean {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (existsSync(path.join(at, '.git'))) return true;
    if (at === path.dirname(at)) return false;
  }
}

/** As git sees it; where there is no git, or it refuses, as the folder's own .gitignore says. */
async function isIgnored(folder: string, entry: string, gitignore: string): Promise<boolean> {
  try {
    await run('git', ['-C', folder, 'check-ignore', '-q', '--no-index', '--', entry], {
      timeout: GIT_TIMEOUT_MS,
    });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 1) return false;
    const lines = gitignore.split('\n').map(line => line.trim());
    return lines.includes(entry) || lines.includes(pattern(entry));
  }
}

/** A name as a pattern that matches nothing else: anchored, its special characters escaped. */
function pattern(entry: string): string {
  if (entry === '.env') return entry;
  return `/${entry.replace(/[\\*?[\]!#]/g, '\\$&').replace(/ +$/, spaces => '\\ '.repeat(spaces.length))}`;
}
