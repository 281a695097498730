import type { Storage, StoredObject } from '../storage.ts';
import { type Call, type Method, WrappedStorage } from './wrapped.ts';

/** What was asked of a storage: calls by method, and bytes that went in and out. */
export class Measure {
  readonly calls = new Map<Method, number>();
  putBytes = 0;
  getBytes = 0;
  listedObjects = 0;

  count(call: Call): void {
    this.calls.set(call.method, (this.calls.get(call.method) ?? 0) + 1);
  }

  of(method: Method): number {
    return this.calls.get(method) ?? 0;
  }
}

/** Counts every attempt, well or not; bytes only of those that went well. */
export class MeasuredStorage extends WrappedStorage {
  readonly #measure: Measure;

  constructor(inner: Storage, measure: Measure) {
    super(inner);
    this.#measure = measure;
  }

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    this.#measure.count(call);
    const result = await run();
    if (call.method === 'put') this.#measure.putBytes += call.sizeBytes ?? 0;
    if (Buffer.isBuffer(result)) this.#measure.getBytes += result.length;
    return result;
  }

  protected override async *aroundList(
    call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    this.#measure.count(call);
    for await (const object of run()) {
      this.#measure.listedObjects++;
      yield object;
    }
  }
}
