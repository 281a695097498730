import { asTidemarkError, TidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { isRemark } from '../../postgres/archive/belongs.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import { isData, type Selected, selectEntries } from '../../postgres/archive/select.ts';
import { Tried } from '../../restore/superuser.ts';
import { requireMatches } from '../open/tablePatterns.ts';
import { requireReadable } from '../thaw.ts';
import { describePlan } from './describe.ts';
import { examine } from './examine.ts';
import { foresee, foreseeTables } from './obstacles.ts';
import { destroys, isTableRestore, type RestoreRequest, type RestoreResult } from './request.ts';
import { foreseeInUse } from './tables.ts';
import { intoTarget } from './targets.ts';

/** Brings a snapshot, or tables of it, back: shows the plan, asks, does it, counts. */
export async function restore(request: RestoreRequest): Promise<RestoreResult> {
  const started = performance.now();
  const { snapshot, signal } = request;
  if (request.roles && snapshot.rolesFault) throw snapshot.rolesFault;
  if (request.check === 'exact' && isTableRestore(request)) {
    throw usageError(
      'CHECK_NOT_EXACT',
      'rows in a database that is in use change, so they are not compared with those of the snapshot',
      'leave out --check exact, or restore the tables into a new database: --new NAME --check exact',
    );
  }
  const chosen = select(request);
  const examined = await examine(request);
  if (isTableRestore(request)) await foreseeTables(request);
  const selected = isTableRestore(request)
    ? { ...chosen, announced: [], tried: new Tried([]) }
    : await foresee(request, chosen);
  if (isTableRestore(request) && request.target.kind !== 'new')
    await foreseeInUse(request, selected, request.target.settings);
  // Into a database in use, what is left out depends on what is there: the restore itself says it.
  const leftOut = isTableRestore(request) ? [] : selected.leftOut;
  const notes = [
    ...leftOut.map(({ entry, reason }) => `${entry.desc} ${entry.tag} is left out: ${reason}`),
    ...selected.announced,
  ];
  const tried = selected.tried.describe();
  const plan = [...describePlan(request, selected, examined), ...selected.announced, ...tried];
  if (!(await request.confirm(plan, destroys(request)))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the restore was not confirmed',
      'nothing was done; confirm it, or say --yes',
    );
  }
  if (request.thaw && request.only !== 'schema')
    await requireReadable(snapshot, request.thaw, request.thaw.order);
  signal.throwIfAborted();
  await requireSafety(request);
  const noted = {
    ...request,
    rolesMade: { created: new Set<string>(), refused: new Set<string>() },
    deviations: [],
    tried: selected.tried,
    reporter: noting(request.reporter, notes),
  };
  const outcome = await intoTarget(noted, selected);
  return {
    snapshot: snapshot.manifest.snapshot,
    target: outcome.target,
    seconds: (performance.now() - started) / 1000,
    tables: outcome.tables,
    notes,
    safetySnapshot: outcome.safety,
    check: outcome.check,
  };
}

function select(request: RestoreRequest): Selected {
  const tables = request.tables.length > 0 ? anyPattern(request.tables) : undefined;
  const selected = selectEntries(request.snapshot.archive, {
    tables,
    only: request.only,
    refresh: true,
    elsewhere: request.beside !== undefined,
  });
  requireMatches(request.snapshot, request.tables);
  return withoutNeedy(selected, request);
}

/** Before any work: what is to be replaced must have somewhere to go. */
async function requireSafety({ target, beside }: RestoreRequest): Promise<void> {
  if (target.kind !== 'inPlace' || beside !== undefined) return;
  try {
    await target.requireSafety();
  } catch (error) {
    const { code, message, hint, kind } = asTidemarkError(error);
    if (kind === 'interrupted') throw error;
    throw new TidemarkError(
      'SAFETY_FAILED',
      `no safety snapshot of what is replaced could be stored: ${message} [${code}]`,
      `${hint}\nnothing was done`,
      { kind, cause: error },
    );
  }
}

/** Without what the backup left no table for. */
function withoutNeedy(selected: Selected, { snapshot }: RestoreRequest): Selected {
  const needs = new Map(snapshot.manifest.source.needsExcluded ?? []);
  const lost = selected.entries.filter(entry => needs.has(entry.dumpId));
  if (lost.length === 0) return selected;
  const reasonOf = (id: number) => `it needs ${needs.get(id)}, which the backup left out`;
  return {
    ...selected,
    entries: selected.entries.filter(entry => !needs.has(entry.dumpId)),
    leftOut: [
      ...selected.leftOut,
      ...lost
        .filter(entry => !isRemark(entry) && !isData(entry))
        .map(entry => ({ entry, reason: reasonOf(entry.dumpId) })),
    ],
  };
}

/** Notes are part of the result. */
function noting(reporter: Reporter, notes: string[]): Reporter {
  return {
    begin: (what, total) => reporter.begin(what, total),
    advance: bytes => reporter.advance(bytes),
    end: () => reporter.end(),
    note: line => notes.push(line),
    waiting: line => reporter.note(line),
    leaves: what => reporter.leaves?.(what),
  };
}
