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

export function holdsPlace(runs: Runs, place: number): boolean {
  for (let i = 0; i < runs.length; i += 2)
    if (place >= runs[i]! && place < runs[i]! + runs[i + 1]!) return true;
  return false;
}
