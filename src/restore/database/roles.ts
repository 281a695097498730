import type { Globals, Membership, Role } from '../../capture/logical/globals.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, type Session } from '../../postgres/session.ts';
import { decodeShared, querySharedCatalogs } from '../../postgres/sharedCatalogs.ts';
import { membershipName } from '../check/roles.ts';
import { reasonOf } from './properties.ts';

export interface RolesRestored {
  created: string[];
  /** What the target refused: aspects of roles as restore/check/roles.ts calls them. */
  refused: string[];
  notes: string[];
}

/**
 * Creates the roles that the target lacks, with their attributes, settings and memberships; roles that are there are left
 * as they are. What the target refuses (a superuser on a managed server) is noted, and the role made without it.
 */
export async function restoreRoles(session: Session, globals: Globals): Promise<RolesRestored> {
  const [own] = await session.query('select pg_catalog.getdatabaseencoding() as encoding');
  const present = await querySharedCatalogs(session, 'select rolname from pg_catalog.pg_roles', bytes =>
    decodeShared(bytes, own!.encoding!),
  );
  const existing = new Set(present.map(row => row.rolname!));
  const missing = globals.roles.filter(role => !existing.has(role.name) && !role.bootstrap);
  const attempts = new Attempts(session);
  const created = new Set<string>();
  for (const role of missing) if (await createRole(attempts, role)) created.add(role.name);
  const touched = globals.memberships.filter(({ role, member }) => created.has(role) || created.has(member));
  await grantMemberships(attempts, touched, globals, new Set([...existing, ...created]));
  for (const { parameter, role, privilege, grantable } of globals.parameterPrivileges) {
    if (!created.has(role)) continue;
    const sql = `GRANT ${privilege} ON PARAMETER ${quoteName(parameter)} TO ${quoteName(role)}${grantable ? ' WITH GRANT OPTION' : ''}`;
    const aspect = `${privilege} on parameter ${parameter} of role ${role}`;
    await attempts.run(`privilege on ${parameter} for ${role}`, sql, { aspect });
  }
  return { created: [...created], refused: attempts.refused, notes: attempts.notes };
}

/** Statements each of which may be refused: that is noted, by the name of what it is about, and the rest goes on. */
class Attempts {
  readonly session: Session;
  readonly notes: string[] = [];
  readonly refused: string[] = [];

  constructor(session: Session) {
    this.session = session;
  }

  /**
   * Whether the server took it. `secret`: the statement holds a value that an error's text might repeat. `aspect`: what of
   * a role it sets, if that is not called as it is for people.
   */
  async run(
    what: string,
    sql: string,
    options: { secret?: boolean; aspect?: string } = {},
  ): Promise<boolean> {
    const { secret = false, aspect = what } = options;
    const refused = await this.quietly(sql);
    if (refused === null) return true;
    this.notes.push(`${what} was refused: ${secret ? reasonOf(refused) : refused.said()}`);
    this.refused.push(aspect);
    return false;
  }

  /** The same without a note. */
  async quietly(sql: string): Promise<PostgresError | null> {
    try {
      await this.session.run(sql);
      return null;
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      await this.session.run('ROLLBACK');
      return error;
    }
  }
}

/** Behind an attribute's name. */
const ATTRIBUTE_VALUE = / (?:-?\d+|'.*')$/s;

/** False where there is no such role afterwards. */
async function createRole(attempts: Attempts, role: Role): Promise<boolean> {
  const name = quoteName(role.name);
  if (!(await attempts.run(`role ${role.name}`, `CREATE ROLE ${name}`))) return false;
  const attributes: [string, boolean][] = [
    ['SUPERUSER', role.superuser],
    ['CREATEROLE', role.createrole],
    ['CREATEDB', role.createdb],
    ['LOGIN', role.login],
    ['REPLICATION', role.replication],
    ['BYPASSRLS', role.bypassrls],
    ['NOINHERIT', !role.inherit],
    [`CONNECTION LIMIT ${role.connectionLimit}`, role.connectionLimit !== -1],
    [`VALID UNTIL ${quoteLiteral(role.validUntil ?? '')}`, role.validUntil !== null],
  ];
  for (const [attribute, on] of attributes) {
    const aspect = `${attribute.replace(ATTRIBUTE_VALUE, '').replace('NOINHERIT', 'INHERIT')} of role ${role.name}`;
    const sql = `ALTER ROLE ${name} ${attribute}`;
    if (on) await attempts.run(`${attribute} of role ${role.name}`, sql, { aspect });
  }
  if (role.password) await setPassword(attempts, role, role.password);
  else if (role.login) attempts.notes.push(`role ${role.name} has no password: set one with ALTER ROLE`);
  for (const setting of role.settings) {
    const what = `setting ${setting.slice(0, setting.indexOf('='))} of role ${role.name}`;
    await attempts.run(what, settingOf(name, setting), { secret: true });
  }
  if (role.comment)
    await attempts.run(
      `comment on role ${role.name}`,
      `COMMENT ON ROLE ${name} IS ${quoteLiteral(role.comment)}`,
      { aspect: `comment of role ${role.name}` },
    );
  return true;
}

/** The verifier is taken as it is; a log that records statements would hold it, so this one is not logged. */
async function setPassword(attempts: Attempts, role: Role, verifier: string): Promise<void> {
  const sql = `ALTER ROLE ${quoteName(role.name)} PASSWORD ${quoteLiteral(verifier)}`;
  const unlogged = `BEGIN; SET LOCAL log_statement = 'none'; ${sql}; COMMIT`;
  if ((await attempts.quietly(unlogged)) !== null)
    await attempts.run(`password of role ${role.name}`, sql, { secret: true });
}

/**
 * Who granted a membership is kept where he may grant it: the memberships that let somebody grant come first. The
 * cluster's first superuser is whoever that is here.
 */
async function grantMemberships(
  attempts: Attempts,
  memberships: readonly Membership[],
  { roles }: Globals,
  known: ReadonlySet<string>,
): Promise<void> {
  const bootstrap = roles.find(role => role.bootstrap)?.name;
  let left = [...memberships].sort((a, b) => Number(b.admin) - Number(a.admin));
  const byOthers = ({ grantor }: Membership) =>
    grantor !== null && grantor !== bootstrap && known.has(grantor) ? grantor : null;
  while (left.length > 0) {
    const refused: Membership[] = [];
    for (const membership of left) {
      const grantor = byOthers(membership);
      const sql = grant(membership, attempts.session);
      if (grantor === null) await attempts.run(membershipName(membership), sql);
      else if (await attempts.quietly(`${sql} GRANTED BY ${quoteName(grantor)}`)) refused.push(membership);
    }
    if (refused.length === left.length) {
      for (const membership of refused) {
        const name = membershipName(membership);
        if (!(await attempts.run(name, grant(membership, attempts.session)))) continue;
        attempts.notes.push(
          `${name} was granted by the role of the connection, not by ${membership.grantor}`,
        );
        attempts.refused.push(`grantor of ${name}`);
      }
      return;
    }
    left = refused;
  }
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
