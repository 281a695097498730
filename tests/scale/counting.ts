import type { Storage, StoredObject } from '../../src/storage/storage.ts';
import { type Call, WrappedStorage } from '../../src/storage/wrap/wrapped.ts';

/** Objects a request for a list gives at most: S3, Azure (5000) and Google have pages of that order. */
const PAGE_OBJECTS = 1000;
/** From a request being sent to its answer being there. */
export const LATENCY_MS = 30;

/** What was asked of a storage, as providers count and charge it. */
export class Requests {
  /** Pages. */
  list = 0;
  get = 0;
  rangedGet = 0;
  /** Questions about one object, or the clock. */
  head = 0;
  put = 0;
  delete = 0;
  /** Extensions of locks. */
  lock = 0;
  getBytes = 0;
  putBytes = 0;
}

/**
 * Counts requests, and lets each take LATENCY_MS of a time that passes only while nothing else can be done: what an operation
 * would wait for its storage, with as many requests under way as it really has.
 */
export class CountingStorage extends WrappedStorage {
  readonly requests = new Requests();
  readonly #time: WaitingTime;

  constructor(inner: Storage, time: WaitingTime) {
    super(inner);
    this.#time = time;
  }

  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const { requests } = this;
    await this.#time.wait();
    const result = await run();
    if (call.method === 'put') {
      requests.put++;
      requests.putBytes += call.sizeBytes ?? 0;
    } else if (call.method === 'get') {
      requests[call.sizeBytes === undefined ? 'get' : 'rangedGet']++;
      if (Buffer.isBuffer(result)) requests.getBytes += result.length;
    } else if (call.method === 'remove') requests.delete++;
    else if (call.method === 'extendLock') requests.lock++;
    else requests.head++;
    return result;
  }

  protected override async *aroundList(
    _call: Call,
    run: () => AsyncIterable<StoredObject>,
  ): AsyncIterable<StoredObject> {
    let given = 0;
    for await (const object of run()) {
      if (given++ % PAGE_OBJECTS === 0) await this.#page();
      yield object;
    }
    if (given === 0) await this.#page();
  }

  async #page(): Promise<void> {
    this.requests.list++;
    await this.#time.wait();
  }
}

/** A clock that jumps to the next request's end whenever the program has nothing else to do. */
export class WaitingTime {
  passedMs = 0;
  readonly #waiting: { untilMs: number; wake: () => void }[] = [];
  #driving = false;

  wait(): Promise<void> {
    return new Promise(wake => {
      this.#waiting.push({ untilMs: this.passedMs + LATENCY_MS, wake });
      if (!this.#driving) setImmediate(() => this.#drive());
      this.#driving = true;
    });
  }

  /** All wait equally long, so those that came first are the first to end. */
  #drive(): void {
    const next = this.#waiting[0];
    if (!next) {
      this.#driving = false;
      return;
    }
    this.passedMs = next.untilMs;
    let count = 0;
    while (count < this.#waiting.length && this.#waiting[count]!.untilMs <= this.passedMs) count++;
    for (const { wake } of this.#waiting.splice(0, count)) wake();
    setImmediate(() => this.#drive());
  }
}
