import { usageError } from '../base/errors.ts';
import type { Archive, ArchiveEntry } from '../postgres/archive/entry.ts';
import { hasStandardStrings } from '../postgres/archive/statements.ts';

/** What a target server can't or won't do, and the statements that are therefore changed or left out, each reported. */
export interface TargetProfile {
  serverMajor: number;
  superuser: boolean;
  /** Whether it was built with lz4, for columns compressed so. */
  lz4: boolean;
  /** Roles of the target. */
  roles: ReadonlySet<string>;
  /** Roles whose privileges the connection's has. */
  memberOf: ReadonlySet<string>;
}

export interface Adapted {
  statements: string[];
  /** What was left out or changed, for people. */
  notes: string[];
}

/** The entry's statements as the target takes them. */
export function adapt(entry: ArchiveEntry, statements: string[], profile: TargetProfile): Adapted {
  const notes: string[] = [];
  let adapted = statements;
  for (const rule of RULES) {
    adapted = adapted.flatMap(statement => {
      const changed = rule(entry, statement, profile);
      if (changed === null) return [statement];
      if (changed.note)
        notes.push(
          `${entry.desc} ${entry.namespace ? `${entry.namespace}.` : ''}${entry.tag}: ${changed.note}`,
        );
      return changed.statement === null ? [] : [changed.statement];
    });
  }
  return { statements: adapted, notes };
}

/** Null where the rule does not apply; a change that loses nothing has no note. */
type Rule = (
  entry: ArchiveEntry,
  statement: string,
  profile: TargetProfile,
) => { statement: string | null; note?: string } | null;

const LZ4_COLUMN = /^ALTER TABLE (?:ONLY )?[^\n]* ALTER COLUMN [^\n]* SET COMPRESSION lz4;\n*/gm;

/** pg_dump 18 says a NOT NULL of an inherited column as a constraint of the table, which older servers don't parse. */
const TABLE_NOT_NULL =
  /^ {4}(?:CONSTRAINT (?:"(?:[^"]|"")*"|[^\s"]+) )?NOT NULL ("(?:[^"]|"")*"|[^\s",]+)(?: NO INHERIT)?(,?)\n/gm;

const RULES: Rule[] = [
  (entry, statement, { lz4 }) => {
    if (lz4 || entry.desc !== 'TABLE' || !statement.includes('SET COMPRESSION lz4')) return null;
    return {
      statement: statement.replace(LZ4_COLUMN, ''),
      note: 'column compression lz4 was left out, the server lacks it',
    };
  },
  (entry, statement, { serverMajor }) => {
    if (serverMajor >= 18 || entry.desc !== 'TABLE' || !statement.startsWith('CREATE ')) return null;
    const columns: string[] = [];
    const kept = statement.replace(TABLE_NOT_NULL, (_line, column: string) => {
      columns.push(column);
      return '';
    });
    const name = /^CREATE (?:UNLOGGED )?(?:FOREIGN )?TABLE (.*?) \(\n/s.exec(statement)?.[1];
    if (columns.length === 0 || name === undefined) return null;
    const after = columns.map(column => `ALTER TABLE ONLY ${name} ALTER COLUMN ${column} SET NOT NULL;\n`);
    return { statement: `${kept.replace(/,\n\)/, '\n)')}\n${after.join('')}` };
  },
  // They come once all else is there, and are compared first: see extensionComments.ts.
  (entry, _statement, { superuser }) =>
    superuser || !isExtensionComment(entry) ? null : { statement: null },
  (entry, _statement, { superuser, roles }) => {
    const owner = entry.owner ?? '';
    if (entry.desc !== 'DEFAULT ACL' || (roles.has(owner) && (superuser || !PROVIDER_ROLES.has(owner))))
      return null;
    return { statement: null, note: `left out, default privileges of the provider’s role ${owner}` };
  },
];

export function isExtensionComment({ desc, tag }: ArchiveEntry): boolean {
  return desc === 'COMMENT' && tag.startsWith('EXTENSION ');
}

/** Administrators of managed servers, whose default privileges nobody else may set. */
const PROVIDER_ROLES = new Set([
  'cloud_admin',
  'supabase_admin',
  'rdsadmin',
  'azuresu',
  'cloudsqladmin',
  'doadmin',
]);

/** From here on backslashes in '…' literals are always plain characters. */
const MAJOR_OF_STANDARD_STRINGS = 19;

/** Refuses what the target would read in another way, before anything is done. */
export function requireReadableStrings(archive: Archive, { serverMajor }: TargetProfile): void {
  if (serverMajor < MAJOR_OF_STANDARD_STRINGS || hasStandardStrings(archive)) return;
  throw usageError(
    'STRINGS_NOT_STANDARD',
    `the snapshot's definitions were written with standard_conforming_strings = off, which PostgreSQL ${serverMajor} no longer reads`,
    'back the database up again, which writes them in the standard way; or restore into PostgreSQL 18 or older and back that up',
  );
}

/** Roles that the selected entries name and the target lacks. */
export function missingRoles(
  entries: readonly ArchiveEntry[],
  known: readonly string[],
  profile: TargetProfile,
): string[] {
  const candidates = new Set(known.filter(role => !profile.roles.has(role)));
  for (const entry of entries)
    if (entry.owner && !profile.roles.has(entry.owner)) candidates.add(entry.owner);
  if (candidates.size === 0) return [];
  const texts = entries.filter(entry => NAMES_ROLES.has(entry.desc)).map(entry => entry.defn ?? '');
  const owners = new Set(entries.filter(entry => entry.dropStmt).map(entry => entry.owner));
  return [...candidates].filter(role => owners.has(role) || texts.some(text => namesRole(text, role))).sort();
}

const NAMES_ROLES = new Set(['ACL', 'DEFAULT ACL', 'POLICY', 'USER MAPPING']);

function namesRole(text: string, role: string): boolean {
  const escaped = role.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(
    `(?:TO|FROM|FOR ROLE|FOR USER|FOR|,|BY) (?:"${escaped.replaceAll('"', '""')}"|${escaped})(?![\\w"$])`,
  ).test(text);
}
