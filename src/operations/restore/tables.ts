import { SILENT } from '../../base/progress.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import { isLargeObjectEntry, type Selected } from '../../postgres/archive/select.ts';
import { sessionPreamble } from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import type { CheckResult } from '../../restore/check/result.ts';
import {
  type SuspendedDefaults,
  suspendDefaultPrivileges,
} from '../../restore/database/defaultPrivileges.ts';
import { readAsWritten } from '../../restore/database/properties.ts';
import { requireReadableStrings, type TargetProfile } from '../../restore/profile.ts';
import { quietEventTriggers } from '../../restore/table/eventTriggers.ts';
import { type Division, divide } from '../../restore/table/existing.ts';
import { requireFitting } from '../../restore/table/fitting.ts';
import { LockWatch, lockReplaced, lockTimeout } from '../../restore/table/locks.ts';
import { touchedTables } from '../../restore/table/lost.ts';
import { TableTarget } from '../../restore/table/target.ts';
import { restoreBeside } from './beside.ts';
import { EntryRun } from './entryRun.ts';
import { ReplaceRun } from './replace.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';
import { readProfile, requireRoles } from './roles.ts';
import { beginTablesCheck } from './tablesCheck.ts';

/**
 * Restores tables into a database that is in use, in one transaction: what is missing is created, a table that is there
 * keeps its definition and gets the snapshot's rows in place of its own. Whatever fails, the database is as it was: also
 * its sequences, which are set where a rollback reaches them.
 */
export async function restoreTables(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<{ tables: RestoredTable[]; safety: string | null; check: CheckResult }> {
  const session = await Session.open(into, 'tidemark restore');
  request.signal.addEventListener('abort', () => session.destroy(), { once: true });
  let committing = false;
  let watch: LockWatch | undefined;
  try {
    const { archive } = request.snapshot;
    const target = await TableTarget.open(session, archive);
    const profile = await readProfile(session, archive);
    requireReadableStrings(archive, profile);
    await readAsWritten(session, request.snapshot.globals.settings ?? []);
    watch = await LockWatch.start(session, line => request.reporter.waiting?.(line));
    await session.run(`BEGIN; ${lockTimeout(request.lockWaitMs)}`);
    const safety = await saveReplaced(request, target, selected);
    const begun = await beginTablesCheck(request, selected, session, profile);
    const eventTriggers = await quietEventTriggers(session);
    const division = await divide(target, archive, selected);
    const defaults: SuspendedDefaults = creates(request, division)
      ? await suspendDefaultPrivileges(session)
      : new Map();
    for (const setting of sessionPreamble(archive, { transactionTimeout: session.serverMajor >= 17 }))
      await session.run(setting);
    await session.run(lockTimeout(request.lockWaitMs));
    if (request.beside === undefined) await requirePossible(request, selected, division, target, profile);
    const run = new EntryRun(request, target, profile);
    const tables =
      request.beside === undefined
        ? await new ReplaceRun(request, selected, division, run).run()
        : await restoreBeside(request, selected, request.beside, run);
    for (const statement of defaults.values()) await target.run(statement);
    await eventTriggers.bringBack();
    for (const note of eventTriggers.notes) request.reporter.note(note);
    const stays = request.beside === undefined ? [...run.kept, ...touchedTables(archive, division)] : [];
    const check = await begun.finish(division, tables, stays);
    committing = true;
    await session.run('COMMIT');
    return { tables, safety, check };
  } catch (error) {
    request.signal.throwIfAborted();
    const known = watch?.explain(error) ?? error;
    if (!(known instanceof PostgresError)) throw known;
    throw known.explained({
      code: 'RESTORE_FAILED',
      what: describeSettings(into),
      otherwise: committing
        ? undefined
        : 'the database is as it was before; what has changed in it since the snapshot stands in no way of --new NAME, nor of --as NAME for one table',
    });
  } finally {
    await watch?.end();
    await session.close();
  }
}

/** Whether anything is made that default privileges would be granted on. */
function creates({ beside }: RestoreRequest, { created, entries }: Division): boolean {
  return beside !== undefined || created.size > 0 || entries.some(isLargeObjectEntry);
}

/**
 * Takes the safety snapshot of a database that tables are replaced in. Nobody writes to them from before it until the end of
 * the transaction: all that was ever committed to them is in it. What is there decides again afterwards what is done.
 */
async function saveReplaced(
  { target, beside, snapshot }: RestoreRequest,
  tables: TableTarget,
  selected: Selected,
): Promise<string | null> {
  if (target.kind !== 'inPlace' || beside !== undefined) return null;
  const { replaced } = await divide(tables, snapshot.archive, selected);
  await lockReplaced(tables, replaced);
  return target.safety(target.settings);
}

/** Refuses what the target would not take, or what would go wrong in it, before anything is done. */
export async function foreseeInUse(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<void> {
  if (request.beside !== undefined) return;
  const session = await Session.open(into, 'tidemark restore');
  try {
    const { archive } = request.snapshot;
    const target = await TableTarget.open(session, archive);
    const profile = await readProfile(session, archive);
    const division = await divide(target, archive, selected);
    await requirePossible({ ...request, reporter: SILENT }, selected, division, target, profile);
  } finally {
    await session.close();
  }
}

async function requirePossible(
  request: RestoreRequest,
  selected: Selected,
  division: Division,
  target: TableTarget,
  profile: TargetProfile,
): Promise<void> {
  const isAsked = request.tables.length > 0 ? anyPattern(request.tables) : () => true;
  const notes = await requireFitting(target, request.snapshot.archive, selected, division, entry =>
    isAsked(entry.namespace ?? '', entry.tag),
  );
  for (const note of notes) request.reporter.note(note);
  requireRoles(request, division.entries, profile);
}
