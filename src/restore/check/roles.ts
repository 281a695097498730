/** Roles that a restore made, read back and compared with the snapshot's. */
import type { Globals, Membership, Role } from '../../capture/logical/globals.ts';
import type { ObjectDifference } from './compare.ts';

export interface RolesExpectation {
  globals: Globals;
  /** Those that the restore created; others were there, and stay as they are. */
  created: ReadonlySet<string>;
  /** What the target refused, by its aspect (`CREATEDB of role x`), and was said. */
  refused: ReadonlySet<string>;
  /** The role of the connection: from PostgreSQL 16 on it becomes a member of what it creates. */
  me: string;
}

/** What a role is, by aspect. `secret` values are compared and never shown. */
interface Aspect {
  name: string;
  value: string;
  secret: boolean;
}

/** Of the created roles: attributes, settings, comment, password where both sides have read it, memberships, privileges on parameters. */
export function compareRoles(expected: RolesExpectation, found: Globals): ObjectDifference[] {
  const { globals, created, refused } = expected;
  const passwords = globals.passwords && found.passwords;
  const isMade = ({ name }: Role) => created.has(name);
  const ofRoles = (each: Globals) => each.roles.filter(isMade).flatMap(role => aspectsOf(role, passwords));
  const differences = [
    ...compareAspects(ofRoles(globals), ofRoles(found)),
    ...compareAspects(parametersOf(globals, created), parametersOf(found, created)),
    ...compareMemberships(expected, found),
  ];
  return differences.filter(({ object }) => !refused.has(object));
}

/** Roles of the snapshot that were there already and are not as it says: a line each, without values. */
export function rolesKept({ globals, created }: RolesExpectation, found: Globals): string[] {
  const there = new Map(found.roles.map(role => [role.name, role]));
  return globals.roles.flatMap(role => {
    const other = there.get(role.name);
    if (role.bootstrap || created.has(role.name) || other === undefined) return [];
    const passwords = globals.passwords && found.passwords;
    const differing = compareAspects(aspectsOf(role, passwords), aspectsOf(other, passwords));
    if (differing.length === 0) return [];
    const names = differing.map(({ object }) => object.replace(` of role ${role.name}`, ''));
    return [
      `role ${role.name} was there already, stays as it is, and is not as in the snapshot: ${names.join(', ')}`,
    ];
  });
}

function aspectsOf(role: Role, passwords: boolean): Aspect[] {
  const of = (what: string, value: string | number | boolean | null, secret = false): Aspect[] =>
    value === null ? [] : [{ name: `${what} of role ${role.name}`, value: String(value), secret }];
  return [
    ...of('SUPERUSER', role.superuser),
    ...of('INHERIT', role.inherit),
    ...of('CREATEROLE', role.createrole),
    ...of('CREATEDB', role.createdb),
    ...of('LOGIN', role.login),
    ...of('REPLICATION', role.replication),
    ...of('BYPASSRLS', role.bypassrls),
    ...of('CONNECTION LIMIT', role.connectionLimit),
    ...of('VALID UNTIL', role.validUntil === null ? null : moment(role.validUntil)),
    ...of('comment', role.comment),
    ...(passwords ? of('password', role.password, true) : []),
    ...role.settings.flatMap(setting => {
      const at = setting.indexOf('=');
      return of(`setting ${setting.slice(0, at)}`, setting.slice(at + 1), true);
    }),
  ];
}

/** The same moment in one way, whatever zone it was written in: `2031-02-03 04:05:06+00`. */
function moment(text: string): string {
  const iso = text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00');
  const time = Date.parse(iso);
  return Number.isNaN(time) ? text : new Date(time).toISOString();
}

function parametersOf({ parameterPrivileges }: Globals, created: ReadonlySet<string>): Aspect[] {
  return parameterPrivileges
    .filter(({ role }) => created.has(role))
    .map(({ parameter, role, privilege, grantable }) => ({
      name: `${privilege} on parameter ${parameter} of role ${role}`,
      value: grantable ? 'with grant option' : 'without grant option',
      secret: false,
    }));
}

function compareAspects(expected: readonly Aspect[], found: readonly Aspect[]): ObjectDifference[] {
  const left = new Map(found.map(each => [each.name, each]));
  const differences: ObjectDifference[] = [];
  const shown = ({ value, secret }: Aspect) => (secret ? 'value not shown' : value);
  for (const each of expected) {
    const other = left.get(each.name);
    left.delete(each.name);
    if (other?.value === each.value) continue;
    const kind = other === undefined ? 'missing' : 'different';
    differences.push({ kind, object: each.name, expected: shown(each), found: other ? shown(other) : null });
  }
  for (const each of left.values())
    differences.push({ kind: 'added', object: each.name, expected: null, found: shown(each) });
  return differences;
}

/**
 * Each membership of a created role, or in one. Several of one pair have other grantors; who granted is compared where it is
 * not the cluster's first superuser, who is another one here.
 */
function compareMemberships(expected: RolesExpectation, found: Globals): ObjectDifference[] {
  const { globals, created, refused, me } = expected;
  const touched = ({ role, member }: Membership) => created.has(role) || created.has(member);
  const first = globals.roles.find(role => role.bootstrap)?.name;
  const left = found.memberships.filter(touched);
  const differences: ObjectDifference[] = [];
  for (const each of globals.memberships.filter(touched)) {
    const object = membershipName(each);
    const anyGrantor = each.grantor === null || each.grantor === first || refused.has(`grantor of ${object}`);
    const same = (other: Membership) => other.role === each.role && other.member === each.member;
    const fits = (other: Membership) =>
      same(other) && hasOptions(each, other) && (anyGrantor || other.grantor === each.grantor);
    const at = left.findIndex(fits);
    const near = at >= 0 ? at : left.findIndex(same);
    const [other] = near >= 0 ? left.splice(near, 1) : [];
    if (at >= 0) continue;
    const kind = other === undefined ? 'missing' : 'different';
    differences.push({ kind, object, expected: optionsOf(each), found: other ? optionsOf(other) : null });
  }
  for (const each of left.filter(({ member }) => member !== me))
    differences.push({ kind: 'added', object: membershipName(each), expected: null, found: optionsOf(each) });
  return differences;
}

export function membershipName({ member, role }: Pick<Membership, 'member' | 'role'>): string {
  return `membership of ${member} in ${role}`;
}

/** INHERIT and SET exist since PostgreSQL 16: null before. */
function hasOptions(wanted: Membership, there: Membership): boolean {
  const same = (a: boolean | null, b: boolean | null) => a === null || b === null || a === b;
  return wanted.admin === there.admin && same(wanted.inherit, there.inherit) && same(wanted.set, there.set);
}

function optionsOf({ admin, inherit, set, grantor }: Membership): string {
  const options = [`ADMIN ${admin}`];
  if (inherit !== null) options.push(`INHERIT ${inherit}`);
  if (set !== null) options.push(`SET ${set}`);
  return `${options.join(', ')}, granted by ${grantor ?? 'nobody known'}`;
}
