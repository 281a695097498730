import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { TidemarkError } from '../base/errors.ts';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** In the order in which they win over each other; the real environment wins over both. */
const ENV_FILES = ['.env', '.env.local'];

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a text can be the name of an environment variable. */
export function isVariableName(text: string): boolean {
  return NAME.test(text);
}

/**
 * The variables that a strategy in `folder` sees: those of `.env`, over them those of `.env.local`, over them `environment`.
 *
 * @throws TidemarkError ENV_FILE_UNREADABLE where one of the files is there and can't be read.
 */
export async function readEnvironment(folder: string, environment: Environment): Promise<Environment> {
  const merged: Record<string, string | undefined> = {};
  for (const name of ENV_FILES) Object.assign(merged, await readEnvFile(path.join(folder, name)));
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) merged[name] = value;
  return merged;
}

async function readEnvFile(file: string): Promise<Environment> {
  try {
    return parseEnv(await readFile(file, 'utf8'));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return {};
    throw new TidemarkError(
      'ENV_FILE_UNREADABLE',
      `${file} can't be read: ${code}`,
      'make it a file that this user may read',
      {
        kind: 'usage',
        cause,
      },
    );
  }
}

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

/** An absolute path: `~` is the home directory, a relative path starts in `folder`. */
export function absolutePath(written: string, folder: string, environment: Environment): string {
  const home = environment.HOME || homedir();
  if (written === '~') return home;
  if (written.startsWith('~/')) return path.join(home, written.slice(2));
  return path.resolve(folder, written);
}
