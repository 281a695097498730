import { usageError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { Session } from '../../postgres/session.ts';
import { missingRoles, type TargetProfile } from '../../restore/profile.ts';
import type { RestoreRequest } from './request.ts';

/** What the target server is and who we are on it. */
export async function readProfile(session: Session): Promise<TargetProfile> {
  const roles = await session.query(
    'select rolname, rolsuper, rolname = current_user as me from pg_catalog.pg_roles',
  );
  const [compression] = await session.query(
    "select 'lz4' = any(enumvals) as lz4 from pg_catalog.pg_settings where name = 'default_toast_compression'",
  );
  return {
    serverMajor: session.serverMajor,
    lz4: compression?.lz4 === 't',
    superuser: roles.some(role => role.me === 't' && role.rolsuper === 't'),
    roles: new Set(roles.map(role => role.rolname!)),
  };
}

/** Refuses a restore that would name roles the target lacks, before anything is done. */
export function requireRoles(request: RestoreRequest, entries: ArchiveEntry[], profile: TargetProfile): void {
  if (!request.owner && !request.privileges) return;
  const known = request.snapshot.globals.roles.map(role => role.name);
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
    'create them with --roles, or leave owners and privileges out with --no-owner --no-privileges',
  );
}
