/**
 * In which order, and what beside what, the entries of an archive are restored.
 * Source: pg_backup_archiver.c: _tocEntryRestorePass, restore_toc_entries_prefork, fix_dependencies,
 * repoint_table_dependencies, identify_locking_dependencies.
 */
import type { Archive, ArchiveEntry } from './entry.ts';
import { includePartitions } from './partitions.ts';
import type { PlanStep } from './planStep.ts';
import { TableReaders } from './readers.ts';
import { isAclEntry, isSettingsEntry } from './statements.ts';

/**
 * MAIN: everything in the order of the table of contents. ACL: privileges, once all objects are there (an owner may
 * have revoked his own). POST_ACL: what runs the users' code with those privileges: matview refreshes, event triggers.
 */
export type RestorePass = 'MAIN' | 'ACL' | 'POST_ACL';

export function restorePass(entry: ArchiveEntry): RestorePass {
  const { desc } = entry;
  if (isAclEntry(entry)) return 'ACL';
  if (desc === 'EVENT TRIGGER' || desc === 'MATERIALIZED VIEW DATA') return 'POST_ACL';
  if ((desc === 'COMMENT' || desc === 'SECURITY LABEL') && entry.tag.startsWith('EVENT TRIGGER '))
    return 'POST_ACL';
  if (desc === 'STATISTICS DATA' && entry.section === 'post-data') return 'POST_ACL';
  return 'MAIN';
}

/** dumpId of each table → dumpId of its TABLE DATA entry. */
export function tableDataIds(entries: readonly ArchiveEntry[]): Map<number, number> {
  const found = new Map<number, number>();
  for (const entry of entries) {
    const table = entry.dependencies[0];
    if (entry.desc === 'TABLE DATA' && table !== undefined) found.set(table, entry.dumpId);
  }
  return found;
}

export interface RestorePlan {
  /** In order, one after another. Large objects are created here, empty. */
  preData: ArchiveEntry[];
  /**
   * Rows, sequence values, large objects' bytes: beside each other, each after its `needs`, which are empty but for
   * tables whose foreign keys exist already (an extension's configuration tables; an archive without schema), and
   * `readers`. In this order they are right one after another too.
   */
  data: PlanStep[];
  /** Tables whose definitions may read others while rows are loaded; the last of `data`, each after the one before. */
  readers: PlanStep[];
  /** Each after its `needs`; two whose locks conflict not at once. In the archive's order, which alone is right too. */
  postData: PlanStep[];
  /** In order, after everything above. */
  acl: ArchiveEntry[];
  /** In order, last. */
  postAcl: ArchiveEntry[];
}

/**
 * Puts rows that were refused behind all others, since what a check of theirs reads may be among them; whether it was
 * known that one reads anything, or not.
 */
export function postponeReader(plan: RestorePlan, step: PlanStep): void {
  const id = step.entry.dumpId;
  const at = plan.readers.indexOf(step);
  const next = plan.readers[at + 1];
  if (at >= 0 && next === undefined) return;
  const last = plan.readers.at(-1);
  const rest = plan.data.filter(each => each !== step).map(each => each.entry.dumpId);
  (at >= 0 ? next : plan.readers[0])?.needs.delete(id);
  step.needs = new Set(last ? [last.entry.dumpId] : rest);
  if (at >= 0) plan.readers.splice(at, 1);
  plan.readers.push(step);
}

/** Whether two steps must not run at the same time, because one takes a lock the other would wait for. */
export function stepsConflict(a: PlanStep, b: PlanStep): boolean {
  return !a.locks.isDisjointFrom(b.uses) || !b.locks.isDisjointFrom(a.uses);
}

/**
 * The restore of the selected entries in steps. Entries that aren't selected still carry order from one selected entry
 * to another. A dependency that points forward in the archive is not followed (pg_dump sorts by dependencies, so there
 * it broke a loop), so a plan can always be finished.
 */
export function restorePlan(archive: Archive, selected: ReadonlySet<number>): RestorePlan {
  const plan: RestorePlan = { preData: [], data: [], readers: [], postData: [], acl: [], postAcl: [] };
  const graph = dependencyGraph(archive);
  // What stands in the archive behind its first row waits for its own dependencies; what stands before runs at once.
  let reachedData = false;
  for (const entry of archive.entries) {
    if (entry.section === 'data' || entry.section === 'post-data') reachedData = true;
    if (!selected.has(entry.dumpId) || isSettingsEntry(entry)) continue;
    const step = () => ({
      entry,
      needs: new Set<number>(),
      locks: new Set<number>(),
      uses: new Set<number>(),
    });
    const pass = restorePass(entry);
    if (pass === 'ACL') plan.acl.push(entry);
    else if (pass === 'POST_ACL') plan.postAcl.push(entry);
    else if (runsFirst(entry, reachedData)) plan.preData.push(entry);
    else if (entry.section === 'data') plan.data.push(step());
    else plan.postData.push(step());
  }
  const pending = new Set([...plan.data, ...plan.postData].map(step => step.entry.dumpId));
  for (const step of [...plan.data, ...plan.postData]) {
    step.uses = new Set(graph.dependencies(step.entry.dumpId));
    step.needs = graph.nearest(step.entry.dumpId, pending);
    // Nearly all of post-data is ALTER TABLE in some form; CREATE INDEX alone lets others in.
    if (step.entry.section === 'post-data' && step.entry.desc !== 'INDEX') {
      step.locks = new Set([...step.uses].filter(id => graph.isTable(id)));
    }
  }
  chainExtensionRows(archive, plan.data);
  includePartitions(archive, plan.data, plan.postData);
  readersLast(archive, plan);
  return plan;
}

/**
 * A table whose checks or generated columns read other tables is loaded when all those that don't are, and such tables
 * after each other: after what their functions name, as far as that tells, else in the archive's order, as pg_restore.
 * An index whose expression reads other tables waits for all rows.
 */
function readersLast(archive: Archive, plan: RestorePlan): void {
  const readers = new TableReaders(archive);
  const tables = new Map(archive.entries.map(entry => [entry.dumpId, entry]));
  const functions = new Map<PlanStep, ArchiveEntry[]>();
  for (const step of plan.data) {
    const table = step.entry.desc === 'TABLE DATA' ? tables.get(step.entry.dependencies[0] ?? -1) : undefined;
    const called = table ? readers.atLoad(table) : [];
    if (called.length > 0) functions.set(step, called);
  }
  const ordered = new Set<PlanStep>();
  const visit = (step: PlanStep, under: PlanStep[]): void => {
    if (ordered.has(step) || under.includes(step)) return;
    for (const other of functions.keys())
      if (other !== step && readers.mention(functions.get(step)!, other.entry.tag))
        visit(other, [...under, step]);
    ordered.add(step);
  };
  for (const step of functions.keys()) visit(step, []);
  plan.readers = [...ordered];
  plan.data = [...plan.data.filter(step => !ordered.has(step)), ...plan.readers];
  const before = new Set(
    plan.data.slice(0, -plan.readers.length || undefined).map(step => step.entry.dumpId),
  );
  plan.readers.forEach((step, at) => {
    const previous = plan.readers[at - 1]?.entry.dumpId;
    step.needs = step.needs.union(previous === undefined ? before : new Set([previous]));
  });
  const all = new Set(plan.data.map(step => step.entry.dumpId));
  for (const step of plan.postData) if (readers.atBuild(step.entry)) step.needs = step.needs.union(all);
}

/**
 * Tables that the archive does not create (an extension's, or all of them where there is no schema) have their foreign
 * keys while rows are loaded. pg_dump sorts such rows by those keys but does not write the keys down as dependencies:
 * the order of the archive is all there is.
 */
function chainExtensionRows(archive: Archive, data: PlanStep[]): void {
  const created = new Set(archive.entries.filter(entry => entry.desc === 'TABLE').map(entry => entry.dumpId));
  let before: number | undefined;
  for (const step of data) {
    if (step.entry.desc !== 'TABLE DATA' || created.has(step.entry.dependencies[0] ?? -1)) continue;
    if (before !== undefined) step.needs.add(before);
    before = step.entry.dumpId;
  }
}

function runsFirst(entry: ArchiveEntry, reachedData: boolean): boolean {
  if (entry.section === 'pre-data' || entry.desc === 'BLOB METADATA') return true;
  return entry.section === 'none' && !reachedData;
}

interface DependencyGraph {
  dependencies(dumpId: number): number[];
  /** The nearest entries of `among` before this one, through whatever lies between. */
  nearest(dumpId: number, among: ReadonlySet<number>): Set<number>;
  isTable(dumpId: number): boolean;
}

function dependencyGraph(archive: Archive): DependencyGraph {
  const order = new Map(archive.entries.map((entry, index) => [entry.dumpId, index]));
  const byId = new Map(archive.entries.map(entry => [entry.dumpId, entry]));
  const rows = tableDataIds(archive.entries);
  const dependencies = (dumpId: number): number[] => {
    const entry = byId.get(dumpId);
    if (!entry) return [];
    // An index is built, a constraint checked, once the rows are there: not when the table is.
    const waitsForRows = entry.section === 'post-data';
    const ids = waitsForRows ? entry.dependencies.map(id => rows.get(id) ?? id) : entry.dependencies;
    const place = order.get(dumpId)!;
    return ids.filter(id => (order.get(id) ?? Number.POSITIVE_INFINITY) < place);
  };
  return {
    dependencies,
    nearest(dumpId, among) {
      const found = new Set<number>();
      const seen = new Set<number>();
      const left = dependencies(dumpId);
      for (let id = left.pop(); id !== undefined; id = left.pop()) {
        if (seen.has(id)) continue;
        seen.add(id);
        if (among.has(id)) found.add(id);
        else left.push(...dependencies(id));
      }
      return found;
    },
    isTable: dumpId => ['TABLE', 'TABLE DATA'].includes(byId.get(dumpId)?.desc ?? ''),
  };
}
