import { TidemarkError } from '../../base/errors.ts';
import { lacksLockRoom } from '../../capture/logical/lockRoom.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { quoteName } from '../../postgres/session.ts';
import { type Finding, Findings, nameSome } from '../finding.ts';
import { type Inspection, NEWEST_MAJOR, type Relation } from './inspect.ts';

/** What plans want of a database; by default everything. */
export interface Wanted {
  /** Whether any plan reads the table. */
  table(schema: string, name: string): boolean;
  /** A plan says role_passwords: true. */
  rolePasswords: boolean;
}

export const EVERYTHING: Wanted = { table: () => true, rolePasswords: false };

/** What an inspection means for backups of the database, check by check. Pure. */
export function judge(subject: string, found: Inspection, wanted: Wanted = EVERYTHING): Finding[] {
  const findings = new Findings(subject);
  judgeServer(found, findings);
  judgePooler(found, findings);
  judgeReading(found, wanted, findings);
  judgeMappings(found, findings);
  judgeRoles(found, wanted, findings);
  judgeLocks(found, wanted, findings);
  const { pgDump } = found;
  if (pgDump instanceof TidemarkError) findings.failure('client', pgDump);
  else
    findings.ok('client', `pg_dump ${pgDump.version} (${pgDump.kind === 'wasm' ? 'built in' : pgDump.path})`);
  return findings.all;
}

function judgeServer(found: Inspection, findings: Findings): void {
  findings.ok('connection', `${found.where} as ${found.rights.role}`);
  for (const warning of found.warnings) findings.warning('connection', warning, 'see the message');
  const version = `PostgreSQL ${found.serverVersion}`;
  if (found.serverMajor > NEWEST_MAJOR) {
    const hint = 'look for a newer tidemark, and prove a backup by restoring it';
    findings.warning('version', `${version} is newer than this tidemark was tried with`, hint);
  } else findings.ok('version', version);
  if (found.provider.id !== 'selfHosted') findings.ok('provider', found.provider.name);
  if (found.inRecovery) {
    findings.warning(
      'standby',
      'the server is a standby: replay may cancel a long backup',
      'set hot_standby_feedback = on there, or back up from the primary',
    );
  }
}

function judgePooler({ pooler }: Inspection, findings: Findings): void {
  if (pooler === null) findings.ok('pooler', 'the connection leads to one session of the server');
  else if (pooler instanceof TidemarkError) findings.failure('pooler', pooler);
  else {
    const message = `${pooler.pooler}, though it did not behave like one now`;
    findings.warning('pooler', message, `connect to ${pooler.instead}`);
  }
}

function judgeReading({ relations, rights }: Inspection, wanted: Wanted, findings: Findings): void {
  const ours = relations.filter(each => each.kind === 'sequence' || wanted.table(each.schema, each.name));
  const denied = ours.filter(each => each.obstacle === 'denied');
  const hidden = ours.filter(each => each.obstacle === 'hidden');
  const role = quoteName(rights.role);
  if (denied.length > 0) {
    findings.fault(
      'read access',
      `role ${rights.role} may not read ${nameSome(denied.map(fullName))}`,
      `GRANT pg_read_all_data TO ${role}; or leave them out of the plan (tables: exclude)`,
    );
  } else {
    const tables = ours.filter(each => each.kind === 'table').length;
    const by = rights.superuser ? ' (superuser)' : rights.readsAll ? ' (pg_read_all_data)' : '';
    findings.ok('read access', `all ${tables} tables can be read${by}`);
  }
  if (hidden.length > 0) {
    findings.fault(
      'row-level security',
      `policies would hide rows of ${nameSome(hidden.map(fullName))} from role ${rights.role}`,
      `ALTER ROLE ${role} BYPASSRLS; or connect as their owner. A backup stops rather than leave rows out`,
    );
  } else findings.ok('row-level security', 'no policy hides rows from this role');
  if (rights.largeObjectsDenied > 0) {
    findings.fault(
      'large objects',
      `role ${rights.role} may not read ${rights.largeObjectsDenied} large objects`,
      `GRANT SELECT ON LARGE OBJECT … TO ${role}, or connect as their owner or a superuser`,
    );
  }
}

function judgeMappings({ unseenMappings, rights }: Inspection, findings: Findings): void {
  if (unseenMappings.length === 0) return;
  findings.warning(
    'user mappings',
    `role ${rights.role} may not see the options of ${nameSome(unseenMappings)}: they are stored without`,
    'back up as a superuser, or make them again after a recovery: their options may hold passwords',
  );
}

function judgeRoles({ rights, provider }: Inspection, wanted: Wanted, findings: Findings): void {
  const check = 'role passwords';
  const { granted, reason } = provider.capabilities.rolePasswords;
  const why = granted === 'yes' ? 'the role may not read pg_authid' : reason;
  if (rights.readsPasswords) findings.ok(check, 'roles are captured with their passwords');
  else if (wanted.rolePasswords) {
    const hint = 'connect as a superuser, or set role_passwords: false in the plan';
    findings.fault(check, `a plan wants the passwords of roles, which can't be read: ${why}`, hint);
  } else if (granted === 'no') findings.ok(check, `roles are captured without their passwords: ${why}`);
  else {
    const hint = 'after a recovery they have to be set again; a superuser would capture them';
    findings.warning(check, `roles are captured without their passwords: ${why}`, hint);
  }
}

/** A capture locks every table at once. */
function judgeLocks({ relations, lockRoom }: Inspection, wanted: Wanted, findings: Findings): void {
  const tables = relations.filter(
    each => each.kind === 'table' && wanted.table(each.schema, each.name),
  ).length;
  const refused = lacksLockRoom(tables, lockRoom);
  if (refused) findings.fault('locks', refused.message, refused.hint);
  else findings.ok('locks', `${tables} tables, room for about ${lockRoom.each * lockRoom.sessions} locks`);
}

function fullName({ schema, name }: Relation): string {
  return quoteQualified(schema, name);
}
