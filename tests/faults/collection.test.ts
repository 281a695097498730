/**
 * Backups, copies, healings, forgettings, holds, prunes and changes of keys of one repository at once, in random turns, with
 * time passing, machines asleep and processes killed or failing at any storage call. Each history follows from its seed;
 * TIDEMARK_SEED says the first, TIDEMARK_RUNS how many there are of each flavour.
 */
import { test } from 'node:test';
import { type Flavour, play } from './histories/history.ts';

const SEED = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = process.env.TIDEMARK_RUNS === undefined ? undefined : Number(process.env.TIDEMARK_RUNS);

const FLAVOURS: [flavour: Flavour, runs: number, what: string][] = [
  ['plain', 40, ''],
  ['compacting', 25, ', with much to compact'],
  ['keys', 25, ', with changes of keys'],
];

for (const [flavour, usual, what] of FLAVOURS) {
  const runs = RUNS ?? usual;
  test(`${runs} random histories of one repository${what}`, async t => {
    console.log(`${flavour}: seeds ${SEED} to ${SEED + runs - 1}; TIDEMARK_SEED=${SEED}`);
    const total: Record<string, number> = {};
    for (let i = 0; i < runs; i++)
      for (const [key, count] of Object.entries(await play(SEED + i, flavour)))
        total[key] = (total[key] ?? 0) + count;
    t.diagnostic(JSON.stringify(total));
  });
}
