/**
 * Bytes at rest: the contract that every storage keeps. `contract.ts` has it as laws that are tried.
 *
 * - Names are relative paths of `[A-Za-z0-9._-]` parts joined by `/`; no part starts with a dot.
 * - `put` is atomic and durable: when it resolves, the whole object is there and survives a power cut; when it rejects
 *   or the process dies, there is no object under the name (or the one from before). It may be called again with the
 *   same bytes. With `ifAbsent` an existing object is left alone and the call rejects with OBJECT_EXISTS.
 * - What `put` returned for, `get`, `stat` and `list` see at once, from any process.
 * - `get` gives exactly the bytes asked for. An object that is shorter is OBJECT_TRUNCATED, one that isn't there
 *   OBJECT_MISSING; never fewer bytes.
 * - `remove` of an object that isn't there resolves.
 * - An object is a regular file of its own: no symbolic link is followed below the root, and what is none of ours (a link, a
 *   folder, a FIFO, a device, another name) is OBJECT_FOREIGN where it is read or removed, and passed over by lists.
 * - No answer makes us take more memory than `wholeBytesMax` (object.ts) or the range asked for: OBJECT_TOO_LARGE.
 * - Errors are TidemarkErrors. Temporary ones carry `retry` (base/errors.ts), with the server's word on when, and are
 *   retried by wrap/retry.ts, not here; parts of one call (blocks, pages) may be, a few times. Every call ends: a server
 *   that falls silent is STORAGE_TIMEOUT, and temporary.
 * - Methods may be called concurrently; none keeps or changes the buffers it is given after it has resolved, or those it gives.
 *   What `get` gives is the caller's alone.
 */
export interface Storage {
  /** For people: the place without credentials. */
  readonly place: string;
  put(name: string, data: readonly Uint8Array[], options?: PutOptions): Promise<void>;
  /** Whole object, or `length` bytes from `offset`. OBJECT_FROZEN where it must be thawed first. */
  get(name: string, range?: { offset: number; length: number }): Promise<Buffer>;
  /** Undefined where there is none; OBJECT_FOREIGN where a link, a FIFO or a device stands in its place. */
  stat(name: string): Promise<StoredObject | undefined>;
  /**
   * Objects whose name starts with `prefix` (which ends in `/` or is empty), in no particular order.
   *
   * @param passedOver called with what is there and is no object of ours, perhaps more than once.
   */
  list(prefix: string, passedOver?: (entry: PassedOver) => void): AsyncIterable<StoredObject>;
  /** OBJECT_LOCKED where a lock forbids it. */
  remove(name: string): Promise<void>;
  /** The storage's own clock, the one `modified` is given by (clocks of object storages may be as coarse as a second). */
  now(): Promise<Date>;
  close(): Promise<void>;
  /** Where the bytes lie, as the provider calls its regions; undefined where it doesn't say. Absent: it never does. */
  region?(): Promise<string | undefined>;
  /** For people: what this place lacks, as far as it has shown by now, and what comes of it. Absent: nothing is known. */
  remarks?(): Promise<readonly string[]>;
  /** Absent where no object is ever frozen. */
  readonly freezer?: Freezer;
  /** Absent where objects can't be locked. */
  readonly locks?: Locks;
}

export interface PutOptions {
  ifAbsent?: boolean;
  /** One of the kind's classes; absent: the one that is read at once. */
  storageClass?: string;
  /** Nobody can remove the object before. Only where there are `locks`. */
  lock?: Lock;
  /** It is written to free space: where the disk is full it may use the room that is kept for that, if there is some. */
  freesSpace?: boolean;
}

export interface Lock {
  mode: 'governance' | 'compliance';
  until: Date;
}

/** Objects in classes that must be thawed before they can be read. */
export interface Freezer {
  state(name: string): Promise<'readable' | 'frozen' | 'thawing'>;
  /** Asks for a copy that can be read for so many days. Resolves when the storage has taken the order, not when it is done. */
  thaw(name: string, days: number): Promise<void>;
}

/** Object locks: a date before which an object can't be removed or overwritten. */
export interface Locks {
  /** Undefined where the object is not locked. */
  until(name: string): Promise<Date | undefined>;
  /** Makes the lock last at least until then; never shortens one. */
  extend(name: string, lock: Lock): Promise<void>;
}

/** What lies among the objects and is none. */
export interface PassedOver {
  /** As it is called there; for people, and never to be used as a path. */
  name: string;
  /** `a symbolic link`, `a name that tidemark gives to nothing`. */
  what: string;
}

export interface StoredObject {
  name: string;
  sizeBytes: number;
  modified: Date;
}
