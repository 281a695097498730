import { randomBytes } from 'node:crypto';
import { invariant, TidemarkError } from '../../base/errors.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { quoteName } from '../../postgres/session.ts';
import { type ConnectionSettings, describeSettings, withDatabase } from '../../postgres/settings/settings.ts';
import { type CheckResult, RestoreDiffers, uncheckedResult } from '../../restore/check/result.ts';
import { createDatabase } from '../../restore/database/create.ts';
import { databaseDefinition } from '../../restore/database/definition.ts';
import { swapDatabases } from '../../restore/database/swap.ts';
import {
  dropDatabase,
  openMaintenance,
  refuseExisting,
  requireEmpty,
} from '../../restore/database/target.ts';
import { beginCheck, withAccess } from './check.ts';
import { isTableRestore, type RestoredTable, type RestoreRequest } from './request.ts';
import { restoreTables } from './tables.ts';
import { bringRoles, isWholeDatabase, openToUse, restoreWhole } from './whole.ts';

export interface Outcome {
  target: string;
  tables: RestoredTable[];
  /** The snapshot that was taken before anything was replaced. */
  safety: string | null;
  check: CheckResult;
}

/** Carries out a restore where it is wanted. */
export async function intoTarget(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  if (isTableRestore(request)) return intoUse(request, selected);
  if (target.kind === 'to') {
    await requireEmpty(target.settings, target.clean);
    const begun = await beginCheck(request, selected, target.settings);
    const tables = await restoreWhole(request, selected, target.settings);
    await openToUse(request, target.settings);
    const check = await withAccess(request, await begun.finish(), target.settings);
    return { target: describeSettings(target.settings), tables, safety: null, check };
  }
  return target.kind === 'new' ? intoNew(request, selected) : inPlace(request, selected);
}

/** Tables into a database that is in use. */
async function intoUse(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind !== 'new', 'a new database is not in use');
  const safety =
    target.kind === 'inPlace' && request.beside === undefined ? await target.safety(target.settings) : null;
  const tables = await restoreTables(request, selected, target.settings);
  const check = uncheckedResult('tables were restored into a database in use');
  return { target: describeSettings(target.settings), tables, safety, check };
}

async function intoNew(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind === 'new', 'not a new database');
  const { server, name } = target;
  const session = await openMaintenance(server);
  try {
    await refuseExisting(session, name);
  } finally {
    await session.close();
  }
  const { working, tables, checked } = await underWorkingName(request, selected, server, name);
  await rename(request, server, working, name);
  await openToUse(request, withDatabase(server, name));
  const check = await withAccess(request, checked, withDatabase(server, name));
  return { target: describeSettings(withDatabase(server, name)), tables, safety: null, check };
}

/**
 * Restores beside the database under a working name and changes names at the end, so that until the last moment the
 * database is what it was, and a failure leaves it so.
 */
async function inPlace(request: RestoreRequest, selected: Selected): Promise<Outcome> {
  const { target } = request;
  invariant(target.kind === 'inPlace', 'not in place');
  const { settings } = target;
  const safety = await target.safety(settings);
  try {
    const { working, tables, checked } = await underWorkingName(
      request,
      selected,
      settings,
      settings.database,
    );
    if (checked.differences.length > 0)
      await dropWorking(request, settings, working)(notSwapped(settings, checked, safety));
    const left = await swapDatabases(settings, working).catch(dropWorking(request, settings, working));
    await openToUse(request, settings);
    if (left)
      request.reporter.note(`the replaced database could not be dropped and is still there as ${left}`);
    const check = await withAccess(request, checked, settings);
    return { target: describeSettings(settings), tables, safety, check };
  } catch (error) {
    request.signal.throwIfAborted();
    if (error instanceof RestoreDiffers) throw error;
    const { code, message, hint, kind } = error as TidemarkError;
    const back = `the database ${settings.database} is as it was before; its state then is also snapshot ${safety}`;
    throw new TidemarkError(code ?? 'RESTORE_FAILED', message, hint ? `${hint}\n${back}` : back, {
      kind,
      cause: error,
    });
  }
}

function notSwapped({ database }: ConnectionSettings, check: CheckResult, safety: string): RestoreDiffers {
  return new RestoreDiffers(
    `what was to replace ${database}`,
    check,
    `restore with --new to look at it, or with --check none to take it as it is
the database ${database} is as it was before; its state then is also snapshot ${safety}`,
  );
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
  const working = `${[...name].slice(0, 12).join('')}_tidemark_${randomBytes(4).toString('hex')}`;
  const session = await openMaintenance(server);
  try {
    await bringRoles(request, selected, session);
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
    await session.run(`ALTER DATABASE ${quoteName(working)} RENAME TO ${quoteName(name)}`);
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
    } catch (cause) {
      request.reporter.note(
        `the half-restored database ${working} could not be dropped: ${(cause as Error).message}`,
      );
    }
    throw error;
  };
}
