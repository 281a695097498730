import { isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { type Division, wholeFamily } from './existing.ts';

/** Kinds of objects that go with a table they depend on when it is dropped with CASCADE, and can be made again. */
const REMADE = new Set([
  ...[
    'VIEW',
    'MATERIALIZED VIEW',
    'RULE',
    'POLICY',
    'TRIGGER',
    'FUNCTION',
    'PROCEDURE',
    'AGGREGATE',
    'OPERATOR',
  ],
  ...['CAST', 'TYPE', 'DOMAIN', 'PUBLICATION TABLE', 'INDEX', 'CONSTRAINT', 'CHECK CONSTRAINT', 'STATISTICS'],
]);

export interface Dependent {
  entry: ArchiveEntry;
  /** What is part of it or said about it, in the archive's order. */
  family: ArchiveEntry[];
  /** What was created that it depends on. */
  on: ArchiveEntry;
}

/**
 * Objects of the archive that depend on relations which were missing and are created, without having been selected:
 * as long as those were missing, they can't have been there. In the archive's order, so that each may rely on those before.
 */
export function lostDependents(
  archive: Archive,
  division: Division,
  selected: ReadonlySet<ArchiveEntry>,
): Dependent[] {
  const { belongings, created, existing } = division;
  const base = new Set(created);
  const found: Dependent[] = [];
  const inFamily = new Set<ArchiveEntry>();
  for (const entry of archive.entries) {
    if (selected.has(entry) || inFamily.has(entry) || existing.has(entry.dumpId)) continue;
    const on = belongings.dependenciesOf(entry).find(other => base.has(other.dumpId));
    if (!on || (!REMADE.has(entry.desc) && entry.desc !== 'TABLE')) continue;
    const parts = entry.desc === 'TABLE' ? [] : [...wholeFamily(belongings, entry.dumpId)];
    const ids = new Set([entry, ...parts].map(each => each.dumpId));
    const family = archive.entries.filter(
      each =>
        each !== entry &&
        (parts.includes(each) || (isRemark(each) && each.dependencies.some(id => ids.has(id)))),
    );
    for (const each of family) inFamily.add(each);
    found.push({ entry, family, on });
    if (isRelation(entry) && entry.desc !== 'TABLE') base.add(entry.dumpId);
  }
  return found;
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
      const own = tables.find(table => belongings.partsOf(table.dumpId).includes(key));
      if (own && tables.some(table => table !== own && reached.has(table.dumpId))) reach(own.dumpId);
    }
  }
  return archive.entries.filter(({ desc, dependencies: [table = -1] }) => {
    return desc === 'TABLE DATA' && reached.has(table) && !restored.has(table) && existing.has(table);
  });
}
