import { isUtf8 } from 'node:buffer';
import { homedir } from 'node:os';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { fileTrouble } from '../base/errno.ts';
import { usageError } from '../base/errors.ts';
import { shellCommand } from '../base/shell.ts';
import { isWorldWritable, octal, readSmallFile, type SmallFile } from '../base/smallFile.ts';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** In the order in which they win over each other; the real environment wins over both. */
export const ENV_FILES = ['.env', '.env.local'];

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a text can be the name of an environment variable. */
export function isVariableName(text: string): boolean {
  return NAME.test(text);
}

/**
 * The variables that a strategy in `folder` sees: those of `.env`, over them those of `.env.local`, over them `environment`.
 *
 * @throws TidemarkError ENV_FILE_UNREADABLE, ENV_FILE_INVALID or FILE_WRITABLE where one of the files is there and can't
 *   be read, is no UTF-8 text or may be changed by anybody.
 */
export async function readEnvironment(folder: string, environment: Environment): Promise<Environment> {
  const merged: Record<string, string | undefined> = {};
  for (const name of ENV_FILES) Object.assign(merged, await readEnvFile(path.join(folder, name)));
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) merged[name] = value;
  return merged;
}

async function readEnvFile(file: string): Promise<Environment> {
  let found: SmallFile;
  try {
    found = await readSmallFile(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    const hint = 'make it a file that this user may read';
    throw usageError('ENV_FILE_UNREADABLE', `${file} can't be read: ${fileTrouble(cause)}`, hint, cause);
  }
  if (isWorldWritable(found)) {
    const what = `${file} can be changed by everybody on this machine (mode ${octal(found.mode)})`;
    const hint = `see that it is as you left it, then: ${shellCommand(['chmod', '600', file])}`;
    throw usageError('FILE_WRITABLE', what, hint);
  }
  const bad = invalidAt(found.bytes);
  if (bad)
    throw usageError('ENV_FILE_INVALID', `${file}:${bad.line}: ${bad.what}`, 'write the file as UTF-8 text');
  return parseEnv(found.bytes.toString('utf8'));
}

/** Where bytes are not UTF-8 text: the line counts from 1, the column in bytes; null where all of them are. */
export function invalidAt(bytes: Buffer): { line: number; column: number; what: string } | null {
  let start = 0;
  for (let line = 1; start <= bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline;
    const own = bytes.subarray(start, end);
    if (!isUtf8(own)) return { line, column: 1 + validLength(own), what: 'this line is not valid UTF-8' };
    const zero = own.indexOf(0);
    if (zero !== -1) return { line, column: zero + 1, what: 'this line has a zero byte' };
    start = end + 1;
  }
  return null;
}

/** How many bytes are text before the first that is none. */
function validLength(bytes: Buffer): number {
  let length = 0;
  for (const character of bytes.toString('utf8')) {
    const size = Buffer.byteLength(character);
    if (character === '\ufffd' && !bytes.subarray(length, length + size).equals(REPLACEMENT)) break;
    length += size;
  }
  return length;
}

const REPLACEMENT = Buffer.from('\ufffd');

export interface Expansion {
  text: string;
  /** Variables without a default that are not set, or set to nothing. */
  missing: string[];
  /** There is a `${` that starts no reference. */
  malformed: boolean;
}

/**
 * Puts variables into a text: `${NAME}`, and `${NAME:-default}` where NAME is not set or empty. `$${` stands for `${`.
 * A lone `$NAME` is left alone.
 */
export function expand(text: string, environment: Environment): Expansion {
  const missing: string[] = [];
  let malformed = false;
  const expanded = text.replace(/\$?\$\{(?:([^}]*)\})?/g, (reference, inside: string | undefined) => {
    if (reference.startsWith('$$')) return reference.slice(1);
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside ?? '') ?? [];
    if (name === undefined) {
      malformed = true;
      return '';
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value) return value;
    if (fallback === undefined) missing.push(name);
    return fallback ?? '';
  });
  return { text: expanded, missing: [...new Set(missing)], malformed };
}

/** Whether a path starts in the home directory of a user who is named, as shells have it: `~root/key`. */
export function isOthersHome(written: string): boolean {
  return /^~[^/]/.test(written);
}

/** An absolute path: `~` is the home directory, a relative path starts in `folder`. */
export function absolutePath(written: string, folder: string, environment: Environment): string {
  const home = environment.HOME || homedir();
  if (written === '~') return home;
  if (written.startsWith('~/')) return path.join(home, written.slice(2));
  return path.resolve(folder, written);
}
