import { TidemarkError } from '../../base/errors.ts';
import { Belongings, isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { isLargeObjectEntry, type Selected } from '../../postgres/archive/select.ts';
import type { TableTarget } from './target.ts';

/** What of a selection is done in a database that has a part of it already. */
export interface Division {
  belongings: Belongings;
  /** Entries to carry out: what the target lacks, and rows and values of what it has. Foreign keys are not among them. */
  entries: ArchiveEntry[];
  /** TABLE DATA entries of tables that are there: their rows are replaced. */
  replaced: ArchiveEntry[];
  /** dumpIds of relations and sequences that are created. */
  created: ReadonlySet<number>;
  /** dumpIds of relations and sequences of the archive that are there, selected or not. */
  existing: ReadonlySet<number>;
  /** Relations and sequences that were asked for, or needed, and stay as they are. */
  kept: ArchiveEntry[];
  /** Foreign keys between tables that are created, or get a partition, and tables that are there or created. */
  foreignKeys: ArchiveEntry[];
}

/**
 * Divides selected entries by what the target has already. A table that is there keeps all that belongs to it; its rows
 * are replaced if it was asked for, never because something else needs it.
 */
export async function divide(target: TableTarget, archive: Archive, selected: Selected): Promise<Division> {
  const belongings = new Belongings(archive.entries);
  const data = selected.entries.filter(entry => entry.desc === 'TABLE DATA');
  const relations = archive.entries.filter(entry => isRelation(entry) || entry.desc === 'SEQUENCE');
  const existing = new Set((await target.existing(relations)).map(entry => entry.dumpId));
  const there = new Set(await target.existing(data));
  const chosen = new Set(selected.entries.map(entry => entry.dumpId));
  const created = new Set(
    relations.map(entry => entry.dumpId).filter(id => chosen.has(id) && !existing.has(id)),
  );
  requireTables(data, there, created);
  const isNamed = ({ dependencies: [table = -1] }: ArchiveEntry) =>
    selected.named.has(table) || !belongings.byId.has(table);
  const replaced = data.filter(entry => there.has(entry) && isNamed(entry));
  const restored = restoredOf(belongings, selected, { existing, created, replaced, isNamed });
  const withRows = new Set([...replaced.map(entry => entry.dependencies[0] ?? -1), ...created]);
  return {
    belongings,
    entries: restored,
    replaced,
    created,
    existing,
    kept: relations.filter(
      entry =>
        chosen.has(entry.dumpId) &&
        existing.has(entry.dumpId) &&
        !withRows.has(entry.dumpId) &&
        !belongings.allPartitionsOf(entry.dumpId).some(id => withRows.has(id)) &&
        !isOwned(belongings, entry, withRows) &&
        !(entry.desc === 'MATERIALIZED VIEW' && selected.named.has(entry.dumpId)) &&
        !(entry.desc === 'SEQUENCE' && selected.named.has(entry.dumpId)),
    ),
    foreignKeys: archive.entries.filter(
      entry => entry.desc === 'FK CONSTRAINT' && isComplete(belongings, entry, existing, created),
    ),
  };
}

/** Rows alone need a table. */
function requireTables(
  data: readonly ArchiveEntry[],
  there: ReadonlySet<ArchiveEntry>,
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
  existing: ReadonlySet<number>;
  created: ReadonlySet<number>;
  replaced: readonly ArchiveEntry[];
  isNamed(entry: ArchiveEntry): boolean;
}

function restoredOf(belongings: Belongings, { entries, named }: Selected, found: Found): ArchiveEntry[] {
  const { existing, created, replaced, isNamed } = found;
  const kept = new Set<number>();
  for (const id of existing) {
    kept.add(id);
    for (const part of wholeFamily(belongings, id)) kept.add(part.dumpId);
  }
  const withRows = new Set([...replaced.map(entry => entry.dependencies[0] ?? -1), ...created]);
  const loaded = new Set(replaced);
  const needed = neededBy(belongings, entries, created);
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
        if (!sequence || created.has(sequence.dumpId) || named.has(sequence.dumpId)) return true;
        return isOwned(belongings, sequence, withRows);
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
): Set<number> {
  const isObject = (entry: ArchiveEntry) => !isRemark(entry) && entry.desc !== 'TABLE DATA';
  const queue = entries.filter(
    entry => created.has(entry.dumpId) || (isLargeObjectEntry(entry) && !isRemark(entry)),
  );
  const needed = new Set<number>();
  for (let entry = queue.pop(); entry; entry = queue.pop()) {
    if (needed.has(entry.dumpId)) continue;
    needed.add(entry.dumpId);
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
  existing: ReadonlySet<number>,
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
