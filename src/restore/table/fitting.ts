import { TidemarkError } from '../../base/errors.ts';
import { isRelation } from '../../postgres/archive/belongs.ts';
import { readCreateTable } from '../../postgres/archive/createTable.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { type Division, wholeFamily } from './existing.ts';
import type { TableTarget } from './target.ts';

/** Named in full before the rest is only counted. */
const NAMED = 10;

const KINDS: Record<string, string> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  S: 'sequence',
  i: 'index',
  I: 'index',
  c: 'composite type',
};

/**
 * Refuses what would go wrong, or to the wrong place, because the target has become another since the snapshot: a name
 * stands for another kind of relation, a partition is one no more, a name that a missing table needs is another's.
 *
 * @param isAsked whether a relation itself was asked for, not only the partitioned table it belongs to.
 * @returns notes on what is left as it is.
 */
export async function requireFitting(
  target: TableTarget,
  archive: Archive,
  selected: Selected,
  division: Division,
  isAsked: (entry: ArchiveEntry) => boolean,
): Promise<string[]> {
  requireKinds(archive, selected, division);
  await requireFreeNames(target, division);
  return requirePartitions(archive, selected, division, isAsked);
}

function requireKinds(archive: Archive, selected: Selected, { existing, there, replaced }: Division): void {
  const others: string[] = [];
  const compare = (entry: ArchiveEntry, wanted: string, kind: string) => {
    if (kind === wanted) return;
    const name = quoteQualified(entry.namespace, entry.tag);
    others.push(`${name} is a ${kindName(kind)} in the target, and a ${kindName(wanted)} in the snapshot`);
  };
  for (const entry of archive.entries) {
    const present = existing.get(entry.dumpId);
    if (present && selected.named.has(entry.dumpId)) compare(entry, kindOf(entry), present.kind);
  }
  if (others.length === 0) for (const data of replaced) compare(data, 'r', there.get(data)!.kind);
  if (others.length === 0) return;
  throw new TidemarkError(
    'TARGET_OTHER_KIND',
    listed(others),
    'nothing was changed; restore it beside with --as NAME, or into a new database with --new NAME, and take the rows you need',
  );
}

function kindName(kind: string): string {
  return KINDS[kind] ?? `relation of kind ${kind}`;
}

/** As pg_class.relkind has it. */
function kindOf({ desc, defn }: ArchiveEntry): string {
  if (desc === 'SEQUENCE') return 'S';
  if (desc === 'VIEW') return 'v';
  if (desc === 'MATERIALIZED VIEW') return 'm';
  if (desc === 'FOREIGN TABLE') return 'f';
  return readCreateTable(defn ?? '')?.partitioned ? 'p' : 'r';
}

/** A table that was renamed keeps its indexes and sequences, under the names that the one made anew needs. */
async function requireFreeNames(
  target: TableTarget,
  { belongings, created, existing, entries }: Division,
): Promise<void> {
  const carriedOut = new Set(entries);
  const needed: { namespace: string | null; tag: string; dumpId: number }[] = [];
  for (const table of entries.filter(entry => isRelation(entry) && created.has(entry.dumpId))) {
    for (const part of wholeFamily(belongings, table.dumpId)) {
      const { namespace, dumpId } = part;
      if (part.desc === 'CONSTRAINT' && carriedOut.has(part))
        needed.push({ namespace, dumpId, tag: part.tag.slice(table.tag.length + 1) });
      else if (part.desc === 'INDEX' && carriedOut.has(part)) needed.push(part);
      else if (part.desc === 'SEQUENCE' && existing.has(dumpId)) needed.push(part);
    }
  }
  const taken: string[] = [];
  for (const [{ namespace, tag }, { kind, owner, ownerName }] of await target.present(needed)) {
    // A sequence that is nobody's is taken over.
    if (kind === 'S' && owner === null) continue;
    const of = ownerName === null ? '' : ` of ${ownerName}`;
    taken.push(`${quoteQualified(namespace, tag)}, ${kindName(kind)}${of}`);
  }
  if (taken.length === 0) return;
  throw new TidemarkError(
    'NAMES_TAKEN',
    `tables that are missing can't be created, since others have the names of what belongs to them: ${listed(taken)}`,
    'nothing was changed; rename those (ALTER INDEX … RENAME TO …, ALTER SEQUENCE … RENAME TO …), or restore the table beside with --as NAME, or into a new database with --new NAME',
  );
}

/** Rows of a partition that has been detached would not be among those of the table that was asked for. */
function requirePartitions(
  archive: Archive,
  { named }: Selected,
  { belongings, existing }: Division,
  isAsked: (entry: ArchiveEntry) => boolean,
): string[] {
  const notes: string[] = [];
  for (const attach of archive.entries) {
    if (attach.desc !== 'TABLE ATTACH') continue;
    const partition = belongings.wholeOf(attach);
    const parent = belongings.byId.get(belongings.parentOf(partition?.dumpId ?? -1) ?? -1);
    if (!partition || !parent || !named.has(partition.dumpId) || !named.has(parent.dumpId)) continue;
    const [below, above] = [existing.get(partition.dumpId), existing.get(parent.dumpId)];
    if (!below || !above || below.parent === above.oid) continue;
    const [name, whole] = [partition, parent].map(entry => quoteQualified(entry.namespace, entry.tag));
    const statement = attach.defn!.trim();
    if (isAsked(partition)) {
      notes.push(
        `${name} is no partition of ${whole} any more, and stays none: ${whole} is without its rows; ${statement}`,
      );
      continue;
    }
    throw new TidemarkError(
      'PARTITION_DETACHED',
      `${name} is a partition of ${whole} in the snapshot, and none in the target: ${whole} would come back without its rows`,
      `nothing was changed; make it a partition again (${statement}), or name the partitions to restore, each with --table`,
    );
  }
  return notes;
}

function listed(items: string[]): string {
  const more = items.length > NAMED ? ` and ${items.length - NAMED} more` : '';
  return items.slice(0, NAMED).join('; ') + more;
}
