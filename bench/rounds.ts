import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from '../src/base/disposal.ts';
import type { Work } from './budgets.ts';
import { drop, settle, updateNewest, updateScattered, vacuum } from './database.ts';
import { type Command, type Measurement, measure } from './measure.ts';
import type { Place, Source, Tool, ToolName } from './tools/tool.ts';

/** One tool's work, measured once. */
export interface Sample extends Measurement {
  work: Work;
  tool: ToolName;
  round: number;
  /** Bytes by which what is stored grew. */
  addedBytes: number;
}

export interface RoundOptions {
  source: Source;
  tools: Tool[];
  wanted: ReadonlySet<Work>;
  /** Called with every sample as soon as it is there. */
  record(sample: Sample): void;
}

/** Every tool in turn does each work on the same data; who goes first changes from round to round. */
export function runRound(round: number, options: RoundOptions): Promise<void> {
  return inFolder(folder => new Round(round, options, folder).run());
}

/** Work in a folder that goes with it, or with this process. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = atExit(remove);
  try {
    await work(folder);
  } finally {
    remove();
    forget();
  }
}

class Round {
  readonly #round: number;
  readonly #options: RoundOptions;
  readonly #folder: string;
  readonly #places = new Map<Tool, Place>();

  constructor(round: number, options: RoundOptions, folder: string) {
    this.#round = round;
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<void> {
    const { wanted, source } = this.#options;
    const { server, database } = source;
    await vacuum(server, database);
    await this.#prepare();
    await this.#backup('first', () => true);
    if (wanted.has('restore')) await this.#each('restore', () => true, this.#restored('restore'));
    if (wanted.has('verify'))
      await this.#each(
        'verify',
        () => true,
        place => place.verify,
      );
    if (wanted.has('unchanged')) await this.#backup('unchanged', tool => tool.incremental);
    if (wanted.has('newest')) {
      await updateNewest(server, database);
      await this.#backup('newest', tool => tool.incremental);
    }
    if (wanted.has('scattered')) {
      await updateScattered(server, database, this.#round);
      await this.#backup('scattered', tool => tool.incremental);
    }
  }

  async #prepare(): Promise<void> {
    const { tools, source } = this.#options;
    const turned = tools.map((_, i) => tools[(i + this.#round) % tools.length]!);
    for (const [i, tool] of turned.entries()) {
      const folder = join(this.#folder, String(i));
      await mkdir(folder);
      this.#places.set(tool, await tool.prepare(folder, source));
    }
  }

  #backup(work: Work, takesPart: (tool: Tool) => boolean): Promise<void> {
    return this.#each(work, takesPart, place => place.backup);
  }

  #restored(work: Work): (place: Place) => Command | undefined {
    return place => place.restore?.(`restored_${work}`);
  }

  async #each(
    work: Work,
    takesPart: (tool: Tool) => boolean,
    command: (place: Place) => Command | undefined,
  ): Promise<void> {
    const { server } = this.#options.source;
    for (const [tool, place] of this.#places) {
      const todo = takesPart(tool) ? command(place) : undefined;
      if (!todo) continue;
      await settle(server);
      const before = await place.storedBytes();
      const measured = await measure(todo, server.pid);
      const sample = { work, tool: tool.name, round: this.#round, ...measured };
      this.#options.record({ ...sample, addedBytes: (await place.storedBytes()) - before });
      await drop(server, `restored_${work}`);
    }
  }
}

/** A backup and a restore of one database by one tool, for the sake of memory. */
export function backUpAndRestore(
  name: 'tables' | 'rows',
  source: Source,
  tool: Tool,
  record: (sample: Sample) => void,
): Promise<void> {
  const { server } = source;
  return inFolder(async folder => {
    const place = await tool.prepare(folder, source);
    await settle(server);
    const backup = await measure(place.backup, server.pid);
    const addedBytes = await place.storedBytes();
    record({ work: `${name} backup`, tool: tool.name, round: 0, addedBytes, ...backup });
    await settle(server);
    const restore = await measure(place.restore!(`restored_${name}`), server.pid);
    record({ work: `${name} restore`, tool: tool.name, round: 0, addedBytes: 0, ...restore });
    await drop(server, `restored_${name}`);
  });
}
