import type { Globals, Membership, Role } from '../../capture/logical/globals.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, type Session } from '../../postgres/session.ts';

export interface RolesRestored {
  created: string[];
  notes: string[];
}

/**
 * Creates the roles that the target lacks, with their attributes, settings and memberships; roles that are there are left
 * as they are. What the target refuses (a superuser on a managed server) is noted, and the role made without it.
 */
export async function restoreRoles(session: Session, globals: Globals): Promise<RolesRestored> {
  const existing = new Set(
    (await session.query('select rolname from pg_catalog.pg_roles')).map(row => row.rolname!),
  );
  const missing = globals.roles.filter(role => !existing.has(role.name) && !role.bootstrap);
  const notes: string[] = [];
  for (const role of missing) notes.push(...(await createRole(session, role)));
  const created = new Set(missing.map(role => role.name));
  for (const membership of globals.memberships) {
    if (created.has(membership.role) || created.has(membership.member)) {
      notes.push(
        ...(await attempt(
          session,
          `membership of ${membership.member} in ${membership.role}`,
          grant(membership, session),
        )),
      );
    }
  }
  for (const { parameter, role, privilege, grantable } of globals.parameterPrivileges) {
    if (!created.has(role)) continue;
    const sql = `GRANT ${privilege} ON PARAMETER ${quoteName(parameter)} TO ${quoteName(role)}${grantable ? ' WITH GRANT OPTION' : ''}`;
    notes.push(...(await attempt(session, `privilege on ${parameter} for ${role}`, sql)));
  }
  return { created: [...created], notes };
}

async function createRole(session: Session, role: Role): Promise<string[]> {
  const name = quoteName(role.name);
  await session.run(`CREATE ROLE ${name}`);
  const notes: string[] = [];
  const attributes: [string, boolean][] = [
    ['SUPERUSER', role.superuser],
    ['CREATEROLE', role.createrole],
    ['CREATEDB', role.createdb],
    ['LOGIN', role.login],
    ['REPLICATION', role.replication],
    ['BYPASSRLS', role.bypassrls],
  ];
  for (const [attribute, on] of attributes) {
    if (on)
      notes.push(
        ...(await attempt(session, `${attribute} of role ${role.name}`, `ALTER ROLE ${name} ${attribute}`)),
      );
  }
  if (!role.inherit) await session.run(`ALTER ROLE ${name} NOINHERIT`);
  if (role.connectionLimit !== -1)
    await session.run(`ALTER ROLE ${name} CONNECTION LIMIT ${role.connectionLimit}`);
  if (role.validUntil) await session.run(`ALTER ROLE ${name} VALID UNTIL ${quoteLiteral(role.validUntil)}`);
  if (role.password) {
    // The verifier is taken as it is; a log that records statements would hold it, so this one is not logged.
    const sql = `BEGIN; SET LOCAL log_statement = 'none'; ALTER ROLE ${name} PASSWORD ${quoteLiteral(role.password)}; COMMIT`;
    const refused = await attempt(session, `password of role ${role.name}`, sql);
    if (refused.length > 0)
      notes.push(
        ...(await attempt(session, `password of role ${role.name}`, sql.replace(/SET LOCAL[^;]*;/, ''))),
      );
  } else if (role.login) notes.push(`role ${role.name} has no password: set one with ALTER ROLE`);
  for (const setting of role.settings)
    notes.push(...(await attempt(session, `setting of role ${role.name}`, settingOf(name, setting))));
  if (role.comment) await session.run(`COMMENT ON ROLE ${name} IS ${quoteLiteral(role.comment)}`);
  return notes;
}

/** Settings whose value is a list of names, each of which was quoted when it was stored (pg_dump's variable_is_guc_list_quote). */
const LIST_SETTINGS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function settingOf(name: string, setting: string): string {
  const at = setting.indexOf('=');
  const parameter = setting.slice(0, at);
  const value = setting.slice(at + 1);
  const quoted = parameter.split('.').map(quoteName).join('.');
  return `ALTER ROLE ${name} SET ${quoted} TO ${LIST_SETTINGS.has(parameter) ? value || "''" : quoteLiteral(value)}`;
}

function grant({ role, member, admin, inherit, set }: Membership, session: Session): string {
  const options = [`ADMIN ${admin ? 'TRUE' : 'FALSE'}`];
  if (inherit !== null) options.push(`INHERIT ${inherit ? 'TRUE' : 'FALSE'}`);
  if (set !== null) options.push(`SET ${set ? 'TRUE' : 'FALSE'}`);
  const how = session.serverMajor >= 16 ? ` WITH ${options.join(', ')}` : admin ? ' WITH ADMIN OPTION' : '';
  return `GRANT ${quoteName(role)} TO ${quoteName(member)}${how}`;
}

async function attempt(session: Session, what: string, sql: string): Promise<string[]> {
  try {
    await session.run(sql);
    return [];
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    await session.run('ROLLBACK');
    return [`${what} was refused: ${error.message}`];
  }
}
