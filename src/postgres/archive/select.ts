/**
 * Which entries of an archive a restore takes.
 *
 * Without tables: everything, by section and by schema or data. With tables (unlike `pg_restore --table`, which takes
 * the bare definition): the tables with all that is part of them, and what they need to be there.
 *
 * - What belongs to a table comes with it: rows, indexes, constraints, defaults, triggers, rules, policies, statistics,
 *   comments, privileges, security labels, its own sequences and their values.
 * - What an entry depends on comes too, and what that depends on: types, domains, functions, sequences, extensions,
 *   schemas, parents. A table that comes only because it is needed has its whole definition but no rows; except that a
 *   materialized view brings the rows it is computed from, or its refresh would quietly give fewer.
 * - A partitioned table brings all its partitions. A partition brings the tables above it without their other
 *   partitions, since what is attached, and the keys and triggers it inherits, are defined there.
 * - Inheritance of the old kind brings the parents only. What a function names only inside its body is not known.
 * - A partition whose rows go in through the table above it (loadsViaPartitionRoot) can't come without the others.
 * - A foreign key comes only if the rows it refers to do. It is reported otherwise, as is what makes a table part of a
 *   publication.
 * - Large objects have no table; they come only if asked for.
 */
import { usageError } from '../../base/errors.ts';
import { Belongings, isIdentitySequence, isRelation, isRemark } from './belongs.ts';
import type { Archive, ArchiveEntry, Section } from './entry.ts';
import type { NamePredicate } from './pattern.ts';
import { loadsViaPartitionRoot } from './planStep.ts';
import { quoteQualified } from './quote.ts';
import { isDatabaseEntry, isSettingsEntry } from './statements.ts';

export interface Selection {
  /** Tables, views, materialized views, foreign tables and sequences to take; all entries where it is missing. */
  tables?: NamePredicate;
  /** Relations left out, unless something else needs them. */
  except?: NamePredicate;
  /** Definitions only, or rows and values only; both where it is missing. */
  only?: 'schema' | 'data';
  /** Rows are loaded elsewhere than where they were, so a partition needs no other. */
  elsewhere?: boolean;
  /** Materialized views are computed anew with rows alone too, which pg_restore doesn't. */
  refresh?: boolean;
  /** As pg_restore --section; all where it is missing. Entries without a section go with those before them. */
  sections?: ReadonlySet<Exclude<Section, 'none'>>;
  /** Large objects beside the tables; without `tables` they are there anyway. */
  largeObjects?: boolean;
  /** The database itself (pg_restore --create); else its definition, settings and privileges are left out. */
  database?: boolean;
}

export interface Selected {
  /** In the archive's order, the settings of the session (ENCODING, …) always among them. */
  entries: ArchiveEntry[];
  /** dumpIds of the relations and sequences that were asked for (their partitions too), not only needed. */
  named: ReadonlySet<number>;
  /** What someone might expect and doesn't get, each with the reason in a few words. */
  leftOut: { entry: ArchiveEntry; reason: string }[];
}

export function selectEntries(archive: Archive, selection: Selection = {}): Selected {
  const limited = selection.tables !== undefined || selection.except !== undefined;
  const { taken, named, leftOut } = limited
    ? new TableSelection(archive, selection).run()
    : everything(archive);
  const reaches = sectionFilter(archive, selection.sections);
  const entries = archive.entries.filter(entry => {
    if (isSettingsEntry(entry)) return true;
    if (isDatabaseEntry(entry))
      return selection.database === true && selection.only !== 'data' && reaches(entry);
    if (!taken.has(entry.dumpId) || !reaches(entry)) return false;
    if (selection.only === 'schema') return !isData(entry);
    if (selection.only === 'data')
      return isData(entry) || (selection.refresh === true && entry.desc === 'MATERIALIZED VIEW DATA');
    return true;
  });
  return { entries, named, leftOut };
}

/** Rows, sequence values and large objects with what is said about them: what a restore without schema still does. */
export function isData(entry: ArchiveEntry): boolean {
  return entry.hasData || entry.desc === 'SEQUENCE SET' || isLargeObjectEntry(entry);
}

export function isLargeObjectEntry(entry: ArchiveEntry): boolean {
  if (entry.desc === 'BLOB' || entry.desc === 'BLOB METADATA' || entry.desc === 'BLOBS') return true;
  return isRemark(entry) && entry.tag.startsWith('LARGE OBJECT');
}

/** The names the patterns could have meant: what Selection.tables is asked about. */
export function selectableRelations(archive: Archive): ArchiveEntry[] {
  return archive.entries.filter(isRowsAlone(archive) ? isLoneData : isSelectable);
}

/** Whether it has no definitions, of a capture of rows alone: tables and sequences are known by the name of their data. */
export function isRowsAlone({ entries }: Archive): boolean {
  return !entries.some(isSelectable);
}

function isLoneData({ desc }: ArchiveEntry): boolean {
  return desc === 'TABLE DATA' || desc === 'SEQUENCE SET';
}

function isSelectable(entry: ArchiveEntry): boolean {
  return isRelation(entry) || (entry.desc === 'SEQUENCE' && !isIdentitySequence(entry));
}

/** Which entries are taken, by their dumpId. */
type Taken = Omit<Selected, 'entries'> & { taken: Set<number> };

function everything(archive: Archive): Taken {
  const taken = new Set(archive.entries.map(entry => entry.dumpId));
  return { taken, named: taken, leftOut: [] };
}

function sectionFilter(archive: Archive, sections: Selection['sections']): (entry: ArchiveEntry) => boolean {
  if (!sections) return () => true;
  const inside = new Set<ArchiveEntry>();
  let current: Exclude<Section, 'none'> = 'pre-data';
  for (const entry of archive.entries) {
    if (entry.section !== 'none') current = entry.section;
    if (sections.has(current)) inside.add(entry);
  }
  return entry => inside.has(entry);
}

class TableSelection {
  readonly #archive: Archive;
  readonly #selection: Selection;
  readonly #belongings: Belongings;
  readonly #taken = new Set<number>();
  /** Relations whose rows come too. */
  readonly #withRows = new Set<number>();
  readonly #named = new Set<number>();
  readonly #leftOut: Selected['leftOut'] = [];
  #queue: ArchiveEntry[] = [];

  constructor(archive: Archive, selection: Selection) {
    this.#archive = archive;
    this.#selection = selection;
    this.#belongings = new Belongings(archive.entries);
  }

  run(): Taken {
    const { tables = () => true, except = () => false } = this.#selection;
    for (const entry of selectableRelations(this.#archive)) {
      const schema = entry.namespace ?? '';
      if (tables(schema, entry.tag) && !except(schema, entry.tag)) this.#takeWithRows(entry, true);
    }
    if (this.#selection.largeObjects)
      for (const entry of this.#archive.entries) if (isLargeObjectEntry(entry)) this.#take(entry);
    this.#close();
    // Each foreign key may need a function or a type that nothing else did, but never a further table.
    for (const entry of this.#archive.entries)
      if (entry.desc === 'FK CONSTRAINT') this.#takeForeignKey(entry);
    this.#close();
    this.#takeRemarks();
    this.#close();
    if (!this.#selection.elsewhere) this.#refusePartOfTree();
    this.#reportPublications();
    this.#leftOut.sort((a, b) => a.entry.dumpId - b.entry.dumpId);
    return { taken: this.#taken, named: this.#named, leftOut: this.#leftOut };
  }

  #take(entry: ArchiveEntry): void {
    if (this.#taken.has(entry.dumpId)) return;
    this.#taken.add(entry.dumpId);
    this.#queue.push(entry);
  }

  /** Relations get their rows; a partitioned table all its partitions; a materialized view what it is made of. */
  #takeWithRows(entry: ArchiveEntry, isNamed: boolean): void {
    this.#take(entry);
    if (isNamed) this.#named.add(entry.dumpId);
    if (this.#withRows.has(entry.dumpId)) return;
    this.#withRows.add(entry.dumpId);
    this.#queue.push(entry);
    for (const partition of this.#belongings.partitionsOf(entry.dumpId)) {
      const found = this.#belongings.byId.get(partition);
      if (found && !this.#isExcluded(found)) this.#takeWithRows(found, isNamed);
    }
    if (entry.desc === 'MATERIALIZED VIEW') this.#takeSources(entry, new Set());
  }

  #takeSources(view: ArchiveEntry, seen: Set<number>): void {
    // A view that a loop of dependencies broke in two has its query in a rule.
    const rules = this.#belongings.partsOf(view.dumpId).filter(part => part.desc === 'RULE');
    for (const source of [view, ...rules].flatMap(entry => this.#belongings.dependenciesOf(entry))) {
      if (seen.has(source.dumpId)) continue;
      seen.add(source.dumpId);
      if (isRelation(source)) this.#takeWithRows(source, false);
      this.#takeSources(source, seen);
    }
  }

  #isExcluded(entry: ArchiveEntry): boolean {
    return this.#selection.except?.(entry.namespace ?? '', entry.tag) ?? false;
  }

  #close(): void {
    for (let entry = this.#queue.pop(); entry; entry = this.#queue.pop()) {
      for (const part of this.#belongings.partsOf(entry.dumpId))
        if (this.#comesWith(part, entry)) this.#take(part);
      for (const need of this.#belongings.dependenciesOf(entry))
        if (this.#isNeeded(need, entry)) this.#take(need);
    }
  }

  #comesWith(part: ArchiveEntry, whole: ArchiveEntry): boolean {
    switch (part.desc) {
      case 'FK CONSTRAINT':
      case 'SEQUENCE OWNED BY':
        return false;
      case 'TABLE DATA':
      case 'MATERIALIZED VIEW DATA':
        return this.#withRows.has(whole.dumpId);
      default:
        return true;
    }
  }

  #isNeeded(need: ArchiveEntry, by: ArchiveEntry): boolean {
    // A sequence that a column owns is created before it is given to it, so the table isn't needed for it.
    if (isRelation(need) && by.desc === 'SEQUENCE' && !isIdentitySequence(by)) return false;
    // Rows and privileges come by themselves, never because something was sorted behind them.
    return !need.hasData && need.desc !== 'MATERIALIZED VIEW DATA' && !isRemark(need);
  }

  #takeForeignKey(key: ArchiveEntry): void {
    const tables = this.#belongings.relationsOf(key);
    const own = tables.find(table => this.#belongings.partsOf(table.dumpId).includes(key));
    if (!own || !this.#taken.has(own.dumpId)) return;
    const missing = tables.find(table => !this.#taken.has(table.dumpId));
    const target = tables.find(table => table !== own) ?? own;
    const empty = this.#hasAllRows(target) ? undefined : target;
    const blocking = missing ?? (this.#hasRowsBelow(own.dumpId) ? empty : undefined);
    if (!blocking) this.#take(key);
    else {
      const name = quoteQualified(blocking.namespace, blocking.tag);
      const isPart = this.#hasRowsBelow(blocking.dumpId);
      const why = blocking === missing ? 'is not selected' : `comes without ${isPart ? 'all its ' : ''}rows`;
      this.#leftOut.push({ entry: key, reason: `it refers to ${name}, which ${why}` });
    }
  }

  #hasRows(table: ArchiveEntry): boolean {
    return this.#withRows.has(table.dumpId);
  }

  /** A partitioned table has the rows of its partitions. */
  #hasAllRows({ dumpId }: ArchiveEntry): boolean {
    return (
      this.#withRows.has(dumpId) &&
      this.#belongings.allPartitionsOf(dumpId).every(partition => this.#withRows.has(partition))
    );
  }

  /** A foreign key of a partitioned table is checked in its partitions, whether it comes with all of them or not. */
  #hasRowsBelow(dumpId: number): boolean {
    if (this.#withRows.has(dumpId)) return true;
    return this.#belongings.partitionsOf(dumpId).some(partition => this.#hasRowsBelow(partition));
  }

  /** Comments, privileges, labels and statistics go where what they are about goes; so does what ties indexes. */
  #takeRemarks(): void {
    const isThere = (entry: ArchiveEntry) => this.#taken.has(entry.dumpId);
    for (const entry of this.#archive.entries) {
      const about = this.#belongings.dependenciesOf(entry).filter(other => other.desc !== 'ACL');
      if (entry.desc === 'INDEX ATTACH' && about.every(isThere)) this.#take(entry);
      if (entry.desc === 'SEQUENCE OWNED BY') {
        const table = this.#belongings.ownerOf(entry);
        if (about.every(isThere) && table && isThere(table)) this.#take(entry);
      }
      if (entry.desc === 'STATISTICS DATA') {
        if (about.some(other => (isRelation(other) ? this.#hasRows(other) : isThere(other))))
          this.#take(entry);
      } else if (isRemark(entry) && about.some(isThere)) this.#take(entry);
    }
  }

  /** Rows of a hash over an enum's values lie elsewhere in every database: through the root they may go to any partition. */
  #refusePartOfTree(): void {
    for (const data of this.#archive.entries) {
      if (!this.#taken.has(data.dumpId) || data.desc !== 'TABLE DATA' || !loadsViaPartitionRoot(data))
        continue;
      const root = this.#belongings.rootOf(data.dependencies[0] ?? -1);
      const lacking = this.#belongings.allPartitionsOf(root).find(id => !this.#withRows.has(id));
      const [top, other] = [root, lacking ?? -1].map(id => this.#belongings.byId.get(id));
      if (!top || !other) continue;
      const nameOf = (entry: ArchiveEntry) => quoteQualified(entry.namespace, entry.tag);
      throw usageError(
        'PARTITION_NEEDS_TREE',
        `rows of partition ${nameOf(data)} can only be loaded through ${nameOf(top)}, and may land in ${nameOf(other)}, which is not selected`,
        `a hash of an enum is different in every database; select the whole table: --table '${nameOf(top)}'`,
      );
    }
  }

  #reportPublications(): void {
    for (const entry of this.#archive.entries) {
      if (entry.desc !== 'PUBLICATION TABLE') continue;
      const table = this.#belongings.relationsOf(entry).find(other => this.#hasRows(other));
      if (table) this.#leftOut.push({ entry, reason: 'publications are not part of a table' });
    }
  }
}
