import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ABANDONED_MS, isUnfinishedFile, isUnfinishedFolder, UNFINISHED } from '../unfinished.ts';
import type { RootFolder } from './root.ts';

/**
 * Removes what writers that died left in `.unfinished`: regular files, and folders of nothing but such, whose names are those
 * that writers give, once they are older than a day. What is anything else, or lies behind a link, stays.
 *
 * @param now the storage's clock, which dated them.
 */
export async function sweepUnfinished(root: RootFolder, now: () => Promise<Date>): Promise<void> {
  const folder = await root.at(UNFINISHED);
  await root.requireOwn(folder);
  const names = await fs.readdir(folder);
  if (!names.some(name => isUnfinishedFile(name) || isUnfinishedFolder(name))) return;
  const before = (await now()).getTime() - ABANDONED_MS;
  for (const name of names) {
    const path = join(folder, name);
    await root.requireOwn(folder);
    if (isUnfinishedFile(name)) await removeFile(path, before);
    else if (isUnfinishedFolder(name)) await removeFolder(path, before);
  }
}

async function removeFile(path: string, before: number): Promise<void> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (found?.isFile() && found.mtimeMs < before) await fs.unlink(path).catch(() => {});
}

async function removeFolder(path: string, before: number): Promise<void> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (!found?.isDirectory() || found.mtimeMs >= before) return;
  for (const name of await fs.readdir(path).catch(() => []))
    if (isUnfinishedFile(name)) await removeFile(join(path, name), Number.POSITIVE_INFINITY);
  await fs.rmdir(path).catch(() => {}); // not empty where something else is in it
}
