import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Globals, Membership, Role } from '../../capture/logical/globals.ts';
import { compareRoles, rolesKept } from './roles.ts';

const BOSS: Role = {
  ...{ name: 'boss', superuser: false, inherit: true, createrole: true, createdb: false, login: true },
  ...{ replication: false, bypassrls: false, connectionLimit: 7, validUntil: '2031-02-03 04:05:06+00' },
  ...{ bootstrap: false, settings: ['app.token=hush', 'work_mem=8MB'], comment: 'x', password: 'SCRAM-hush' },
};
const TEAM: Membership = {
  ...{ role: 'team', member: 'boss', grantor: 'chief', admin: true, inherit: true, set: false },
};
const GLOBALS: Globals = {
  roles: [BOSS],
  memberships: [TEAM],
  parameterPrivileges: [{ parameter: 'work_mem', role: 'boss', privilege: 'SET', grantable: false }],
  passwords: true,
};
const expected = { globals: GLOBALS, created: new Set(['boss']), refused: new Set<string>(), me: 'me' };
const boss = (change: Partial<Role>): Globals => ({ ...GLOBALS, roles: [{ ...BOSS, ...change }] });
const team = (change: Partial<Membership>): Globals => ({
  ...GLOBALS,
  memberships: [{ ...TEAM, ...change }],
});

test('roles that are as in the snapshot do not differ, whatever zone moments are written in', () => {
  assert.deepEqual(compareRoles(expected, GLOBALS), []);
  assert.deepEqual(compareRoles(expected, boss({ validUntil: '2031-02-03 06:05:06+02' })), []);
  const own = { ...TEAM, role: 'boss', member: 'me' };
  assert.deepEqual(compareRoles(expected, { ...GLOBALS, memberships: [TEAM, own] }), []);
});

const LOSSES: [lost: string, found: Globals, object: string][] = [
  ['a right', boss({ createrole: false }), 'CREATEROLE of role boss'],
  ['a right too many', boss({ superuser: true }), 'SUPERUSER of role boss'],
  ['the connection limit', boss({ connectionLimit: -1 }), 'CONNECTION LIMIT of role boss'],
  ['the end', boss({ validUntil: null }), 'VALID UNTIL of role boss'],
  ['a setting', boss({ settings: ['work_mem=8MB'] }), 'setting app.token of role boss'],
  ['a setting too many', boss({ settings: [...BOSS.settings, 'a.b=c'] }), 'setting a.b of role boss'],
  ['the comment', boss({ comment: null }), 'comment of role boss'],
  ['the password', boss({ password: 'SCRAM-other' }), 'password of role boss'],
  ['a membership', { ...GLOBALS, memberships: [] }, 'membership of boss in team'],
  ['an option of a membership', team({ set: true }), 'membership of boss in team'],
  ['who granted a membership', team({ grantor: 'me' }), 'membership of boss in team'],
  [
    'a privilege on a parameter',
    { ...GLOBALS, parameterPrivileges: [] },
    'SET on parameter work_mem of role boss',
  ],
];

for (const [lost, found, object] of LOSSES) {
  test(`of a created role is caught: ${lost}`, () => {
    const differences = compareRoles(expected, found);
    assert.deepEqual(
      differences.map(each => each.object),
      [object],
    );
    assert.doesNotMatch(JSON.stringify(differences), /hush|SCRAM/);
    assert.deepEqual(compareRoles({ ...expected, refused: new Set([object]) }, found), []);
    assert.equal(compareRoles({ ...expected, refused: new Set(['CREATEDB of role boss']) }, found).length, 1);
  });
}

test('a role that was there and is other is named', () => {
  const kept = { ...expected, created: new Set<string>() };
  assert.deepEqual(rolesKept(kept, GLOBALS), []);
  assert.match(rolesKept(kept, boss({ createdb: true }))[0]!, /^role boss was there already.*: CREATEDB$/);
});
