import { Belongings } from './belongs.ts';
import type { Archive } from './entry.ts';
import { loadsViaPartitionRoot, type PlanStep } from './planStep.ts';

/**
 * What is done to a partitioned table is done to its partitions: a foreign key or a trigger made on it works on rows in
 * them at once. The archive does not say so, so here a step that uses a partitioned table waits for the rows of all tables
 * below it, and keeps others from them as it does from the table itself.
 */
export function includePartitions(
  archive: Archive,
  data: readonly PlanStep[],
  postData: readonly PlanStep[],
): void {
  const family = new Family(archive, data);
  if (family.empty) return;
  for (const step of postData) {
    const tables = [...step.uses].flatMap(id => family.below(id));
    for (const id of tables) {
      step.uses.add(id);
      if (step.locks.size > 0) step.locks.add(id);
      if (family.hasRows(id)) step.needs.add(id);
    }
  }
}

class Family {
  readonly #belongings: Belongings;
  /** dumpId of a table → of its rows. */
  readonly #rows = new Map<number, number>();
  readonly #tables = new Map<number, number>();
  /** Roots into whose partitions rows are sorted anew. */
  readonly #sorted = new Set<number>();
  readonly empty: boolean;

  constructor(archive: Archive, data: readonly PlanStep[]) {
    this.empty = !archive.entries.some(entry => entry.desc === 'TABLE ATTACH');
    this.#belongings = new Belongings(archive.entries);
    for (const { entry } of data) {
      const table = entry.dependencies[0];
      if (entry.desc !== 'TABLE DATA' || table === undefined) continue;
      this.#rows.set(table, entry.dumpId);
      this.#tables.set(entry.dumpId, table);
      if (loadsViaPartitionRoot(entry)) this.#sorted.add(this.#belongings.rootOf(table));
    }
  }

  hasRows(dumpId: number): boolean {
    return this.#tables.has(dumpId);
  }

  /** Tables below this one, by their rows where they have some; the whole tree where rows may land anywhere in it. */
  below(used: number): number[] {
    const table = this.#tables.get(used) ?? used;
    const root = this.#belongings.rootOf(table);
    return this.#belongings
      .allPartitionsOf(this.#sorted.has(root) ? root : table)
      .map(id => this.#rows.get(id) ?? id);
  }
}
