import { TidemarkError } from '../../base/errors.ts';
import type { Row, Session } from '../../postgres/session.ts';
import { decodeShared, querySharedCatalogs } from '../../postgres/sharedCatalogs.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

/** What belongs to the cluster, not to the database, but without which a database is not whole. */
export interface Globals {
  roles: Role[];
  memberships: Membership[];
  parameterPrivileges: { parameter: string; role: string; privilege: string; grantable: boolean }[];
  /** Whether passwords were read; a role without one then has none. */
  passwords: boolean;
  /**
   * What the capture's sessions began with: rows and definitions are written under these `lc_monetary`, and views were
   * filled under the others. Snapshots of earlier versions have none.
   */
  settings?: SessionSetting[];
}

export interface SessionSetting {
  name: string;
  value: string;
  /** Set for the role that captured: other roles' sessions begin with something else. */
  ofRole: boolean;
}

export interface Role {
  name: string;
  superuser: boolean;
  inherit: boolean;
  createrole: boolean;
  createdb: boolean;
  login: boolean;
  replication: boolean;
  bypassrls: boolean;
  connectionLimit: number;
  validUntil: string | null;
  /** The cluster's first superuser, which every cluster has under some name. */
  bootstrap: boolean;
  /** `name=value`, as ALTER ROLE … SET made them. */
  settings: string[];
  comment: string | null;
  /** The verifier (SCRAM-SHA-256$… or md5…), never the password itself. */
  password: string | null;
}

export interface Membership {
  role: string;
  member: string;
  grantor: string | null;
  admin: boolean;
  inherit: boolean | null;
  set: boolean | null;
}

/**
 * Reads roles under the capture's snapshot. `passwords`: true reads them or fails, false leaves them out, null reads them
 * where the server lets us.
 */
export async function captureGlobals(session: Session, passwords: boolean | null): Promise<Globals> {
  const [own] = await session.query('select pg_catalog.getdatabaseencoding() as encoding');
  const shared: SharedRows = name =>
    querySharedCatalogs(session, sqlFile(name), bytes => decodeShared(bytes, own!.encoding!));
  const verifiers = passwords === false ? null : await readPasswords(session, passwords === true, shared);
  const roles = await shared('roles');
  const memberships = await shared('role_memberships');
  const privileges = await shared('parameter_privileges');
  const settings = await session.query(sqlFile('session_settings'));
  return {
    roles: roles.map(row => readRole(row, verifiers)),
    memberships: memberships.map(row => ({
      role: row.role!,
      member: row.member!,
      grantor: row.grantor ?? null,
      admin: row.admin === 't',
      inherit: row.inherit === null ? null : row.inherit === 'true',
      set: row.set_role === null ? null : row.set_role === 'true',
    })),
    parameterPrivileges: privileges.map(row => ({
      parameter: row.parameter!,
      role: row.role!,
      privilege: row.privilege!,
      grantable: row.grantable === 't',
    })),
    passwords: verifiers !== null,
    settings: settings.map(row => ({
      name: row.name!,
      value: row.value ?? '',
      ofRole: row.of_role === 't',
    })),
  };
}

type SharedRows = (sqlFileName: string) => Promise<Row[]>;

async function readPasswords(
  session: Session,
  required: boolean,
  shared: SharedRows,
): Promise<Map<string, string> | null> {
  const [allowed] = await session.query(
    "select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') as yes",
  );
  if (allowed!.yes !== 't') {
    if (!required) return null;
    throw new TidemarkError(
      'ROLE_PASSWORDS_DENIED',
      'role passwords can only be read by a superuser',
      'back up without them: --no-role-passwords, or role_passwords: false in the plan',
    );
  }
  const rows = await shared('role_passwords');
  return new Map(rows.map(row => [row.name!, row.password!]));
}

function readRole(row: Row, verifiers: Map<string, string> | null): Role {
  const is = (name: string) => row[name] === 't';
  return {
    name: row.name!,
    superuser: is('superuser'),
    inherit: is('inherit'),
    createrole: is('createrole'),
    createdb: is('createdb'),
    login: is('login'),
    replication: is('replication'),
    bypassrls: is('bypassrls'),
    connectionLimit: Number(row.connection_limit),
    validUntil: row.valid_until ?? null,
    bootstrap: is('bootstrap'),
    settings: JSON.parse(row.settings!) as string[],
    comment: row.comment ?? null,
    password: verifiers?.get(row.name!) ?? null,
  };
}
