import { usageError } from '../../base/errors.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { RestoreRequest } from './request.ts';

/** Named in full before the rest is only counted. */
const NAMED = 12;

/** What a database would lose if the snapshot took its place, since the snapshot never had it. */
export interface Missing {
  /** Why the snapshot lacks it. */
  why: string;
  /** In words; never empty. */
  what: string;
}

/** What of the database the snapshot left out, by how it was taken or by what is asked of it; null where it is whole. */
export async function missingFrom(
  { snapshot, only }: Pick<RestoreRequest, 'snapshot' | 'only'>,
  settings: ConnectionSettings,
): Promise<Missing | null> {
  const { tables, excludeTables, schemaOnly, dataOnly } = snapshot.manifest.scope;
  const definitions = only === 'schema' || schemaOnly;
  if (dataOnly) return { why: 'it holds rows only', what: 'every definition' };
  if (!definitions && tables.length + excludeTables.length === 0) return null;
  const wanted = tables.length > 0 ? anyPattern(tables) : () => true;
  const excluded = anyPattern(excludeTables);
  const relations = await readRelations(settings);
  const lost = relations.filter(({ schema, name }) => !wanted(schema, name) || excluded(schema, name));
  const emptied = definitions ? relations.filter(each => each.holdsRows && !lost.includes(each)) : [];
  const what = [
    ...(lost.length > 0 ? [named(lost)] : []),
    ...(emptied.length > 0 ? [`the rows of ${named(emptied)}`] : []),
    // pg_dump leaves out what is in no table where tables are named.
    ...(tables.length > 0 ? ['functions, types and everything else that is not a table'] : []),
  ];
  if (what.length === 0) return null;
  const why = [
    ...(tables.length > 0 ? [`only ${tables.join(', ')}`] : []),
    ...(excludeTables.length > 0 ? [`without ${excludeTables.join(', ')}`] : []),
    ...(definitions ? ['definitions only'] : []),
  ];
  return { why: why.join(', '), what: what.join('; ') };
}

/** Refuses to replace a whole database by a part of one, unless that is allowed. */
export function refusePartial({ snapshot }: RestoreRequest, { why, what }: Missing): never {
  throw usageError(
    'IN_PLACE_PARTIAL',
    `snapshot ${snapshot.manifest.snapshot} is not the whole database (${why}); in its place these would be gone: ${what}`,
    'restore tables with --table, or all that it has into a new database with --new NAME; --allow-partial replaces the database all the same',
  );
}

interface Relation {
  schema: string;
  name: string;
  holdsRows: boolean;
}

async function readRelations(settings: ConnectionSettings): Promise<Relation[]> {
  const session = await Session.open(settings, 'tidemark restore');
  try {
    const rows = await session.query(sqlFile('user_relations'));
    return rows.map(row => ({ schema: row.schema!, name: row.name!, holdsRows: row.holds_rows === 't' }));
  } finally {
    await session.close();
  }
}

function named(relations: Relation[]): string {
  const names = relations.slice(0, NAMED).map(({ schema, name }) => quoteQualified(schema, name));
  const more = relations.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
