/**
 * The password file: lines of `host:port:database:user:password`, `*` for any, `\:` and `\\` for the characters.
 * Source: https://www.postgresql.org/docs/current/libpq-pgpass.html ("The Password File").
 */
import { readFile, stat } from 'node:fs/promises';
import { DEFAULT_SOCKET_DIRECTORIES, type HostAddress } from './hosts.ts';

/** One line; `null` stands for `*`. */
export interface PasswordEntry {
  host: string | null;
  port: string | null;
  database: string | null;
  user: string | null;
  password: string;
}

/** A file that others may read is not read, as in libpq: `warning` says so. A file that is missing is no fault. */
export async function readPasswordFile(
  path: string,
): Promise<{ entries: PasswordEntry[]; warning?: string }> {
  try {
    const info = await stat(path);
    if (!info.isFile())
      return { entries: [], warning: `password file ${path} was ignored: it is not a plain file` };
    if (process.platform !== 'win32' && (info.mode & 0o077) !== 0) {
      return {
        entries: [],
        warning: `password file ${path} was ignored: others can read it; run chmod 600 ${path}`,
      };
    }
    return { entries: parsePasswordFile(await readFile(path, 'utf8')) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { entries: [] };
    return { entries: [], warning: `password file ${path} was ignored: it can not be read (${code})` };
  }
}

export function parsePasswordFile(text: string): PasswordEntry[] {
  const entries: PasswordEntry[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/\r+$/, '');
    if (line.startsWith('#')) continue;
    const fields = line.match(/(?:[^:\\]|\\[\s\S]?)*(?::|$)/g)?.map(field => field.replace(/:$/, '')) ?? [];
    if (fields.length < 5) continue;
    const [host, port, database, user, password] = fields as [string, string, string, string, string];
    entries.push({
      host: pattern(host),
      port: pattern(port),
      database: pattern(database),
      user: pattern(user),
      password: withoutEscapes(password),
    });
  }
  return entries;
}

/** The first line that matches counts. A socket in the default directory goes by `localhost` too. */
export function findPassword(
  entries: PasswordEntry[],
  host: HostAddress,
  database: string,
  user: string,
): string | undefined {
  const names = DEFAULT_SOCKET_DIRECTORIES.includes(host.host) ? ['localhost', host.host] : [host.host];
  return entries.find(
    entry =>
      (entry.host === null || names.includes(entry.host)) &&
      (entry.port === null || entry.port === String(host.port)) &&
      (entry.database === null || entry.database === database) &&
      (entry.user === null || entry.user === user),
  )?.password;
}

function pattern(field: string): string | null {
  return field === '*' ? null : withoutEscapes(field);
}

function withoutEscapes(field: string): string {
  return field.replace(/\\([\s\S])/g, '$1');
}
