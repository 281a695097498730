import { TidemarkError } from '../base/errors.ts';
import { existing } from './object.ts';

/** What a claim is made with. Paths are those of the file system at hand; every call is on its disk at once. */
export interface ClaimFiles {
  /** Also where there is an empty folder of that name; `taken` where there is one that is not empty. In one step. */
  moveFolder(from: string, to: string): Promise<'moved' | 'taken'>;
  /** Replaces what is there. In one step. */
  moveFile(from: string, to: string): Promise<'moved' | 'gone'>;
  exists(path: string): Promise<boolean>;
  /** Of the files in a folder that are called as writers call theirs; none where there is no such folder, or a link to one. */
  names(folder: string): Promise<string[]>;
  removeFile(path: string): Promise<'removed' | 'gone'>;
  /** Only if it is empty; never fails. */
  removeFolder(path: string): Promise<void>;
}

export interface Claim {
  /** A folder of our own, with nothing in it but the object's bytes, in a file whose name nobody else uses. */
  folder: string;
  file: string;
  /** The folder whose being there, with a file in it, is the claim. */
  claim: string;
  /** Where the object goes. Its folder is there. */
  target: string;
  /** Whether the object has our bytes; undefined where there is none. */
  isOurs(): Promise<boolean | undefined>;
}

/** For people, where it has come to this. */
export const NO_LINKS_REMARK =
  'it has no hard links: a protocol of ours lets one win where two write the same object at once';

/** How often others may get in between. */
const ATTEMPTS = 100;

/**
 * Puts an object where there is none, on file systems without hard links (docs/format.md, "In a file system"). A folder with
 * the bytes in it is moved to the object's claim, which only one can do at a time; whoever holds the claim looks whether
 * the object is there, and moves its bytes into place. Nobody waits for anybody: whoever finds a claim settles it, by moving
 * the claimed bytes into place or, where there is an object, by removing them. So a writer that died is in nobody's
 * way, and one that slept finds its file gone and learns from the object whose bytes it has.
 */
export async function claimObject(
  name: string,
  place: string,
  files: ClaimFiles,
  claim: Claim,
): Promise<void> {
  const outcome = await claimAndMove(files, claim);
  if (outcome === 'put') return;
  const ours = outcome === 'settled' ? await claim.isOurs() : false;
  if (ours) return;
  if (ours === false) throw existing(name, place);
  throw new TidemarkError(
    'STORAGE_CONTENDED',
    `${name} in ${place} was written and removed by others at the same time`,
    'run the command again',
    { retry: {} },
  );
}

/** `settled`: others ended our claim, in one way or the other; the object tells which. */
async function claimAndMove(files: ClaimFiles, claim: Claim): Promise<'put' | 'exists' | 'settled'> {
  const mine = `${claim.claim}/${claim.file}`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await files.exists(claim.target)) {
      await settle(files, claim);
      return 'exists';
    }
    if ((await files.moveFolder(claim.folder, claim.claim)) === 'taken') {
      await settle(files, claim);
      continue;
    }
    const there = await files.exists(claim.target);
    const done = there
      ? (await files.removeFile(mine)) === 'removed' && 'exists'
      : (await files.moveFile(mine, claim.target)) === 'moved' && 'put';
    await files.removeFolder(claim.claim);
    return done || 'settled';
  }
  return 'settled';
}

/** Ends the claims of others: every file in the folder is one. */
async function settle(files: ClaimFiles, { claim, target }: Claim): Promise<void> {
  for (const name of await files.names(claim)) {
    if (await files.exists(target)) await files.removeFile(`${claim}/${name}`);
    else await files.moveFile(`${claim}/${name}`, target);
  }
  await files.removeFolder(claim);
}
