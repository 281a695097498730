import { VarintReader, VarintWriter } from '../format/varint.ts';

/** Places of a catalog: first and number, two numbers a run. */
export type Runs = Uint32Array;

const NONE: Runs = new Uint32Array(0);

export function runsOf(places: Iterable<number>): Runs {
  const inOrder = Uint32Array.from(places).sort();
  if (inOrder.length === 0) return NONE;
  const runs: number[] = [];
  let end = -1;
  for (const place of inOrder) {
    if (place === end) runs[runs.length - 1]!++;
    else runs.push(place, 1);
    end = place + 1;
  }
  return Uint32Array.from(runs);
}

/** All places of runs. */
export function* eachPlace(runs: Runs): Iterable<number> {
  for (let i = 0; i < runs.length; i += 2)
    for (let place = runs[i]!; place < runs[i]! + runs[i + 1]!; place++) yield place;
}

/**
 * Sets of places, each as runs in 2 bytes or so each, all in one array: for as many sets as there are snapshots.
 */
export class RunPool {
  readonly #out = new VarintWriter(1024);

  /** Where it was put. */
  add(runs: Runs): { start: number; end: number } {
    const start = this.#out.size;
    let last = 0;
    for (let i = 0; i < runs.length; i += 2) {
      this.#out.varint(runs[i]! - last);
      this.#out.varint(runs[i + 1]!);
      last = runs[i]! + runs[i + 1]!;
    }
    return { start, end: this.#out.size };
  }

  *each({ start, end }: { start: number; end: number }): Iterable<number> {
    const from = new VarintReader(this.#out.done().subarray(start, end), 'runs of packs');
    for (let place = 0; from.at < end - start; ) {
      place += from.varint();
      for (let left = from.varint(); left > 0; left--) yield place++;
    }
  }
}
