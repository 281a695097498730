import type { Freezer, Lock, Locks, PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';

/** The objects of a storage whose names start with a prefix, as a storage of their own. */
export class PrefixedStorage implements Storage {
  readonly place: string;
  readonly region?: () => Promise<string | undefined>;
  readonly remarks?: () => Promise<readonly string[]>;
  readonly freezer?: Freezer;
  readonly locks?: Locks;
  readonly #inner: Storage;
  readonly #prefix: string;

  /** @param prefix ends in `/`. */
  constructor(inner: Storage, prefix: string) {
    this.#inner = inner;
    this.#prefix = prefix;
    this.place = `${inner.place}/${prefix.slice(0, -1)}`;
    const { freezer, locks } = inner;
    if (inner.region) this.region = () => inner.region!();
    if (inner.remarks) this.remarks = () => inner.remarks!();
    if (freezer) {
      this.freezer = {
        state: name => freezer.state(prefix + name),
        thaw: (name, days) => freezer.thaw(prefix + name, days),
      };
    }
    if (locks) {
      this.locks = {
        until: name => locks.until(prefix + name),
        extend: (name: string, lock: Lock) => locks.extend(prefix + name, lock),
      };
    }
  }

  put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    return this.#inner.put(this.#prefix + name, data, options);
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#inner.get(this.#prefix + name, range);
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    const found = await this.#inner.stat(this.#prefix + name);
    return found && { ...found, name };
  }

  async *list(prefix: string, passedOver?: (entry: PassedOver) => void): AsyncIterable<StoredObject> {
    const inside =
      passedOver &&
      ((entry: PassedOver) => passedOver({ ...entry, name: entry.name.slice(this.#prefix.length) }));
    for await (const object of this.#inner.list(this.#prefix + prefix, inside))
      yield { ...object, name: object.name.slice(this.#prefix.length) };
  }

  remove(name: string): Promise<void> {
    return this.#inner.remove(this.#prefix + name);
  }

  now(): Promise<Date> {
    return this.#inner.now();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
