/**
 * Rules that a provider carries out by itself, on what tidemark leaves behind or can't see. None of them ever ends a live
 * object: what stays is decided by the strategy's retention alone.
 */

/** What is wanted of the rules. */
export interface LifecycleWishes {
  /** The repository's name: rules are told apart by it. */
  repository: string;
  /** Objects are locked, so that old versions of them stay. */
  locked: boolean;
  /** Packs in other classes move to this one, so many days after they were written. Never a frozen one. */
  move?: { storageClass: string; afterDays: number };
}

export interface Lifecycle {
  /** As the provider's own tools read it; null where there is nothing to say. */
  document: object | null;
  /** The command that applies the document, from the file lifecycle.json; empty where there is none. */
  apply: string;
  /** What whoever applies it should know. */
  notes: string[];
}

/** Parts of uploads that nobody went on with: an upload goes on within hours. */
export const UNFINISHED_DAYS = 7;
/** Long enough to notice that somebody removed or overwrote objects, and to bring them back. */
export const OLD_VERSION_DAYS = 30;

/** Where packs lie; chunk lists are among them, which is why they must never freeze. */
export const MOVED_FOLDER = 'packs/';

/** What all objects of a storage start with. */
export function folderOf(prefix: string): string {
  return prefix === '' ? '' : `${prefix}/`;
}

/** Every provider's command puts its document in the place of the one that is there. */
export function replacesAll(of: string): string {
  return `this replaces all rules of the ${of}: if it has others, add these to them`;
}
