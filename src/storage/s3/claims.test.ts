import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import type { StoredObject } from '../storage.ts';
import { repeated } from '../wrap/repeat.ts';
import { type ClaimStore, Claims } from './claims.ts';

const HISTORIES = 300;
const MINUTE_MS = 60_000;

/** Objects in memory; every call takes effect at once, some random time after it was made, and returns later. */
class SlowStore implements ClaimStore {
  readonly place = 'memory';
  readonly objects = new Map<string, { bytes: Buffer; modified: Date }>();
  /** How often an object was put whose name is none of a claim. */
  puts = 0;
  timeMs = Date.UTC(2026, 0, 1);
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  async has(name: string): Promise<boolean> {
    return this.#slowly(() => this.objects.has(name));
  }

  async put(name: string, data: readonly Uint8Array[]): Promise<void> {
    await this.#slowly(() => {
      if (!name.startsWith('.')) this.puts++;
      this.objects.set(name, { bytes: Buffer.concat(data), modified: new Date(this.timeMs++) });
    });
  }

  async list(prefix: string): Promise<StoredObject[]> {
    return this.#slowly(() =>
      [...this.objects]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, { bytes, modified }]) => ({ name, sizeBytes: bytes.length, modified })),
    );
  }

  async remove(name: string): Promise<void> {
    await this.#slowly(() => this.objects.delete(name));
  }

  async #slowly<T>(act: () => T): Promise<T> {
    for (let turns = Math.floor(this.#random() * 8); turns > 0; turns--) await turn();
    const result = act();
    for (let turns = Math.floor(this.#random() * 8); turns > 0; turns--) await turn();
    return result;
  }
}

/** The store as one writer sees it until it dies, which is before or after its nth call, and then never returns. */
function mortal(store: ClaimStore, calls: number, carriedOut: boolean): ClaimStore {
  let left = calls;
  const live = async <T>(call: () => Promise<T>): Promise<T> => {
    if (left-- > 0) return call();
    if (carriedOut && left === -1) await call();
    return new Promise(() => {});
  };
  return {
    place: store.place,
    has: name => live(() => store.has(name)),
    put: (name, data, options) => live(() => store.put(name, data, options)),
    list: prefix => live(() => store.list(prefix)),
    remove: name => live(() => store.remove(name)),
  };
}

function writer(store: ClaimStore, bytes: string): () => Promise<void> {
  const claims = new Claims(store, 1);
  return () => claims.put('object', [Buffer.from(bytes)], {});
}

function codeOf(error: unknown): string {
  assert.ok(error instanceof TidemarkError, String(error));
  return error.code;
}

test(`of writers at once one wins, in ${HISTORIES} histories`, async () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const store = new SlowStore(randomOf(seed));
    const outcomes = await Promise.all(
      Array.from({ length: 2 + (seed % 5) }, (_, i) =>
        repeated(writer(store, `by ${i}`), { attempts: 30, firstWaitMs: 1 }).then(() => `by ${i}`, codeOf),
      ),
    );
    const winners = outcomes.filter(outcome => outcome !== 'OBJECT_EXISTS');
    assert.equal(winners.length, 1, `seed ${seed}: ${outcomes}`);
    assert.equal(store.objects.get('object')?.bytes.toString(), winners[0], `seed ${seed}`);
    assert.equal(store.puts, 1, `seed ${seed}`);
    assert.deepEqual([...store.objects.keys()], ['object'], `seed ${seed}: claims are left`);
  }
});

test(`a writer that dies never makes two win, and is passed over after a while, in ${HISTORIES} histories`, async () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const random = randomOf(seed);
    const store = new SlowStore(random);
    // It may be told that another was first, before it dies.
    writer(mortal(store, seed % 7, seed % 2 === 0), 'by the dead')().catch(codeOf);
    const outcomes = await Promise.all(
      Array.from({ length: 3 }, (_, i) =>
        repeated(writer(store, `by ${i}`), { attempts: 4, firstWaitMs: 1 }).then(() => `by ${i}`, codeOf),
      ),
    );
    for (let turns = 0; turns < 20; turns++) await turn(); // until its last call has taken effect
    store.timeMs += 11 * MINUTE_MS;
    const late = await writer(store, 'late')().then(() => 'late', codeOf);
    const winners = [...outcomes, late].filter(outcome => !/^[A-Z]/.test(outcome));
    assert.ok(winners.length <= 1, `seed ${seed}: ${winners}`);
    assert.equal(store.objects.get('object')?.bytes.toString(), winners[0] ?? 'by the dead', `seed ${seed}`);
    assert.equal(store.puts, 1, `seed ${seed}`);
  }
});

test('a put whose answer is lost keeps its claim for the next attempt, and finds its own object', async () => {
  const store = new SlowStore(randomOf(1));
  const put = store.put.bind(store);
  let lost = 0;
  store.put = async (name, data) => {
    if (name.startsWith('.') || lost++ > 0) return put(name, data);
    throw new TidemarkError('STORAGE_UNREACHABLE', "can't", 'try', { retry: {} });
  };
  const write = writer(store, 'ours');
  await assert.rejects(write(), { code: 'STORAGE_UNREACHABLE' });
  assert.equal(store.objects.size, 1, 'the claim');
  await assert.rejects(writer(store, 'theirs')(), { code: 'STORAGE_CONTENDED' });
  await write();
  assert.equal(store.objects.get('object')?.bytes.toString(), 'ours');
  await assert.rejects(write(), { code: 'OBJECT_EXISTS' });
  assert.deepEqual([...store.objects.keys()], ['object']);
});

test('a put that is refused for good leaves no claim', async () => {
  const store = new SlowStore(randomOf(1));
  const put = store.put.bind(store);
  store.put = async (name, data) => {
    if (name.startsWith('.')) return put(name, data);
    throw new TidemarkError('STORAGE_DENIED', "can't", 'ask');
  };
  await assert.rejects(writer(store, 'ours')(), { code: 'STORAGE_DENIED' });
  assert.equal(store.objects.size, 0);
});

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
