import { TidemarkError } from '../../base/errors.ts';
import { captureGlobals } from '../../capture/logical/globals.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import {
  checkDatabase,
  compareAccess,
  type Expectation,
  readTarget,
} from '../../restore/check/checkDatabase.ts';
import { compareRows } from '../../restore/check/exact.ts';
import type { Definitions } from '../../restore/check/readDefinitions.ts';
import { type CheckResult, uncheckedResult, unread } from '../../restore/check/result.ts';
import { compareRoles, rolesKept } from '../../restore/check/roles.ts';
import { openMaintenance } from '../../restore/database/maintenance.ts';
import { refusedStatements } from '../../restore/deviation.ts';
import type { RestoreRequest } from './request.ts';
import { readProfile } from './roles.ts';
import { isWholeDatabase } from './whole.ts';

/** The check of a whole restore: begun before the target is filled, so that what was there before is known. */
export interface WholeCheck {
  /** Reads the target back and compares; what can't be read is said in the result. */
  finish(): Promise<CheckResult>;
}

/**
 * @param into the target; a database that the restore made is compared with all its properties, whatever it is called.
 */
export async function beginCheck(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<WholeCheck> {
  const { snapshot, signal, target } = request;
  if (request.check === 'none') return { finish: async () => uncheckedResult([]) };
  const expected = expectationOf(request, selected);
  const made = target.kind !== 'to';
  const before = made ? null : await readable(() => readBefore(into, expected, signal), signal);
  const withAll = (check: CheckResult) =>
    request.check === 'exact' ? withRows(request, selected, into, check) : Promise.resolve(check);
  if (before instanceof TidemarkError)
    return { finish: () => withAll(uncheckedResult([unread(DEFINITIONS, before)])) };
  return {
    async finish() {
      const { reporter } = request;
      reporter.begin('reading the definitions back', null);
      const session = await Session.open(into, 'tidemark check', signal);
      const profile = await readProfile(session, snapshot.archive).finally(() => session.close());
      const entries = expected.entries.filter(entry => request.tried?.isRefused(entry) !== true);
      const settled = { ...expected, entries, deviations: request.deviations ?? [] };
      const checked = await readable(() => checkDatabase(into, profile, settled, before, signal), signal);
      reporter.end();
      const definitions =
        checked instanceof TidemarkError ? uncheckedResult([unread(DEFINITIONS, checked)]) : checked;
      return withAll(request.roles ? await withRoles(request, into, definitions) : definitions);
    },
  };

  function expectationOf({ only }: RestoreRequest, { entries }: Selected): Expectation {
    // Snapshots of rows alone say nothing of the database itself.
    const saysDatabase =
      isWholeDatabase(request) && snapshot.archive.entries.some(({ desc }) => desc === 'DATABASE');
    return {
      archive: snapshot.archive,
      entries,
      parts: snapshot.parts,
      serverMajor: Math.floor(snapshot.manifest.source.serverVersionNum / 10000),
      pgDump: snapshot.manifest.source.pgDump,
      options: { owner: request.owner, acl: request.privileges, tablespaces: request.tablespaces },
      data: only !== 'schema',
      database: !saysDatabase ? 'not' : target.kind === 'to' ? 'given' : 'made',
      deviations: [],
    };
  }
}

/** The result with the roles that were created; those that were there and differ are noted. */
async function withRoles(
  { snapshot: { globals }, rolesMade, reporter, signal }: RestoreRequest,
  into: ConnectionSettings,
  check: CheckResult,
): Promise<CheckResult> {
  const session = await Session.open(into, 'tidemark check', signal);
  try {
    await session.run('SET DateStyle = ISO');
    const [row] = await session.query('select current_user as me');
    const found = await captureGlobals(session, null);
    const { created, refused } = rolesMade ?? { created: new Set<string>(), refused: new Set<string>() };
    const expected = { globals, created, refused, me: row!.me! };
    for (const note of rolesKept(expected, found)) reporter.note(note);
    const differences = compareRoles(expected, found);
    return { ...check, differences: [...check.differences, ...differences] };
  } catch (error) {
    if (!(error instanceof PostgresError) || error.severity !== 'ERROR') throw error;
    const why = { message: error.said(), hint: 'restore with a superuser’s connection' };
    return { ...check, unchecked: [...check.unchecked, unread('roles and memberships', why)] };
  } finally {
    await session.close();
  }
}

/** The result with every row compared. */
async function withRows(
  { snapshot, reporter, signal }: RestoreRequest,
  { entries }: Selected,
  into: ConnectionSettings,
  check: CheckResult,
): Promise<CheckResult> {
  const session = await Session.open(into, 'tidemark check', signal);
  const onAbort = () => session.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { tables, differences, unchecked } = await compareRows(session, {
      ...{ archive: snapshot.archive, entries, parts: snapshot.parts, reader: snapshot.reader },
      encoding: snapshot.manifest.source.encoding,
      settings: snapshot.globals.settings ?? [],
      ...{ reporter, signal },
    });
    return {
      ...{ ...check, level: 'exact', tables },
      differences: [...check.differences, ...differences],
      unchecked: [...check.unchecked, ...unchecked],
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
    await session.close();
  }
}

/** The result with what is set last, once the database has its name: how many may connect, and whether it is a template. */
export async function withAccess(
  request: RestoreRequest,
  check: CheckResult,
  settings: ConnectionSettings,
): Promise<CheckResult> {
  if (check.level === 'none' || !isWholeDatabase(request)) return check;
  const made = request.target.kind !== 'to';
  const session = await openMaintenance(settings);
  try {
    const refused = refusedStatements(request.deviations ?? []);
    const expected = { archive: request.snapshot.archive, made, refused };
    const differences = await compareAccess(session, settings.database, expected);
    return { ...check, differences: [...check.differences, ...differences] };
  } finally {
    await session.close();
  }
}

async function readBefore(
  into: ConnectionSettings,
  expected: Expectation,
  signal: AbortSignal,
): Promise<Definitions> {
  const session = await Session.open(into, 'tidemark check', signal);
  await session.close();
  return readTarget(into, expected, session.serverMajor, signal);
}

/** That a target can't be read back does not undo a restore; it is said. Whatever else goes wrong, fails. */
export async function readable<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | TidemarkError> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TidemarkError && UNREADABLE.has(error.code)) return error;
    throw error;
  }
}

const UNREADABLE = new Set(['CLIENT_TOO_OLD', 'PERMISSION_DENIED', 'PG_DUMP_FAILED', 'LOCK_TIMEOUT']);

/** What a check compares with a pg_dump. */
export const DEFINITIONS = 'definitions, owners, privileges and settings';
