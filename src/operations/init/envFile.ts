import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { fileTrouble } from '../../base/errno.ts';
import { TidemarkError, usageError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import type { Environment } from '../../strategy/environment.ts';
import type { Undo } from '../key/undo.ts';

/** Tried in turn; a name that means something else already is passed over. */
const NAMES_MAX = 100;

/** The variable that holds the URL, or is to hold it. */
export interface UrlVariable {
  name: string;
  /** It has the value already. */
  isSet: boolean;
}

/**
 * DATABASE_URL, or, where that means another database, one with the database's name in front. `environment` is what the
 * strategy will see: the process's variables over those of `.env.local` and `.env`.
 */
export function chooseVariable(url: string, databaseName: string, environment: Environment): UrlVariable {
  const prefixed = `${variablePrefix(databaseName)}_DATABASE_URL`;
  const more = Array.from({ length: NAMES_MAX }, (_, i) => `${prefixed}_${i + 2}`);
  for (const name of ['DATABASE_URL', prefixed, ...more]) {
    const value = environment[name];
    if (value === undefined || value === url) return { name, isSet: value === url };
  }
  throw usageError('VARIABLES_TAKEN', `${prefixed} and ${NAMES_MAX} more are taken`, 'remove some from .env');
}

/** `my db` becomes MY_DB; what has no Latin letters becomes TIDEMARK. */
function variablePrefix(databaseName: string): string {
  const plain = databaseName.normalize('NFKD').replace(/\p{M}/gu, '').toUpperCase();
  const name = plain.replace(/[^A-Z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  if (name === '') return 'TIDEMARK';
  return /^[0-9]/.test(name) ? `DB_${name}` : name;
}

/**
 * Adds a variable to the end of a `.env` file, quoted so that it is read back exactly, and closes the file to others.
 * Everything that was there before still reads the same; ENV_FILE_ODD where that can't be had.
 *
 * @returns whether the file was there, and could be read by others.
 */
export async function addVariable(
  file: string,
  name: string,
  value: string,
  undo: Undo,
): Promise<{ wasOpen: boolean }> {
  try {
    const before = await readSmallFile(file).then(({ bytes }) => bytes.toString('utf8'), unlessMissing);
    const addition = encode(before ?? '', name, value, file);
    const handle = await open(file, 'a', 0o600);
    try {
      const { mode, size } = await handle.stat();
      undo.push(() => (before === null ? rm(file, { force: true }) : restoreFile(file, size, mode)));
      await handle.chmod(0o600);
      await handle.appendFile(addition);
      await handle.sync();
      return { wasOpen: before !== null && (mode & 0o077) !== 0 };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    const hint = `let this user write ${path.basename(file)}, or set ${name} yourself and run init again without the URL`;
    throw usageError('ENV_FILE_UNWRITABLE', `${file} can't be written: ${fileTrouble(cause)}`, hint, cause);
  }
}

/** The file as it was: what was added is cut off again. */
async function restoreFile(file: string, sizeBytes: number, mode: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.truncate(sizeBytes);
    await handle.chmod(mode & 0o7777);
  } finally {
    await handle.close();
  }
}

function encode(before: string, name: string, value: string, file: string): string {
  const start = before === '' || before.endsWith('\n') ? '' : '\n';
  const old = parseEnv(before);
  for (const quote of ["'", '"', '`', '']) {
    const addition = `${start}${name}=${quote}${value}${quote}\n`;
    if (sameVariables(parseEnv(before + addition), { ...old, [name]: value })) return addition;
  }
  const hint = `write ${name} into it yourself, then run init again without the URL`;
  throw usageError('ENV_FILE_ODD', `${name} can't be added to ${file} so that it is read back exactly`, hint);
}

function sameVariables(a: NodeJS.Dict<string>, b: NodeJS.Dict<string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name]);
}

function unlessMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}
