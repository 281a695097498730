/**
 * Lets something go wrong at every storage call of an operation in turn, each time from the same prepared state. After each:
 * what is listed reads back byte for byte, nothing that was there is missing, what was reported is so, what failed said why,
 * and the same operation, run again, does well. sweep/injected.ts says what can go wrong, sweep/operations.ts with what.
 *
 *   node tests/faults/sweep.ts                       each position with one fault, which the seed and the position choose
 *   node tests/faults/sweep.ts --all                 each position with each fault
 *   node tests/faults/sweep.ts --all --operation compact --from 40 --to 80
 *   node tests/faults/sweep.ts --only 'prune:17:lost, gone'
 */
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { asTidemarkError } from '../../src/base/errors.ts';
import { beginInjecting, heal, INJECTED, type Injected, inject, PASSING, planOf } from './sweep/injected.ts';
import type { Operation } from './sweep/operation.ts';
import { OPERATIONS } from './sweep/operations.ts';
import type { SweepSite } from './sweep/site.ts';

/** Positions tried at once: most of their time is spent waiting for the disk. */
const AT_ONCE = 3;
/** Calls that run beside each other come in no fixed number; of the positions counted at first, so many are met again. */
const REACHED_MIN = 0.9;

export interface SweepOptions {
  seed: number;
  /** Each of these at every position; without them, one of all at each. */
  injected?: readonly Injected[];
  /** Names of operations; all unless given. */
  operations?: readonly string[];
  /** Only positions from `from` on, and before `to`. */
  from?: number;
  to?: number;
  /** Just this one run. */
  only?: { position: number; injected: Injected };
  log(line: string): void;
}

export interface Swept {
  operation: string;
  /** Storage calls of a run that nothing happens to. */
  positions: number;
  /** Of these, those at which something was let happen. */
  tried: number;
  injected: number;
  runs: number;
  /** Runs that reported success, and were held to it. */
  succeeded: number;
  failures: string[];
}

interface Run {
  position: number;
  injected: Injected;
}

export async function sweep(options: SweepOptions): Promise<Swept[]> {
  const injecting = beginInjecting();
  try {
    const swept: Swept[] = [];
    for (const operation of OPERATIONS) {
      if (options.operations && !options.operations.includes(operation.name)) continue;
      swept.push(await sweepOne(operation, options));
    }
    assert.ok(swept.length > 0, `there is no such operation; there are ${OPERATIONS.map(each => each.name)}`);
    return swept;
  } finally {
    injecting.end();
  }
}

async function sweepOne(operation: Operation, options: SweepOptions): Promise<Swept> {
  const started = performance.now();
  const prepared = await operation.prepare();
  try {
    const positions = await countCalls(operation, prepared);
    const runs = options.only ? [options.only] : runsOf(operation, positions, options);
    options.log(`${operation.name}: ${positions} positions, ${runs.length} runs to come`);
    const failures: string[] = [];
    const reached: Run[] = [];
    let succeeded = 0;
    const queue = runs.values();
    const work = async () => {
      for (const run of queue) {
        try {
          const outcome = await attempt(operation, prepared, run);
          if (outcome.reached) reached.push(run);
          if (outcome.succeeded) succeeded++;
        } catch (error) {
          reached.push(run);
          failures.push(describe(operation, run, options.seed, error));
          options.log(failures.at(-1)!);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assert.ok(reached.length >= runs.length * REACHED_MIN, `${operation.name} makes fewer calls than it did`);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    options.log(`${operation.name}: ${positions} positions, ${reached.length} runs, ${seconds} s`);
    return {
      operation: operation.name,
      positions,
      tried: new Set(reached.map(run => run.position)).size,
      injected: new Set(reached.map(run => run.injected)).size,
      runs: reached.length,
      succeeded,
      failures,
    };
  } finally {
    await prepared.remove();
  }
}

/** Runs it once with nothing going wrong, and judges that like any other run. */
async function countCalls(operation: Operation, prepared: SweepSite): Promise<number> {
  const site = await prepared.copy();
  try {
    const faulty = inject(site.path(operation.faulty), [], []);
    const result = await operation.run(site, false);
    const { calls } = faulty;
    await operation.holds(site, result, true);
    await site.nothingLost();
    return calls;
  } finally {
    heal(site.path(operation.faulty));
    await site.remove();
  }
}

function runsOf({ every = 1 }: Operation, positions: number, options: SweepOptions): Run[] {
  const { seed, injected, from = 0, to = positions } = options;
  const runs: Run[] = [];
  for (let position = from; position < Math.min(to, positions); position++) {
    if (injected) runs.push(...injected.map(each => ({ position, injected: each })));
    else if ((position + seed) % every === 0)
      runs.push({
        position,
        injected: INJECTED[(Math.floor(position / every) + seed) % INJECTED.length]!,
      });
  }
  return runs;
}

interface Outcome {
  reached: boolean;
  succeeded: boolean;
}

async function attempt(operation: Operation, prepared: SweepSite, run: Run): Promise<Outcome> {
  const site = await prepared.copy();
  const folder = site.path(operation.faulty);
  try {
    const faulty = inject(folder, planOf(run.injected, run.position), site.recent(operation.faulty));
    const first = await ended(operation, site, false);
    heal(folder);
    const reached = faulty.calls > run.position;
    if ('error' in first) {
      if (!reached || PASSING.has(run.injected)) throw first.error;
      const { code } = asTidemarkError(first.error);
      if (code === 'INTERNAL' || code === 'ERR_ASSERTION') throw first.error;
    } else await operation.holds(site, first.result, run.injected !== 'stale');
    await site.nothingLost();
    for (const place of site.places) await site.age(place, 'leases', 1);
    const second = await ended(operation, site, true);
    if ('error' in second) throw new Error('the next run fails', { cause: second.error });
    await operation.holds(site, second.result, true);
    await site.nothingLost();
    return { reached, succeeded: 'result' in first };
  } finally {
    heal(folder);
    await site.remove();
  }
}

async function ended(
  operation: Operation,
  site: SweepSite,
  again: boolean,
): Promise<{ result: unknown } | { error: unknown }> {
  try {
    return { result: await operation.run(site, again) };
  } catch (error) {
    return { error };
  }
}

function describe({ name }: Operation, { position, injected }: Run, seed: number, error: unknown): string {
  const { stack, cause } = error as Error;
  const why = cause instanceof Error ? `${stack}\n  caused by ${cause.stack}` : stack;
  const alone = `node tests/faults/sweep.ts --seed ${seed} --only '${name}:${position}:${injected}'`;
  return `${name}, "${injected}" at storage call ${position}, seed ${seed}: ${why}\n  alone: ${alone}`;
}

/** One line an operation, and the sums. */
export function table(swept: readonly Swept[]): string {
  const columns = ['positions', 'tried', 'injected', 'runs', 'succeeded'] as const;
  const line = (name: string, cells: readonly (string | number)[]) =>
    name.padEnd(16) + cells.map(cell => String(cell).padStart(11)).join('');
  const lines = swept.map(each =>
    line(
      each.operation,
      columns.map(column => each[column]),
    ),
  );
  const sum = (of: (each: Swept) => number) => swept.reduce((total, each) => total + of(each), 0);
  const most = Math.max(...swept.map(each => each.injected));
  const sums = [sum(each => each.positions), sum(each => each.tried), most];
  const total = line('all', [...sums, sum(each => each.runs), sum(each => each.succeeded)]);
  return [line('operation', columns), ...lines, total].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      all: { type: 'boolean', default: false },
      seed: { type: 'string' },
      only: { type: 'string' },
      operation: { type: 'string', multiple: true },
      from: { type: 'string' },
      to: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const log = (line: string) => console.log(line);
  log(`seed ${seed}`);
  const [name, position, injected] = values.only?.split(':') ?? [];
  const only = injected === undefined ? undefined : { position: Number(position), injected };
  const operations = name === undefined ? values.operation : [name];
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const range = { from: number(values.from), to: number(values.to) };
  const injecting = values.all ? INJECTED : undefined;
  const swept = await sweep({ seed, injected: injecting, operations, only, log, ...range });
  log(table(swept));
  const failures = swept.reduce((sum, each) => sum + each.failures.length, 0);
  log(failures === 0 ? 'nothing was lost' : `${failures} runs went wrong`);
  process.exitCode = failures === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) await main();
