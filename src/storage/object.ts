import { faultError, invariant, TidemarkError } from '../base/errors.ts';
import { DAMAGE_HINT } from './damage.ts';
import type { Storage } from './storage.ts';

/** What all storages say alike of single objects: what may be a name, and what is wrong with one. */

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Whether a text can be the name of an object (storage.ts says what those are). What isn't one is none of ours. */
export function isObjectName(name: string): boolean {
  return NAME.test(name);
}

/** What a list says of an entry whose name is none of ours. */
export const OTHER_NAME = 'a name that tidemark gives to nothing';

/**
 * Bytes that an object may have at most to be read as a whole, by the folder it is in (docs/format.md, "Sizes"): one that has
 * more was not written by tidemark.
 */
export function wholeBytesMax(name: string): number {
  return WHOLE_BYTES_MAX[name.split('/', 1)[0]!] ?? MANIFEST_BYTES_MAX;
}

/** A manifest names 16 MiB packs in some bytes each: 256 MiB of it would be more than a hundred terabytes. */
const MANIFEST_BYTES_MAX = 256 * 2 ** 20;
const SMALL_BYTES_MAX = 2 ** 20;
const WHOLE_BYTES_MAX: Readonly<Record<string, number>> = {
  'repository.json': SMALL_BYTES_MAX,
  keys: SMALL_BYTES_MAX,
  epochs: 64 * SMALL_BYTES_MAX,
  leases: SMALL_BYTES_MAX,
  holds: SMALL_BYTES_MAX,
  locked: SMALL_BYTES_MAX,
};

/** @throws TidemarkError OBJECT_TOO_LARGE before memory is taken for an object that is to be read as a whole. */
export function checkWholeSize(name: string, place: string, sizeBytes: number): void {
  const most = wholeBytesMax(name);
  if (sizeBytes <= most) return;
  throw faultError(
    'OBJECT_TOO_LARGE',
    `${name} in ${place} has ${sizeBytes} bytes, where tidemark writes at most ${most}`,
    "it is no object of tidemark; see what put it there, and run 'tidemark verify --all'",
  );
}

/** @param what `a symbolic link`. */
export function foreign(name: string, place: string, what: string): TidemarkError {
  return faultError(
    'OBJECT_FOREIGN',
    `${name} in ${place} is ${what}, no object of tidemark`,
    "tidemark follows no link and opens no device in a repository: put the object's own bytes there, or remove it; then 'tidemark verify --all' shows what is damaged",
  );
}

/** @throws TidemarkError INTERNAL where the text is no name of an object: names come from our own code. */
export function checkName(name: string): void {
  invariant(isObjectName(name), `${JSON.stringify(name)} is no name of an object`);
}

export function missing(name: string, place: string, cause?: unknown): TidemarkError {
  return new TidemarkError(
    'OBJECT_MISSING',
    `there is no ${name} in ${place}`,
    `the object is gone; ${DAMAGE_HINT}`,
    { kind: 'fault', cause },
  );
}

/**
 * @param wanted where the part asked for ends, in bytes from the object's start.
 * @param sizeBytes absent where the storage doesn't say.
 */
export function truncated(name: string, place: string, wanted: number, sizeBytes?: number): TidemarkError {
  const end = sizeBytes === undefined ? 'ends too early' : `ends at byte ${sizeBytes}`;
  return new TidemarkError(
    'OBJECT_TRUNCATED',
    `${name} in ${place} ${end}, ${wanted} expected`,
    `the object was cut; ${DAMAGE_HINT}`,
    { kind: 'fault' },
  );
}

export function existing(name: string, place: string, cause?: unknown): TidemarkError {
  return new TidemarkError(
    'OBJECT_EXISTS',
    `${name} is in ${place} already`,
    'somebody else wrote it first; run the command again',
    { cause },
  );
}

/** Whether an object has these bytes; undefined where there is none. */
export async function holds(
  storage: Storage,
  name: string,
  data: readonly Uint8Array[],
): Promise<boolean | undefined> {
  try {
    return (await storage.get(name)).equals(Buffer.concat(data));
  } catch (error) {
    return unlessMissing(error);
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'OBJECT_MISSING';
}

/** For a `catch`: what others may remove between listing and reading is undefined, everything else is thrown. */
export function unlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
