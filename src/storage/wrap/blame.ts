import type { Storage, StoredObject } from '../storage.ts';
import { type Call, WrappedStorage } from './wrapped.ts';

/** Remembers which errors the storage gave, for whoever uses several and has to know which of them failed. */
export class BlamedStorage extends WrappedStorage {
  readonly #errors = new WeakSet<object>();

  constructor(inner: Storage) {
    super(inner);
  }

  /** Whether the error, or what caused it, came from this storage. */
  gave(error: unknown): boolean {
    for (let each = error; each instanceof Error; each = each.cause) if (this.#errors.has(each)) return true;
    return false;
  }

  protected async around<T>(_call: Call, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      this.#remember(error);
      throw error;
    }
  }

  protected override async *aroundList(
    _call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    try {
      yield* run();
    } catch (error) {
      this.#remember(error);
      throw error;
    }
  }

  #remember(error: unknown): void {
    if (error instanceof Error) this.#errors.add(error);
  }
}
