import type { Storage, StoredObject } from '../../src/storage/storage.ts';

/** A storage whose clock the test sets; it goes on by a millisecond with everything that is asked. */
export class ClockedStorage implements Storage {
  readonly place: string;
  readonly #inner: Storage;
  readonly #written = new Map<string, number>();
  #timeMs: number;

  constructor(inner: Storage, start: Date) {
    this.#inner = inner;
    this.place = inner.place;
    this.#timeMs = start.getTime();
  }

  pass(ms: number): void {
    this.#timeMs += ms;
  }

  async put(name: string, data: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<void> {
    const written = this.#timeMs++;
    await this.#inner.put(name, data, options);
    this.#written.set(name, written);
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    this.#timeMs++;
    return this.#inner.get(name, range);
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    const found = await this.#inner.stat(name);
    return found && this.#dated(found);
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    this.#timeMs++;
    for await (const object of this.#inner.list(prefix)) yield this.#dated(object);
  }

  remove(name: string): Promise<void> {
    this.#timeMs++;
    return this.#inner.remove(name);
  }

  async now(): Promise<Date> {
    return new Date(this.#timeMs++);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #dated(object: StoredObject): StoredObject {
    return { ...object, modified: new Date(this.#written.get(object.name) ?? 0) };
  }
}
