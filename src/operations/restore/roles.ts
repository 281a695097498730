import { usageError } from '../../base/errors.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { decodeText } from '../../postgres/encoding.ts';
import { quoteName, type Session } from '../../postgres/session.ts';
import { querySharedCatalogs } from '../../postgres/sharedCatalogs.ts';
import { missingRoles, type TargetProfile } from '../../restore/profile.ts';
import type { RestoreRequest } from './request.ts';

const ROLES =
  "select rolname, rolsuper, rolname operator(pg_catalog.=) current_user as me, pg_catalog.pg_has_role(oid, 'USAGE') as mine from pg_catalog.pg_roles";

/** What the target server is and who we are on it; names of roles as the archive spells them. */
export async function readProfile(session: Session, archive: Archive): Promise<TargetProfile> {
  const roles = await querySharedCatalogs(session, ROLES, bytes => decodeText(bytes, archive.text));
  const [compression] = await session.query(
    "select 'lz4' = any(enumvals) as lz4 from pg_catalog.pg_settings where name = 'default_toast_compression'",
  );
  return {
    serverMajor: session.serverMajor,
    lz4: compression?.lz4 === 't',
    superuser: roles.some(role => role.me === 't' && role.rolsuper === 't'),
    roles: new Set(roles.map(role => role.rolname!)),
    memberOf: new Set(roles.filter(role => role.mine === 't').map(role => role.rolname!)),
  };
}

/** Refuses a restore that would name roles the target lacks, before anything is done. */
export function requireRoles(request: RestoreRequest, entries: ArchiveEntry[], profile: TargetProfile): void {
  if (!request.owner && !request.privileges) return;
  const { archive, globals } = request.snapshot;
  // As another database of the server may have written it.
  const spelled = (name: string) => decodeText(Buffer.from(name, 'utf8'), archive.text);
  const known = globals.roles
    .map(({ name }) => name)
    .filter(name => !profile.roles.has(spelled(name)))
    .flatMap(name => [...new Set([name, spelled(name)])]);
  const wanted = entries.filter(entry => request.privileges || !['ACL', 'DEFAULT ACL'].includes(entry.desc));
  const missing = missingRoles(
    request.owner ? wanted : wanted.map(entry => ({ ...entry, owner: null })),
    known,
    profile,
  );
  if (missing.length === 0) return;
  throw usageError(
    'ROLES_MISSING',
    `the target server lacks ${missing.length === 1 ? 'the role' : 'the roles'} ${missing.join(', ')}, which own or may use what is restored`,
    `${request.tables.length > 0 ? 'create them there' : 'create them with --roles'}, or leave owners and privileges out with --no-owner --no-privileges`,
  );
}

/** Whoever owns a database is a member of it in there: who that will be is not known yet. */
const DATABASE_OWNER = 'pg_database_owner';
/** From this version on membership does not include the right to become the role. */
const SET_OPTION_MAJOR = 16;

/** Refuses a restore that would give objects to roles that this one can't give anything to, before anything is done. */
export async function requireOwners(
  { owner, snapshot: { archive } }: RestoreRequest,
  entries: readonly ArchiveEntry[],
  session: Session,
): Promise<void> {
  if (!owner) return;
  const owners = new Set(entries.filter(entry => entry.dropStmt && entry.owner).map(entry => entry.owner!));
  owners.delete(DATABASE_OWNER);
  const right = session.serverMajor >= SET_OPTION_MAJOR ? 'SET' : 'MEMBER';
  const roles = await querySharedCatalogs(
    session,
    `select rolname, rolsuper, current_user as me from pg_catalog.pg_roles where not pg_catalog.pg_has_role(oid, '${right}') order by 1`,
    bytes => decodeText(bytes, archive.text),
  );
  const denied = roles.filter(({ rolname }) => owners.has(rolname!));
  if (denied.length === 0) return;
  const names = denied.map(row => row.rolname!);
  const me = denied[0]!.me!;
  const grant = denied.every(row => row.rolsuper !== 't')
    ? `let it (GRANT ${names.map(quoteName).join(', ')} TO ${quoteName(me)}), `
    : '';
  throw usageError(
    'OWNERS_DENIED',
    `role ${me} may not give anything to ${names.join(', ')}, who ${names.length === 1 ? 'owns' : 'own'} part of what is restored`,
    `${grant}restore as a superuser, or leave owners out with --no-owner`,
  );
}
