import { isRemark } from '../../postgres/archive/belongs.ts';
import { columnOf, readCreateTable } from '../../postgres/archive/createTable.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { type Division, wholeFamily } from './existing.ts';

/** Kinds of objects that go with a table, or a schema, when it is dropped with CASCADE, and can be made again. */
const REMADE = new Set([
  ...['VIEW', 'MATERIALIZED VIEW', 'RULE', 'POLICY', 'TRIGGER', 'INDEX', 'CONSTRAINT', 'CHECK CONSTRAINT'],
  ...['FUNCTION', 'PROCEDURE', 'AGGREGATE', 'OPERATOR', 'OPERATOR CLASS', 'OPERATOR FAMILY', 'CAST'],
  ...['SHELL TYPE', 'TYPE', 'DOMAIN', 'COLLATION', 'CONVERSION', 'STATISTICS', 'TRANSFORM', 'DEFAULT ACL'],
  ...['TEXT SEARCH CONFIGURATION', 'TEXT SEARCH DICTIONARY', 'TEXT SEARCH PARSER', 'TEXT SEARCH TEMPLATE'],
  ...['PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA', 'EXTENSION'],
]);

/** Kinds that hold something: they are restored when they are named. */
const NAMED_ONLY = new Set(['TABLE', 'FOREIGN TABLE', 'SEQUENCE']);

export interface Dependent {
  entry: ArchiveEntry;
  /** What is part of it or said about it, in the archive's order. */
  family: ArchiveEntry[];
  /** What was created that it depends on. */
  on: ArchiveEntry;
  /** Holds something, and is only named. */
  isNamedOnly: boolean;
}

/**
 * Objects of the archive that depend on what was missing and is created, without having been selected: as long as that
 * was missing, they can't have been there. In the archive's order, so that each may rely on those before.
 *
 * @param made dumpIds of what was missing beside relations: schemas, types, functions.
 */
export function lostDependents(
  archive: Archive,
  division: Division,
  selected: ReadonlySet<ArchiveEntry>,
  made: ReadonlySet<number>,
): Dependent[] {
  const { belongings, created, existing } = division;
  const base = new Set([...created, ...made]);
  const found: Dependent[] = [];
  const inFamily = new Set<ArchiveEntry>();
  for (const entry of archive.entries) {
    if (selected.has(entry) || inFamily.has(entry) || existing.has(entry.dumpId)) continue;
    const on = belongings.dependenciesOf(entry).find(other => base.has(other.dumpId));
    const isNamedOnly = NAMED_ONLY.has(entry.desc);
    if (!on || (!REMADE.has(entry.desc) && !isNamedOnly)) continue;
    // A sequence that a table owns comes with that.
    if (entry.desc === 'SEQUENCE' && belongings.relationsOf(entry).length > 0) continue;
    if (isNamedOnly) for (const part of wholeFamily(belongings, entry.dumpId)) inFamily.add(part);
    const parts = isNamedOnly ? [] : [...wholeFamily(belongings, entry.dumpId)];
    const ids = new Set([entry, ...parts].map(each => each.dumpId));
    const family = archive.entries.filter(
      each =>
        each !== entry &&
        (parts.includes(each) || (isRemark(each) && each.dependencies.some(id => ids.has(id)))),
    );
    for (const each of family) inFamily.add(each);
    found.push({ entry, family, on, isNamedOnly });
    if (!isNamedOnly) base.add(entry.dumpId);
  }
  return found;
}

/**
 * What defines tables that are there and get rows, or that lost columns or defaults where they depend on what was missing
 * and is created.
 */
export function touchedTables(archive: Archive, division: Division): ArchiveEntry[] {
  const { belongings, existing, withRows, created } = division;
  const base = new Set(created);
  const touched: ArchiveEntry[] = [];
  for (const entry of archive.entries) {
    const table = entry.desc === 'DEFAULT' ? belongings.wholeOf(entry) : entry;
    const dependsOnNew = belongings.dependenciesOf(entry).some(other => base.has(other.dumpId));
    if (table?.desc === 'TABLE' && existing.has(table.dumpId)) {
      if (dependsOnNew || withRows.has(table.dumpId)) touched.push(entry);
    } else if (dependsOnNew && REMADE.has(entry.desc)) base.add(entry.dumpId);
  }
  return touched;
}

/**
 * TABLE DATA of tables whose rows go with those of the replaced ones by ON DELETE CASCADE, and that are there and not
 * replaced themselves.
 */
export function cascadeVictims(
  archive: Archive,
  { belongings, replaced, existing }: Division,
): ArchiveEntry[] {
  const restored = new Set(replaced.map(entry => entry.dependencies[0] ?? -1));
  const reached = new Set<number>();
  const reach = (id: number) => {
    const root = belongings.rootOf(id);
    for (const each of [root, ...belongings.allPartitionsOf(root)]) reached.add(each);
  };
  for (const id of restored) reach(id);
  const keys = archive.entries.filter(
    entry => entry.desc === 'FK CONSTRAINT' && / ON DELETE CASCADE\b/.test(entry.defn ?? ''),
  );
  for (let size = -1; size < reached.size; ) {
    size = reached.size;
    for (const key of keys) {
      const tables = belongings.relationsOf(key);
      const own = belongings.wholeOf(key);
      if (own && tables.some(table => table !== own && reached.has(table.dumpId))) reach(own.dumpId);
    }
  }
  return archive.entries.filter(({ desc, dependencies: [table = -1] }) => {
    return desc === 'TABLE DATA' && reached.has(table) && !restored.has(table) && existing.has(table);
  });
}

/** Materialized views that are there, read tables whose rows are replaced, and are not computed anew. */
export function staleViews(
  archive: Archive,
  { belongings, replaced, existing, entries }: Division,
): ArchiveEntry[] {
  const changed = new Set<number>();
  for (const {
    dependencies: [table = -1],
  } of replaced)
    for (let id: number | null = table; id !== null; id = belongings.parentOf(id)) changed.add(id);
  const refreshed = new Set(
    entries.filter(entry => entry.desc === 'MATERIALIZED VIEW DATA').map(entry => entry.dependencies[0]),
  );
  const reads = (entry: ArchiveEntry, seen: Set<number>): boolean => {
    if (seen.has(entry.dumpId)) return false;
    seen.add(entry.dumpId);
    const sources = [entry, ...belongings.partsOf(entry.dumpId).filter(part => part.desc === 'RULE')];
    return sources
      .flatMap(each => belongings.dependenciesOf(each))
      .some(other => changed.has(other.dumpId) || (!isRemark(other) && reads(other, seen)));
  };
  return archive.entries.filter(
    entry =>
      entry.desc === 'MATERIALIZED VIEW' &&
      existing.has(entry.dumpId) &&
      !refreshed.has(entry.dumpId) &&
      reads(entry, new Set()),
  );
}

/** Tables with a column that may hold the number of a large object. */
export function holdersOfLargeObjects(archive: Archive, entries: readonly ArchiveEntry[]): ArchiveEntry[] {
  const loaded = new Set(
    entries.filter(entry => entry.desc === 'TABLE DATA').map(entry => entry.dependencies[0]),
  );
  return archive.entries.filter(entry => {
    if (entry.desc !== 'TABLE' || !loaded.has(entry.dumpId)) return false;
    const columns = readCreateTable(entry.defn ?? '')?.elements ?? [];
    return columns.some(column => / (?:oid|(?:\w+\.)?lo)(?: |$)/.test(column) && columnOf(column) !== null);
  });
}
