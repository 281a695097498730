import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { isLargeObjectEntry } from '../../postgres/archive/select.ts';
import {
  entryStatements,
  isDatabaseEntry,
  isSettingsEntry,
  largeObjectsOf,
  type StatementOptions,
} from '../../postgres/archive/statements.ts';
import { adapt, type TargetProfile } from '../profile.ts';

/** One object of a database, or one thing said about an object, as it is compared. */
export interface DescribedObject {
  /** Its kind in pg_dump's words. */
  desc: string;
  /** Kind, schema and name, for people. */
  name: string;
  owner: string | null;
  /** The statements that make it. */
  statements: string;
  /** Kept so that what hangs on it can be found. */
  entry: ArchiveEntry;
}

export interface DescribeOptions {
  profile: TargetProfile;
  statements: StatementOptions;
}

/** Carried by their own means, and compared as such: rows by their number, the database by its properties. */
const NOT_OBJECTS = new Set(['TABLE DATA', 'BLOBS', 'STATISTICS DATA']);

/**
 * What entries of an archive say about objects, as the target takes it, in the archive's order. Objects of the same name
 * (operators, casts) are told apart by their statements.
 */
export function describeObjects(
  archive: Archive,
  entries: readonly ArchiveEntry[],
  { profile, statements }: DescribeOptions,
): DescribedObject[] {
  const objects: DescribedObject[] = [];
  for (const entry of entries) {
    if (NOT_OBJECTS.has(entry.desc) || isSettingsEntry(entry) || isDatabaseEntry(entry)) continue;
    if (isLargeObjectEntry(entry) && entry.desc !== 'COMMENT') continue;
    const adapted = adapt(entry, entryStatements(archive, entry, { ...statements, owner: false }), profile);
    const text = adapted.statements.join('\n').trim();
    const owner = statements.owner === false ? null : ownerOf(archive, entry);
    if (text === '' && owner === null) continue;
    objects.push({ desc: entry.desc, name: nameOf(entry), owner, statements: text, entry });
  }
  return [...objects, ...describeLargeObjects(archive, entries, statements)];
}

export function nameOf(entry: ArchiveEntry): string {
  const schema = entry.namespace ? `${entry.namespace}.` : '';
  return `${entry.desc} ${schema}${entry.tag}${entry.desc === 'DEFAULT ACL' ? ` of ${entry.owner}` : ''}`;
}

/** Null where the entry has no owner of its own. */
function ownerOf(archive: Archive, entry: ArchiveEntry): string | null {
  const withOwner = entryStatements(archive, entry, { owner: true });
  const without = entryStatements(archive, { ...entry, owner: null }, { owner: true });
  return withOwner.length > without.length ? entry.owner : null;
}

/**
 * Large objects have no names but numbers, and versions of pg_dump group them in different ways: so they are compared as
 * one list for each owner, and one of all their privileges.
 */
function describeLargeObjects(
  archive: Archive,
  entries: readonly ArchiveEntry[],
  options: StatementOptions,
): DescribedObject[] {
  const byOwner = new Map<string, { entry: ArchiveEntry; oids: string[] }>();
  const grants: string[] = [];
  let granted: ArchiveEntry | undefined;
  for (const entry of entries) {
    if (entry.desc === 'BLOB' || entry.desc === 'BLOB METADATA') {
      const owner = options.owner === false ? '' : (entry.owner ?? '');
      const known = byOwner.get(owner);
      if (known) known.oids.push(...largeObjectsOf(entry));
      else byOwner.set(owner, { entry, oids: [...largeObjectsOf(entry)] });
    } else if (entry.desc === 'ACL' && isLargeObjectEntry(entry)) {
      granted ??= entry;
      for (const statement of entryStatements(archive, entry, options)) grants.push(...lines(statement));
    }
  }
  const found: DescribedObject[] = [...byOwner].map(([owner, { entry, oids }]) => ({
    desc: 'LARGE OBJECTS',
    name: owner === '' ? 'large objects' : `large objects of ${owner}`,
    owner: null,
    statements: oids.sort().join('\n'),
    entry,
  }));
  if (granted === undefined || grants.length === 0) return found;
  const privileges = {
    desc: 'LARGE OBJECTS',
    name: 'privileges of large objects',
    owner: null,
    statements: grants.sort().join('\n'),
    entry: granted,
  };
  return [...found, privileges];
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line !== '');
}
