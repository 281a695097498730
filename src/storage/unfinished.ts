import { randomBytes } from 'node:crypto';

/**
 * Where storages made of files keep what is not an object yet (docs/format.md, "In a file system"). Its name starts with a
 * dot, so that it is part of no repository.
 */
export const UNFINISHED = '.unfinished';
/** What is older than this belongs to nobody any more. */
export const ABANDONED_MS = 24 * 3600 * 1000;

/** A file in it that keeps room (docs/format.md). */
export const RESERVE = 'reserve';

/** A name in it that nobody else takes. */
export function unfinishedName(): string {
  return `${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** Where in it an object is claimed: a plus is in no object's name. */
export function claimName(object: string): string {
  return `claim-${object.replaceAll('/', '+')}`;
}

const FILE = /^\d{1,10}-[0-9a-f]{16}$/;
const FOLDER = /^(\d{1,10}-[0-9a-f]{16}\.d|claim-[A-Za-z0-9_-][A-Za-z0-9._+-]*)$/;

/** Whether a file in `.unfinished`, or in a folder of it, is called as a writer calls one. No other is ever removed. */
export function isUnfinishedFile(name: string): boolean {
  return FILE.test(name);
}

/** The same of a folder in it. */
export function isUnfinishedFolder(name: string): boolean {
  return FOLDER.test(name);
}
