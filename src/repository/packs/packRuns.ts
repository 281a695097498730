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
  #bytes = new Uint8Array(1024);
  #used = 0;

  /** Where it was put. */
  add(runs: Runs): { start: number; end: number } {
    const start = this.#used;
    let last = 0;
    for (let i = 0; i < runs.length; i += 2) {
      this.#write(runs[i]! - last);
      this.#write(runs[i + 1]!);
      last = runs[i]! + runs[i + 1]!;
    }
    return { start, end: this.#used };
  }

  /** LEB128. */
  #write(value: number): void {
    if (this.#used + 5 > this.#bytes.length) {
      const more = new Uint8Array(this.#bytes.length * 2);
      more.set(this.#bytes);
      this.#bytes = more;
    }
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#used++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#used++] = rest;
  }

  *each({ start, end }: { start: number; end: number }): Iterable<number> {
    let at = start;
    const read = () => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = this.#bytes[at++]!;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value >>> 0;
      }
    };
    for (let place = 0; at < end; ) {
      place += read();
      for (let left = read(); left > 0; left--) yield place++;
    }
  }
}
