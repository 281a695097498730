import { Belongings, isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteName, type Session } from '../../postgres/session.ts';

export interface Division {
  /** Entries to carry out: what the target lacks, and the rows of what it has. */
  entries: ArchiveEntry[];
  /** TABLE entries whose rows are replaced. */
  replaced: ArchiveEntry[];
  /** What the target has already and keeps, for people. */
  kept: string[];
}

/** Divides selected entries by what the target database has already: a table that is there keeps all that belongs to it. */
export async function divide(
  session: Session,
  archive: Archive,
  entries: readonly ArchiveEntry[],
): Promise<Division> {
  const data = new Set(
    entries.filter(entry => entry.desc === 'TABLE DATA').map(entry => entry.dependencies[0]),
  );
  const selected = new Set(entries);
  const relations = archive.entries.filter(
    entry =>
      (isRelation(entry) || entry.desc === 'SEQUENCE') && (selected.has(entry) || data.has(entry.dumpId)),
  );
  const existing = await existingOf(session, relations);
  const belongings = new Belongings(archive.entries);
  const keptIds = new Set<number>();
  for (const entry of existing) {
    keptIds.add(entry.dumpId);
    for (const part of wholeFamily(belongings, entry)) keptIds.add(part.dumpId);
  }
  const replaced = existing.filter(entry => entry.desc === 'TABLE' && data.has(entry.dumpId));
  const replacedIds = new Set(replaced.map(entry => entry.dumpId));
  const restored = entries.filter(entry => {
    if (entry.desc === 'TABLE DATA') return true;
    if (entry.desc === 'SEQUENCE SET') return resets(belongings, entry, keptIds, replacedIds);
    if (isRemark(entry)) return !entry.dependencies.some(id => keptIds.has(id));
    return !keptIds.has(entry.dumpId);
  });
  const kept = existing.filter(
    entry => !replacedIds.has(entry.dumpId) && !isOwned(belongings, entry, replacedIds),
  );
  return {
    entries: restored,
    replaced,
    kept: kept.map(entry => `${entry.desc} ${entry.namespace}.${entry.tag}`),
  };
}

async function existingOf(session: Session, relations: ArchiveEntry[]): Promise<ArchiveEntry[]> {
  const names = relations.map(entry => `${quoteName(entry.namespace ?? '')}.${quoteName(entry.tag)}`);
  const rows = await session.query(
    'select n.at from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality as n(name, at) where pg_catalog.to_regclass(n.name) is not null',
    [names],
  );
  return rows.map(row => relations[Number(row.at) - 1]!);
}

/** All parts of an entry, parts of parts included. */
function* wholeFamily(belongings: Belongings, entry: ArchiveEntry): Iterable<ArchiveEntry> {
  for (const part of belongings.partsOf(entry.dumpId)) {
    yield part;
    yield* wholeFamily(belongings, part);
  }
}

/** A sequence goes back with its own table's rows; one that others use too, and that is there, must not. */
function resets(
  belongings: Belongings,
  entry: ArchiveEntry,
  kept: Set<number>,
  replaced: Set<number>,
): boolean {
  const sequence = belongings.byId.get(entry.dependencies[0] ?? -1);
  if (!sequence || !kept.has(sequence.dumpId)) return true;
  return isOwned(belongings, sequence, replaced);
}

/** A sequence that goes with one of the tables: it depends on the table it is owned by. */
function isOwned(belongings: Belongings, sequence: ArchiveEntry, tables: Set<number>): boolean {
  return sequence.desc === 'SEQUENCE' && [...tables].some(id => belongings.partsOf(id).includes(sequence));
}
