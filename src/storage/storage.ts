/**
 * Bytes at rest: the contract that every storage keeps. `storage.contract.ts` is its suite.
 *
 * - Names are relative paths of `[A-Za-z0-9._-]` parts joined by `/`; no part starts with a dot.
 * - `put` is atomic and durable: when it resolves, the whole object is there and survives a power cut; when it rejects
 *   or the process dies, there is no object under the name (or the one from before). It may be called again with the
 *   same bytes. With `ifAbsent` an existing object is left alone and the call rejects with OBJECT_EXISTS.
 * - What `put` returned for, `get`, `stat` and `list` see at once, from any process.
 * - `get` gives exactly the bytes asked for. An object that is shorter is OBJECT_TRUNCATED, one that isn't there
 *   OBJECT_MISSING; never fewer bytes.
 * - `remove` of an object that isn't there resolves.
 * - Temporary faults are retried by a wrapper, not here; errors are TidemarkErrors.
 * - Methods may be called concurrently; none keeps or changes the buffers it is given after it has resolved.
 */
export interface Storage {
  /** For people: the place without credentials. */
  readonly place: string;
  put(name: string, data: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<void>;
  /** Whole object, or `length` bytes from `offset`. */
  get(name: string, range?: { offset: number; length: number }): Promise<Buffer>;
  stat(name: string): Promise<StoredObject | undefined>;
  /** Objects whose name starts with `prefix` (which ends in `/` or is empty), in no particular order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  remove(name: string): Promise<void>;
  /** The storage's own clock, the one `modified` is given by. */
  now(): Promise<Date>;
  close(): Promise<void>;
}

export interface StoredObject {
  name: string;
  sizeBytes: number;
  modified: Date;
}

/** How a storage is opened again elsewhere (in a worker thread): plain data, no secrets that are not in the strategy. */
export interface StorageSpec {
  kind: 'local';
  path: string;
}
