import { asTidemarkError, invariant, TidemarkError } from '../../base/errors.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { quoteName } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings, withDatabase } from '../../postgres/settings/settings.ts';
import { type CheckResult, RestoreDiffers, restoreUnchecked } from '../../restore/check/result.ts';
import { cleanDatabase } from '../../restore/database/clean.ts';
import { createDatabase } from '../../restore/database/create.ts';
import { databaseDefinition } from '../../restore/database/definition.ts';
import { contentsOf, requireEmpty } from '../../restore/database/empty.ts';
import {
  dropDatabase,
  openMaintenance,
  requireFree,
  serverMessage,
} from '../../restore/database/maintenance.ts';
import { dropReplaced, swapDatabases } from '../../restore/database/swap.ts';
import { replacedName, workingName } from '../../restore/database/workingName.ts';
import { beginCheck, withAccess } from './check.ts';
import { isTableRestore, type RestoredTable, type RestoreRequest } from './request.ts';
import { restoreTables } from './tables.ts';
import { bringRoles, isWholeDatabase, openToUse, restoreWhole } from './whole.ts';

export interface Outcome {
  target: string;
  tables: RestoredTable[];
  /** The snapshot of what was replaced. */
  safety: string | null;
  check: CheckResult;
}

/** Carries out a restore where it is wanted. */
export async function intoTarget(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  if (isTableRestore(request)) return intoUse(request, selected);
  if (target.kind === 'to') return intoExisting(request, selected);
  return target.kind === 'new' ? intoNew(request, selected) : inPlace(request, selected);
}

/** Tables into a database that is in use. */
async function intoUse(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind !== 'new', 'a new database is not in use');
  const { tables, safety, check } = await restoreTables(request, selected, target.settings);
  return { target: describeSettings(target.settings), tables, safety, check };
}

async function intoExisting(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind === 'to', 'not an existing database');
  const { settings, clean } = target;
  const where = describeSettings(settings);
  const { reporter, signal } = request;
  if (!clean) await requireEmpty(settings);
  const begin = async () => {
    if (clean)
      for (const kept of await cleanDatabase(settings, signal)) reporter.note(`${kept} stays in ${where}`);
    const begun = await beginCheck(request, selected, settings);
    return { begun, tables: await restoreWhole(request, selected, settings) };
  };
  reporter.leaves?.(`${where}, filled in part; run this again with --clean, which removes that first`);
  const { begun, tables } = await begin().catch(async error => {
    const contents = await contentsOf(settings).catch(() => null);
    const empty = contents?.length === 0;
    const state = empty
      ? `${where} is empty; run this again`
      : `${where} is ${clean ? 'not as it was before: what was in it is removed, and the snapshot is there in part at most' : 'filled in part'}; run this again with --clean, which removes what is there first`;
    return failing(request, state)(error);
  });
  reporter.leaves?.(null);
  await openToUse(request, settings);
  const check = await withAccess(request, await begun.finish(), settings);
  return { target: where, tables, safety: null, check };
}

async function intoNew(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind === 'new', 'not a new database');
  const { server, name } = target;
  const { working, tables, checked } = await underWorkingName(request, selected, server, name);
  await rename(request, server, working, name);
  await openToUse(request, withDatabase(server, name));
  const check = await withAccess(request, checked, withDatabase(server, name));
  return { target: describeSettings(withDatabase(server, name)), tables, safety: null, check };
}

/**
 * Restores beside the database under a working name, while that stays in use, and changes names at the end. What was
 * replaced is kept under a third name until a safety snapshot of it is stored, so that what was written until the last
 * moment is in that. A failure up to the change of names leaves the database as it was.
 */
async function inPlace(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind === 'inPlace', 'not in place');
  const { settings } = target;
  const unchanged = failing(request, `the database ${settings.database} is as it was before`);
  const { working, tables, checked } = await underWorkingName(
    request,
    selected,
    settings,
    settings.database,
  ).catch(unchanged);
  const refusal = refusalOf(settings, checked);
  if (refusal) await dropWorking(request, settings, working)(refusal);
  request.reporter.leaves?.(remainsOfSwap(settings.database, working));
  const old = await swapDatabases(settings, working)
    .catch(dropWorking(request, settings, working))
    .catch(unchanged);
  const safety = await saveReplaced(request, old);
  await dropReplaced(settings, old).catch(error =>
    request.reporter.note(
      `the replaced database could not be dropped and is still there as ${old}: ${serverMessage(error)}`,
    ),
  );
  request.reporter.leaves?.(null);
  const check = await withAccess(request, checked, settings);
  return { target: describeSettings(settings), tables, safety, check };
}

/** Why the names are not changed: what was to replace the database differs, or could not be read back. */
function refusalOf({ database }: ConnectionSettings, check: CheckResult): TidemarkError | undefined {
  const what = `what was to replace ${database}`;
  const hint = `restore with --new to look at it, or with --check none to take it as it is
the database ${database} is as it was before`;
  if (check.differences.length > 0) return new RestoreDiffers(what, check, hint);
  return check.unchecked.length > 0 ? restoreUnchecked(what, check.unchecked, hint) : undefined;
}

function remainsOfSwap(name: string, working: string): string {
  return `the database ${name} is whole, either as it was or as restored; what belongs to neither name is ${working} or, as it was, ${replacedName(working)}: see "Getting back from a restore in place" in docs/recovery.md`;
}

/** Nothing can write to what was replaced any more: nobody knows its name. */
async function saveReplaced(request: RestoreRequest, old: string): Promise<string> {
  const { target, signal } = request;
  invariant(target.kind === 'inPlace', 'not in place');
  const { settings } = target;
  try {
    await openToUse(request, settings);
    return await target.safety(withDatabase(settings, old));
  } catch (error) {
    const { code, message, hint } = asTidemarkError(error);
    const name = quoteName(old);
    throw new TidemarkError(
      signal.aborted ? 'INTERRUPTED' : 'SAFETY_FAILED',
      `${describeSettings(settings)} is restored, but no safety snapshot of what it replaced is stored: ${message} [${code}]`,
      `${signal.aborted ? '' : `${hint}\n`}what it replaced is whole and still there as ${old}; once you need nothing of it: DROP DATABASE ${name}\nto go back to it: "Getting back from a restore in place" in docs/recovery.md`,
      { kind: signal.aborted ? 'interrupted' : 'failed', cause: error },
    );
  }
}

/** Fails as the error does, and says what that means for what is there. */
function failing({ signal }: RestoreRequest, state: string) {
  return (error: unknown): never => {
    if (error instanceof RestoreDiffers) throw error;
    if (signal.aborted)
      throw new TidemarkError('INTERRUPTED', 'interrupted', state, { kind: 'interrupted', cause: error });
    const { code, message, hint, kind } = asTidemarkError(error);
    throw new TidemarkError(code, message, hint ? `${hint}\n${state}` : state, { kind, cause: error });
  };
}

/**
 * A whole database under a name that says what it is, so that what a killed restore leaves can't be taken for the real
 * thing; a restore that fails drops it again.
 */
async function underWorkingName(
  request: RestoreRequest,
  selected: Selected,
  server: ConnectionSettings,
  name: string,
) {
  const working = workingName(name);
  const session = await openMaintenance(server);
  try {
    await bringRoles(request, selected, session);
    request.reporter.leaves?.(`the half-restored database ${working}: DROP DATABASE ${quoteName(working)}`);
    const { archive, manifest } = request.snapshot;
    const notes = await createDatabase(session, working, {
      archive,
      definition: databaseDefinition(archive),
      source: manifest.source,
      owner: request.owner && isWholeDatabase(request),
      tablespaces: request.tablespaces,
    });
    for (const line of notes) request.reporter.note(line);
  } finally {
    await session.close();
  }
  try {
    const begun = await beginCheck(request, selected, withDatabase(server, working));
    const tables = await restoreWhole(request, selected, withDatabase(server, working));
    const checked = await begun.finish();
    request.signal.throwIfAborted();
    return { working, tables, checked };
  } catch (error) {
    return await dropWorking(request, server, working)(error);
  }
}

async function rename(request: RestoreRequest, server: ConnectionSettings, working: string, name: string) {
  const session = await openMaintenance(server);
  try {
    await requireFree(session, name);
    await session.run(`ALTER DATABASE ${quoteName(working)} RENAME TO ${quoteName(name)}`);
    request.reporter.leaves?.(null);
  } catch (error) {
    await dropWorking(request, server, working)(error);
  } finally {
    await session.close();
  }
}

/** Removes what a failed restore began, then fails as it did. */
function dropWorking(request: RestoreRequest, server: ConnectionSettings, working: string) {
  return async (error: unknown): Promise<never> => {
    try {
      const session = await openMaintenance(server);
      await dropDatabase(session, working).finally(() => session.close());
      request.reporter.leaves?.(null);
    } catch (cause) {
      const { code, message, hint, kind } = asTidemarkError(
        request.signal.aborted ? request.signal.reason : error,
      );
      const left = `the half-restored database ${working} could not be dropped (${serverMessage(cause)}): DROP DATABASE ${quoteName(working)}`;
      throw new TidemarkError(code, message, `${hint}\n${left}`.trim(), { kind, cause: error });
    }
    throw error;
  };
}
