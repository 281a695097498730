import { randomBytes } from 'node:crypto';
import { eachOf } from '../../base/ahead.ts';
import { isObjectName } from '../../storage/object.ts';
import type { PutOptions, Storage } from '../../storage/storage.ts';
import { PrefixedStorage } from '../../storage/wrap/prefix.ts';

/** Where it is tried; docs/format.md names it. */
const FOLDER = 'doctor/';
/** No other is removed. */
const OURS = /^doctor\/[0-9a-f]{16}\//;
/** Traces that are older belong to one that was killed. */
const ABANDONED_MS = 24 * 3600 * 1000;
/** How many are removed at once. */
const REMOVALS_AT_ONCE = 8;

/** Remembers what was put under a prefix of its own, to remove all of it even where lists leave something out. */
export class Traces {
  readonly prefix = `${FOLDER}${randomBytes(8).toString('hex')}/`;
  readonly #names = new Set<string>();

  /** A storage in a folder under the prefix. */
  within(storage: Storage, folder: string): Storage {
    return new Traced(storage, `${this.prefix}${folder}/`, name => this.#names.add(name));
  }

  /** What others left behind that were killed is removed too. */
  async adopt(storage: Storage, now: Date): Promise<void> {
    for await (const { name, modified } of storage.list(FOLDER))
      if (OURS.test(name) && now.getTime() - modified.getTime() > ABANDONED_MS) this.#names.add(name);
  }

  /** Removes everything; returns the names of what could not be removed. */
  async remove(storage: Storage): Promise<string[]> {
    for await (const { name } of storage.list(this.prefix)) this.#names.add(name);
    const left: string[] = [];
    await eachOf(this.#names, REMOVALS_AT_ONCE, async name => {
      const gone = await storage.remove(name).then(
        async () => (await storage.stat(name)) === undefined,
        () => false,
      );
      if (!gone) left.push(name);
    });
    return left.sort();
  }
}

class Traced extends PrefixedStorage {
  readonly #full: (name: string) => string;
  readonly #note: (name: string) => void;

  constructor(inner: Storage, prefix: string, note: (name: string) => void) {
    super(inner, prefix);
    this.#full = name => prefix + name;
    this.#note = note;
  }

  override async put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    try {
      await super.put(name, data, options);
    } finally {
      // A put that failed may have been done all the same.
      if (isObjectName(this.#full(name))) this.#note(this.#full(name));
    }
  }
}
