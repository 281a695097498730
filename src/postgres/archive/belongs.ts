/**
 * What an entry of the archive belongs to: the table an index, a constraint or a trigger is part of. The archive only
 * says what depends on what (a foreign key depends on two tables, a constraint trigger on a table and a function), so
 * the name and the statement decide.
 */
import type { ArchiveEntry } from './entry.ts';
import { readQualified } from './quote.ts';

/** Kinds that hold rows or can be read like a table. */
const RELATIONS = new Set(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE']);

/** Parts of a table (a CHECK CONSTRAINT: of a domain too) whose tag is `<table> <own name>`. */
const TAGGED_BY_TABLE = new Set([
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'DEFAULT',
]);

/** Parts of a table that have exactly one table among what they depend on, or carry the table's own name. */
const PART_BY_DEPENDENCY = new Set([
  'INDEX',
  'STATISTICS',
  'ROW SECURITY',
  'TABLE DATA',
  'MATERIALIZED VIEW DATA',
  'TABLE ATTACH',
]);

/** What only says something about another entry, and goes where that entry goes. */
const REMARKS = new Set(['COMMENT', 'ACL', 'SECURITY LABEL', 'STATISTICS DATA']);

export function isRelation(entry: ArchiveEntry): boolean {
  return RELATIONS.has(entry.desc);
}

export function isRemark(entry: ArchiveEntry): boolean {
  return REMARKS.has(entry.desc);
}

/** A sequence that is a column's identity: its statement alters the table. */
export function isIdentitySequence(entry: ArchiveEntry): boolean {
  return entry.desc === 'SEQUENCE' && (entry.defn?.startsWith('ALTER TABLE') ?? false);
}

/** The archive's entries by dumpId, with what each belongs to. */
export class Belongings {
  readonly byId: Map<number, ArchiveEntry>;
  /** dumpId of a whole → its parts, in the archive's order. */
  readonly #parts = new Map<number, ArchiveEntry[]>();
  /** dumpId of a partition → its TABLE ATTACH entry's other table. */
  readonly #parentOf = new Map<number, number>();
  readonly #partitionsOf = new Map<number, number[]>();

  constructor(entries: readonly ArchiveEntry[]) {
    this.byId = new Map(entries.map(entry => [entry.dumpId, entry]));
    for (const entry of entries) {
      const whole = this.#wholeOf(entry);
      if (whole !== null) append(this.#parts, whole, entry);
      if (entry.desc === 'TABLE ATTACH' && whole !== null) this.#recordPartition(entry, whole);
    }
  }

  partsOf(dumpId: number): ArchiveEntry[] {
    return this.#parts.get(dumpId) ?? [];
  }

  /** What an entry is part of. */
  wholeOf(entry: ArchiveEntry): ArchiveEntry | undefined {
    return this.byId.get(this.#wholeOf(entry) ?? -1);
  }

  parentOf(dumpId: number): number | null {
    return this.#parentOf.get(dumpId) ?? null;
  }

  partitionsOf(dumpId: number): number[] {
    return this.#partitionsOf.get(dumpId) ?? [];
  }

  /** The table that the sequence of a SEQUENCE OWNED BY is given to. */
  ownerOf(ownedBy: ArchiveEntry): ArchiveEntry | undefined {
    const sequence = this.byId.get(ownedBy.dependencies[0] ?? -1);
    return sequence && this.relationsOf(sequence)[0];
  }

  /** The partitioned table at the top of a partition's tree; of any other table itself. */
  rootOf(dumpId: number): number {
    const parent = this.parentOf(dumpId);
    return parent === null ? dumpId : this.rootOf(parent);
  }

  /** All tables below a partitioned table, those that have rows themselves and those between. */
  allPartitionsOf(dumpId: number): number[] {
    return this.partitionsOf(dumpId).flatMap(id => [id, ...this.allPartitionsOf(id)]);
  }

  /** What an entry needs, as entries of this archive. */
  dependenciesOf(entry: ArchiveEntry): ArchiveEntry[] {
    return entry.dependencies.flatMap(id => this.byId.get(id) ?? []);
  }

  /** The relations an entry depends on. */
  relationsOf(entry: ArchiveEntry): ArchiveEntry[] {
    return this.dependenciesOf(entry).filter(isRelation);
  }

  #wholeOf(entry: ArchiveEntry): number | null {
    const relations = this.relationsOf(entry);
    if (TAGGED_BY_TABLE.has(entry.desc)) {
      const domains = this.dependenciesOf(entry).filter(other => other.desc === 'DOMAIN');
      return taggedTable(entry, [...relations, ...domains])?.dumpId ?? null;
    }
    if (entry.desc === 'SEQUENCE SET' || entry.desc === 'SEQUENCE OWNED BY')
      return entry.dependencies[0] ?? null;
    if (entry.desc === 'SEQUENCE') return relations[0]?.dumpId ?? null;
    if (!PART_BY_DEPENDENCY.has(entry.desc)) return null;
    const own = relations.find(table => table.tag === entry.tag && table.namespace === entry.namespace);
    return (own ?? relations[0])?.dumpId ?? null;
  }

  #recordPartition(attach: ArchiveEntry, partition: number): void {
    const parent = this.relationsOf(attach).find(table => table.dumpId !== partition);
    if (!parent) return;
    this.#parentOf.set(partition, parent.dumpId);
    append(this.#partitionsOf, parent.dumpId, partition);
  }
}

/** The table whose name starts the tag; where that fits two (names with spaces), the one the statement names. */
function taggedTable(entry: ArchiveEntry, tables: readonly ArchiveEntry[]): ArchiveEntry | undefined {
  const fitting = tables.filter(
    table => table.namespace === entry.namespace && entry.tag.startsWith(`${table.tag} `),
  );
  if (fitting.length <= 1) return fitting[0];
  const named = namedTable(entry.dropStmt ?? '') ?? namedTable(entry.defn ?? '');
  return fitting.find(table => table.tag === named) ?? fitting[0];
}

/** `ALTER TABLE ONLY a.b …`, `DROP TRIGGER x ON a.b;`: b. */
function namedTable(sql: string): string | null {
  const start = /^ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?/.exec(sql);
  if (start) return readQualified(sql, start[0].length)?.parts.at(-1) ?? null;
  const dropped = /^DROP (?:TRIGGER|RULE|POLICY) /.exec(sql);
  const name = dropped && readQualified(sql, dropped[0].length);
  if (!name || !sql.startsWith(' ON ', name.end)) return null;
  return readQualified(sql, name.end + ' ON '.length)?.parts.at(-1) ?? null;
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
