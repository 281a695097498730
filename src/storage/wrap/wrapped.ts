import type { Freezer, Lock, Locks, PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';

export type Method =
  | 'put'
  | 'get'
  | 'stat'
  | 'list'
  | 'remove'
  | 'now'
  | 'region'
  | 'state'
  | 'thaw'
  | 'lockedUntil'
  | 'extendLock';

/** One call, as wrappers see it. */
export interface Call {
  method: Method;
  /** The object's name or the list's prefix. */
  name: string;
  /** Of a put: bytes given. Of a get: bytes asked for, where a range was given. */
  sizeBytes?: number;
  ifAbsent?: boolean;
}

/** A storage around another of the same contract. What a wrapper adds, it adds in `around` and `aroundList`. */
export abstract class WrappedStorage implements Storage {
  protected readonly inner: Storage;
  readonly region?: () => Promise<string | undefined>;
  readonly remarks?: () => Promise<readonly string[]>;
  readonly freezer?: Freezer;
  readonly locks?: Locks;

  constructor(inner: Storage) {
    this.inner = inner;
    const { freezer, locks } = inner;
    if (inner.region) this.region = () => this.around({ method: 'region', name: '' }, () => inner.region!());
    if (inner.remarks) this.remarks = () => inner.remarks!();
    if (freezer) {
      this.freezer = {
        state: name => this.around({ method: 'state', name }, () => freezer.state(name)),
        thaw: (name, days) => this.around({ method: 'thaw', name }, () => freezer.thaw(name, days)),
      };
    }
    if (locks) {
      this.locks = {
        until: name => this.around({ method: 'lockedUntil', name }, () => locks.until(name)),
        extend: (name: string, lock: Lock) =>
          this.around({ method: 'extendLock', name }, () => locks.extend(name, lock)),
      };
    }
  }

  /** Carries a call out, any number of times; the result of the last counts. */
  protected abstract around<T>(call: Call, run: () => Promise<T>): Promise<T>;

  protected aroundList(_call: Call, run: () => AsyncIterable<StoredObject>): AsyncIterable<StoredObject> {
    return run();
  }

  get place(): string {
    return this.inner.place;
  }

  put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const sizeBytes = data.reduce((sum, piece) => sum + piece.byteLength, 0);
    const call: Call = { method: 'put', name, sizeBytes, ifAbsent: options?.ifAbsent };
    return this.around(call, () => this.inner.put(name, data, options));
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.around({ method: 'get', name, sizeBytes: range?.length }, () => this.inner.get(name, range));
  }

  stat(name: string): Promise<StoredObject | undefined> {
    return this.around({ method: 'stat', name }, () => this.inner.stat(name));
  }

  list(prefix: string, passedOver?: (entry: PassedOver) => void): AsyncIterable<StoredObject> {
    return this.aroundList({ method: 'list', name: prefix }, () => this.inner.list(prefix, passedOver));
  }

  remove(name: string): Promise<void> {
    return this.around({ method: 'remove', name }, () => this.inner.remove(name));
  }

  now(): Promise<Date> {
    return this.around({ method: 'now', name: '' }, () => this.inner.now());
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
