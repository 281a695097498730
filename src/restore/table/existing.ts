import { TidemarkError } from '../../base/errors.ts';
import { Belongings, isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { isLargeObjectEntry, type Selected } from '../../postgres/archive/select.ts';
import type { Present, TableTarget } from './target.ts';

/** What of a selection is done in a database that has a part of it already. */
export interface Division {
  belongings: Belongings;
  /** Entries to carry out: what the target lacks, and rows and values of what it has. Foreign keys are not among them. */
  entries: ArchiveEntry[];
  /** TABLE DATA entries of tables that are there: their rows are replaced. */
  replaced: ArchiveEntry[];
  /** dumpIds of relations and sequences that are created. */
  created: ReadonlySet<number>;
  /** Relations and sequences of the archive that are there, selected or not, by dumpId. */
  existing: ReadonlyMap<number, Present>;
  /** Rows of tables that are there, whose definitions the archive lacks or not. */
  there: ReadonlyMap<ArchiveEntry, Present>;
  /** dumpIds of tables that have rows of the snapshot afterwards; a partitioned one that was asked for is among them. */
  withRows: ReadonlySet<number>;
  /** Relations and sequences that were asked for, or needed, and stay as they are. */
  kept: ArchiveEntry[];
  /** Foreign keys between tables that are created, or get a partition, and tables that are there or created. */
  foreignKeys: ArchiveEntry[];
  /** Foreign keys of tables that are created, to tables that are neither there nor created. */
  keysWithoutTable: ArchiveEntry[];
  /** Selected sequences that are missing and stay so: tables that are there were given something else for their numbers. */
  sequencesGone: ArchiveEntry[];
}

/**
 * Divides selected entries by what the target has already. A table that is there keeps all that belongs to it; its rows
 * are replaced if it was asked for, never because something else needs it.
 */
export async function divide(target: TableTarget, archive: Archive, selected: Selected): Promise<Division> {
  const belongings = new Belongings(archive.entries);
  const data = selected.entries.filter(entry => entry.desc === 'TABLE DATA');
  const relations = archive.entries.filter(entry => isRelation(entry) || entry.desc === 'SEQUENCE');
  const found = await target.present(relations);
  const existing = new Map([...found].map(([entry, present]) => [entry.dumpId, present]));
  const there = await target.present(data);
  const chosen = new Set(selected.entries);
  const missing = relations.filter(entry => chosen.has(entry) && !existing.has(entry.dumpId));
  const created = new Set(missing.filter(isRelation).map(entry => entry.dumpId));
  const needed = neededBy(belongings, selected.entries, created, existing);
  // A sequence that is missing beside its table was given up, unless something that is made takes numbers from it.
  for (const { dumpId } of missing) if (needed.has(dumpId) || selected.named.has(dumpId)) created.add(dumpId);
  requireTables(data, there, created);
  const isNamed = ({ dependencies: [table = -1] }: ArchiveEntry) =>
    selected.named.has(table) || !belongings.byId.has(table);
  const replaced = data.filter(entry => there.has(entry) && isNamed(entry));
  const withRows = withNewRows(belongings, selected, replaced, created);
  const keys = archive.entries.filter(entry => entry.desc === 'FK CONSTRAINT');
  const isThere = ({ dumpId }: ArchiveEntry) => created.has(dumpId) || existing.has(dumpId);
  return {
    belongings,
    entries: restoredOf(belongings, selected, { existing, created, replaced, isNamed, withRows }),
    replaced,
    created,
    existing,
    there,
    withRows,
    kept: relations.filter(
      entry =>
        chosen.has(entry) &&
        existing.has(entry.dumpId) &&
        !withRows.has(entry.dumpId) &&
        !belongings.allPartitionsOf(entry.dumpId).some(id => withRows.has(id)) &&
        !isOwned(belongings, entry, withRows) &&
        !(entry.desc === 'MATERIALIZED VIEW' && selected.named.has(entry.dumpId)) &&
        !(entry.desc === 'SEQUENCE' && selected.named.has(entry.dumpId)),
    ),
    foreignKeys: keys.filter(entry => isComplete(belongings, entry, existing, created)),
    keysWithoutTable: keys.filter(entry => {
      const tables = belongings.relationsOf(entry);
      const own = belongings.wholeOf(entry);
      return own !== undefined && created.has(own.dumpId) && !tables.every(isThere);
    }),
    sequencesGone: missing.filter(entry => !created.has(entry.dumpId)),
  };
}

function withNewRows(
  belongings: Belongings,
  { named }: Selected,
  replaced: readonly ArchiveEntry[],
  created: ReadonlySet<number>,
): Set<number> {
  const tables = new Set(created);
  for (const {
    dependencies: [table = -1],
  } of replaced) {
    tables.add(table);
    let above = belongings.parentOf(table);
    for (; above !== null && named.has(above); above = belongings.parentOf(above)) tables.add(above);
  }
  return tables;
}

/** Rows alone need a table. */
function requireTables(
  data: readonly ArchiveEntry[],
  there: ReadonlyMap<ArchiveEntry, Present>,
  created: ReadonlySet<number>,
): void {
  const missing = data.filter(entry => !there.has(entry) && !created.has(entry.dependencies[0] ?? -1));
  if (missing.length === 0) return;
  const names = missing.slice(0, 10).map(entry => quoteQualified(entry.namespace, entry.tag));
  const more = missing.length > names.length ? ` and ${missing.length - names.length} more` : '';
  throw new TidemarkError(
    'TABLES_MISSING',
    `the target lacks ${missing.length === 1 ? 'the table' : 'the tables'} ${names.join(', ')}${more}, whose rows are to be restored`,
    'leave out --data-only to create what is missing, or name the tables that are there with --table; nothing was changed',
  );
}

interface Found {
  existing: ReadonlyMap<number, Present>;
  created: ReadonlySet<number>;
  /** Tables that get rows. */
  withRows: ReadonlySet<number>;
  replaced: readonly ArchiveEntry[];
  isNamed(entry: ArchiveEntry): boolean;
}

function restoredOf(belongings: Belongings, { entries, named }: Selected, found: Found): ArchiveEntry[] {
  const { existing, created, replaced, isNamed, withRows } = found;
  const kept = new Set<number>();
  for (const id of existing.keys()) {
    kept.add(id);
    for (const part of wholeFamily(belongings, id)) kept.add(part.dumpId);
  }
  const loaded = new Set(replaced);
  const needed = neededBy(belongings, entries, created, existing);
  const isNew = (id: number) => !kept.has(id) && needed.has(id);
  return entries.filter(entry => {
    switch (entry.desc) {
      case 'FK CONSTRAINT':
        return false;
      case 'TABLE DATA':
        return loaded.has(entry) || created.has(entry.dependencies[0] ?? -1);
      case 'MATERIALIZED VIEW DATA':
        return created.has(entry.dependencies[0] ?? -1) || isNamed(entry);
      case 'SEQUENCE SET': {
        const sequence = belongings.byId.get(entry.dependencies[0] ?? -1);
        if (!sequence || created.has(sequence.dumpId)) return true;
        const goesAlong = isOwned(belongings, sequence, withRows);
        return existing.has(sequence.dumpId)
          ? goesAlong || named.has(sequence.dumpId)
          : !goesAlong && named.has(sequence.dumpId);
      }
      case 'SEQUENCE OWNED BY':
        return created.has(belongings.ownerOf(entry)?.dumpId ?? -1);
      case 'TABLE ATTACH':
      case 'INDEX ATTACH':
        return entry.dependencies.some(id => created.has(id));
      default:
        // What is said about a foreign key goes with it.
        if (belongings.dependenciesOf(entry).some(({ desc }) => desc === 'FK CONSTRAINT')) return false;
        // The grants on columns come after those on their table.
        if (isRemark(entry))
          return entry.dependencies.every(id => belongings.byId.get(id)?.desc === 'ACL' || isNew(id));
        return isNew(entry.dumpId);
    }
  });
}

/** What is created, and what that needs: a table that is there has its types and functions already. */
function neededBy(
  belongings: Belongings,
  entries: readonly ArchiveEntry[],
  created: ReadonlySet<number>,
  existing: ReadonlyMap<number, Present>,
): Set<number> {
  const isObject = (entry: ArchiveEntry) => !isRemark(entry) && entry.desc !== 'TABLE DATA';
  const queue = entries.filter(
    entry => created.has(entry.dumpId) || (isLargeObjectEntry(entry) && !isRemark(entry)),
  );
  const needed = new Set<number>();
  for (let entry = queue.pop(); entry; entry = queue.pop()) {
    if (needed.has(entry.dumpId)) continue;
    needed.add(entry.dumpId);
    if (existing.has(entry.dumpId)) continue;
    queue.push(...belongings.partsOf(entry.dumpId), ...belongings.dependenciesOf(entry).filter(isObject));
  }
  return needed;
}

/** All parts of an entry, parts of parts included. */
export function* wholeFamily(belongings: Belongings, id: number): Iterable<ArchiveEntry> {
  for (const part of belongings.partsOf(id)) {
    yield part;
    yield* wholeFamily(belongings, part.dumpId);
  }
}

/** A sequence that goes with one of the tables: it depends on the table it is owned by. */
function isOwned(belongings: Belongings, sequence: ArchiveEntry, tables: ReadonlySet<number>): boolean {
  return (
    sequence.desc === 'SEQUENCE' && belongings.relationsOf(sequence).some(table => tables.has(table.dumpId))
  );
}

function isComplete(
  belongings: Belongings,
  key: ArchiveEntry,
  existing: ReadonlyMap<number, Present>,
  created: ReadonlySet<number>,
): boolean {
  const tables = belongings.relationsOf(key);
  // A key to a partitioned table goes with any of its partitions (DROP … CASCADE).
  const isNew = (id: number): boolean =>
    created.has(id) || belongings.allPartitionsOf(id).some(partition => created.has(partition));
  return (
    tables.some(table => isNew(table.dumpId)) &&
    tables.every(table => created.has(table.dumpId) || existing.has(table.dumpId))
  );
}
