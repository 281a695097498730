import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Requests } from './counting.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { openSite } from './site.ts';
import type { Size } from './world.ts';

/** What one operation took. */
export interface Measured {
  operation: string;
  size: Size;
  requests: Record<'main' | 'archive', Requests>;
  /** Waiting for the storage, at LATENCY_MS a request. */
  waitedMs: number;
  cpuMs: number;
  /** Of the process, at its highest; with the simulation, and what Node takes itself. */
  memoryBytes: number;
  /** What it did, in numbers. */
  done: Record<string, number>;
}

export interface Task {
  operation: string;
  size: Size;
  /** For sites and sealed manifests; the latter stay. */
  folder: string;
}

/** Only the site is made, and with it what the next ones need. */
const NOTHING: Operation = { name: 'nothing', run: async () => ({}) };

/** Runs one operation on a new site, in this process. */
export async function measure({ operation, size, folder }: Task): Promise<Measured> {
  const found = [NOTHING, ...OPERATIONS].find(each => each.name === operation);
  if (!found) throw new Error(`there is no operation ${operation}`);
  const { snapshots, packs } = size;
  const place = join(folder, `site-${process.pid}`);
  const sealed = join(folder, `sealed-${snapshots}-${packs}`);
  const site = await openSite({ folder: place, sealed, size, ...found.site });
  try {
    const before = process.cpuUsage();
    const done = await found.run(site, place);
    const { user, system } = process.cpuUsage(before);
    return {
      ...{ operation, size, done, requests: site.requests, waitedMs: site.time.passedMs },
      cpuMs: (user + system) / 1000,
      memoryBytes: process.resourceUsage().maxRSS * 1024,
    };
  } finally {
    site.end();
  }
}

/** The same in a process of its own, so that the memory is this operation's; compiled code is kept, as bin/tidemark does. */
export async function measureApart(task: Task): Promise<Measured> {
  const child = fork(import.meta.filename, [JSON.stringify(task)], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(task.folder, 'compiled') },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let measured: Measured | undefined;
  child.on('message', message => {
    measured = message as Measured;
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (!measured) throw new Error(`${task.operation} ended with ${code} and told nothing`);
  return measured;
}

if (process.argv[1] === import.meta.filename) {
  const measured = await measure(JSON.parse(process.argv[2]!) as Task);
  process.send!(measured, () => process.exit());
}
