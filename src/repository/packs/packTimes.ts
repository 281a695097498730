import type { PackCatalog } from './packCatalog.ts';

/** Of a flat list of runs: first number, the number after the last, and the time, in milliseconds. */
const RUN = 3;
type Runs = number[];

/**
 * A time for some packs, by session and number. Packs of neighbouring numbers and the same time take one run: what bounds
 * memory is 24 bytes a run and some 200 a session, not the number of packs.
 */
export class PackTimes {
  readonly #sessions = new Map<string, Runs>();

  /** 0 where there is none. */
  of(session: string, number: number): number {
    const runs = this.#sessions.get(session);
    if (!runs) return 0;
    const at = after(runs, number);
    return at < runs.length && runs[at]! <= number ? runs[at + 2]! : 0;
  }

  /** For `count` packs from `first` on, in place of what was there. */
  set(session: string, first: number, count: number, atMs: number): void {
    const runs = this.#sessions.get(session);
    if (runs) replace(runs, first, first + count, atMs);
    else this.#sessions.set(session, [first, first + count, atMs]);
  }

  delete(session: string, number: number): void {
    const runs = this.#sessions.get(session);
    if (!runs) return;
    replace(runs, number, number + 1, 0);
    if (runs.length === 0) this.#sessions.delete(session);
  }

  /** Runs of packs that have one time, or none (0), from `first` on, `count` packs in all. */
  *within(
    session: string,
    first: number,
    count: number,
  ): Iterable<{ first: number; count: number; atMs: number }> {
    const runs = this.#sessions.get(session) ?? [];
    const end = first + count;
    let next = first;
    for (let at = after(runs, first); at < runs.length && runs[at]! < end; at += RUN) {
      const [from, to] = [Math.max(runs[at]!, next), Math.min(runs[at + 1]!, end)];
      if (from > next) yield { first: next, count: from - next, atMs: 0 };
      yield { first: from, count: to - from, atMs: runs[at + 2]! };
      next = to;
    }
    if (next < end) yield { first: next, count: end - next, atMs: 0 };
  }

  /** All runs, session by session. */
  *[Symbol.iterator](): Iterator<{ session: string; first: number; count: number; atMs: number }> {
    for (const [session, runs] of this.#sessions)
      for (let at = 0; at < runs.length; at += RUN)
        yield { session, first: runs[at]!, count: runs[at + 1]! - runs[at]!, atMs: runs[at + 2]! };
  }

  keepOnly(wanted: (session: string, number: number) => boolean): void {
    for (const [session, runs] of this.#sessions) {
      const kept: Runs = [];
      for (let at = 0; at < runs.length; at += RUN)
        for (let number = runs[at]!; number < runs[at + 1]!; number++)
          if (wanted(session, number)) push(kept, number, number + 1, runs[at + 2]!);
      if (kept.length === 0) this.#sessions.delete(session);
      else this.#sessions.set(session, kept);
    }
  }
}

/** What a catalog's packs have for times: the different ones in order, 0 first, and for each place which of them. */
export interface PlacedTimes {
  times: Float64Array;
  which: Uint16Array | Uint32Array;
}

/** Takes 2 bytes a pack, or 4 where there are very many times. */
export function placedTimes(times: Pick<PackTimes, 'of'>, catalog: PackCatalog): PlacedTimes {
  const seen = new Map<number, number>([[0, 0]]);
  let which: PlacedTimes['which'] = new Uint16Array(catalog.size);
  for (const session of catalog.sessions()) {
    for (const place of catalog.placesOf(session)) {
      const atMs = times.of(session, catalog.number(place));
      let index = seen.get(atMs);
      if (index === undefined) {
        index = seen.size;
        seen.set(atMs, index);
        if (index === 2 ** 16) which = Uint32Array.from(which);
      }
      which[place] = index;
    }
  }
  const sorted = Float64Array.from(seen.keys()).sort();
  const rank = new Map([...sorted].map((atMs, i) => [atMs, i]));
  const ranks = Uint32Array.from(seen.keys(), atMs => rank.get(atMs)!);
  for (let place = 0; place < which.length; place++) which[place] = ranks[which[place]!]!;
  return { times: sorted, which };
}

/** All places, those with the smallest time first, and of those the first. Goes over all places for each time: holds nothing. */
export function* byTime({ times, which }: PlacedTimes): Iterable<number> {
  for (let index = 0; index < times.length; index++)
    for (let place = which.indexOf(index); place !== -1; place = which.indexOf(index, place + 1)) yield place;
}

/** Where the first run is that ends after the number. */
function after(runs: Runs, number: number): number {
  let low = 0;
  let high = runs.length / RUN;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle * RUN + 1]! <= number) low = middle + 1;
    else high = middle;
  }
  return low * RUN;
}

/** Puts a run in place of what is in its way; with time 0 nothing. */
function replace(runs: Runs, first: number, end: number, atMs: number): void {
  let from = after(runs, first);
  let to = from;
  while (to < runs.length && runs[to]! < end) to += RUN;
  // The neighbours too, so that what belongs together becomes one run.
  from = Math.max(0, from - RUN);
  to = Math.min(runs.length, to + RUN);
  const fresh: Runs = [];
  const old = runs.slice(from, to);
  for (let at = 0; at < old.length; at += RUN)
    if (old[at]! < first) push(fresh, old[at]!, Math.min(old[at + 1]!, first), old[at + 2]!);
  if (atMs !== 0) push(fresh, first, end, atMs);
  for (let at = 0; at < old.length; at += RUN)
    if (old[at + 1]! > end) push(fresh, Math.max(old[at]!, end), old[at + 1]!, old[at + 2]!);
  runs.splice(from, to - from, ...fresh);
}

/** Adds a run behind all others, to the last where it goes on. */
function push(runs: Runs, first: number, end: number, atMs: number): void {
  const last = runs.length - RUN;
  if (last >= 0 && runs[last + 1] === first && runs[last + 2] === atMs) runs[last + 1] = end;
  else runs.push(first, end, atMs);
}
