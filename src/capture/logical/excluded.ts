import { isRelation, isRemark } from '../../postgres/archive/belongs.ts';
import type { Archive } from '../../postgres/archive/entry.ts';
import { entryName } from '../../postgres/archive/entryName.ts';
import { tablePattern } from '../../postgres/archive/pattern.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** Warnings name so many objects, and count the rest. */
const NAMED_MAX = 20;

/** What a relation holds, which pg_dump does not give the relation's number. */
const DATA = new Set(['TABLE DATA', 'MATERIALIZED VIEW DATA']);

/** An entry of the archive (dumpId), and the relation that is not in it and without which it can't be made. */
export type NeedsExcluded = [dumpId: number, needs: string];

export interface Exclusion {
  needsExcluded: NeedsExcluded[];
  warnings: string[];
}

/** What the relations that a backup leaves out are needed for, and patterns that leave nothing out. */
export async function examineExclusion(
  session: Session,
  archive: Archive,
  patterns: readonly string[],
): Promise<Exclusion> {
  if (patterns.length === 0) return { needsExcluded: [], warnings: [] };
  const relations = await session.query(sqlFile('relations'));
  const excluded = new Set<string>();
  const idle: string[] = [];
  for (const pattern of patterns) {
    const matches = tablePattern(pattern);
    const found = relations.filter(row => matches(row.schema!, row.name!));
    if (found.length === 0) idle.push(pattern);
    for (const row of found) excluded.add(row.oid!);
  }
  const needs = await session.query(sqlFile('needs_of_relations'), [`{${[...excluded].join(',')}}`]);
  const needsExcluded = entriesOf(archive, needs);
  return {
    needsExcluded,
    warnings: [
      ...idle.map(pattern => `no table matches ${pattern}, which is to be left out`),
      ...describe(archive, needsExcluded),
    ],
  };
}

function entriesOf(archive: Archive, rows: Record<string, string | null>[]): NeedsExcluded[] {
  const byObject = new Map(rows.map(row => [`${row.classid} ${row.objid}`, row.needs!]));
  const attached = new Map(
    rows.flatMap(row => (row.name === null ? [] : [[`${row.schema} ${row.name}`, row.needs!]])),
  );
  const lost = new Map<number, string>();
  for (const entry of archive.entries) {
    const isAttach = entry.desc === 'TABLE ATTACH' || entry.desc === 'INDEX ATTACH';
    const needs = isAttach
      ? attached.get(`${entry.namespace} ${entry.tag}`)
      : entry.oid === '0'
        ? undefined
        : byObject.get(`${entry.tableOid} ${entry.oid}`);
    if (needs !== undefined) lost.set(entry.dumpId, needs);
  }
  const relations = archive.entries.filter(entry => isRelation(entry) && lost.has(entry.dumpId));
  const lostRelations = new Map(relations.map(entry => [`${entry.namespace} ${entry.tag}`, entry.dumpId]));
  for (const entry of archive.entries) {
    const relation = DATA.has(entry.desc) ? lostRelations.get(`${entry.namespace} ${entry.tag}`) : undefined;
    if (relation !== undefined) lost.set(entry.dumpId, lost.get(relation)!);
  }
  // What is said about something comes in an archive after it.
  for (const entry of archive.entries.filter(isRemark)) {
    const about = entry.dependencies.find(id => lost.has(id));
    if (about !== undefined) lost.set(entry.dumpId, lost.get(about)!);
  }
  return [...lost];
}

function describe(archive: Archive, needsExcluded: readonly NeedsExcluded[]): string[] {
  const byId = new Map(archive.entries.map(entry => [entry.dumpId, entry]));
  const objects = needsExcluded.flatMap(([id, needs]) => {
    const entry = byId.get(id)!;
    return isRemark(entry) || entry.desc === 'MATERIALIZED VIEW DATA' ? [] : [{ entry, needs }];
  });
  const lines = objects.slice(0, NAMED_MAX).map(({ entry, needs }) => {
    const rows = entry.desc === 'TABLE DATA' ? ' with its rows' : '';
    return `${entryName(entry)}${rows} needs ${needs}, which is left out: a restore leaves it out too`;
  });
  const more = objects.length - lines.length;
  return more > 0 ? [...lines, `${more} more objects need what is left out`] : lines;
}
