import { stat } from 'node:fs/promises';
import path from 'node:path';
import { shellCommand } from '../../base/shell.ts';
import { isOpenToOthers, octal } from '../../base/smallFile.ts';
import { ENV_FILES } from '../../strategy/environment.ts';
import type { Strategy } from '../../strategy/spec.ts';

/** A line for each file of a strategy that holds a secret and that others than its owner can read. */
export async function openSecretFiles(strategy: Strategy): Promise<string[]> {
  const lines: string[] = [];
  for (const file of new Set(secretFiles(strategy))) {
    const found = await stat(file).catch(() => null);
    if (!found?.isFile() || !isOpenToOthers(found)) continue;
    const mode = octal(found.mode & 0o777);
    lines.push(`warning: others can read ${file} (mode ${mode}): ${shellCommand(['chmod', '600', file])}`);
  }
  return lines;
}

function* secretFiles({ folder, repositories, databases }: Strategy): Iterable<string> {
  for (const name of ENV_FILES) yield path.join(folder, name);
  for (const { key } of repositories.values()) if ('path' in key) yield key.path;
  for (const { connection } of databases.values())
    for (const file of [connection.urlFile, connection.passwordFile, connection.sslkey]) if (file) yield file;
}
