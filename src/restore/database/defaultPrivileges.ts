import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** Statements that make default privileges again as they were, by what they are for. */
export type SuspendedDefaults = ReadonlyMap<string, string>;

/**
 * Default privileges that the session's role has in its database would be granted on everything that it creates there,
 * and an archive has no statement that takes them back. Takes them away; what they were is in the result.
 */
export async function suspendDefaultPrivileges(session: Session): Promise<SuspendedDefaults> {
  const standing = await session.query(sqlFile('default_privileges'));
  for (const row of standing) await session.run(row.suspend!);
  return new Map(standing.map(row => [row.what!, row.back!]));
}

/** Makes them again, but for those that have been set meanwhile. Resolves to what they are for. */
export async function resumeDefaultPrivileges(
  session: Session,
  suspended: SuspendedDefaults,
): Promise<string[]> {
  if (suspended.size === 0) return [];
  const present = new Set((await session.query(sqlFile('default_privileges'))).map(row => row.what!));
  const missing = [...suspended].filter(([what]) => !present.has(what));
  for (const [, statement] of missing) await session.run(statement);
  return missing.map(([what]) => what);
}
