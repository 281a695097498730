import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import type { ConnectionSettings } from '../../postgres/settings/settings.ts';
import { type Anchor, openAnchor } from './anchor.ts';
import { changedMeanwhile } from './catalogState.ts';
import { captureGlobals, type Globals } from './globals.ts';
import { type CapturePlan, type CaptureScope, planCapture } from './plan.ts';
import { isLockRefused, LockPatience } from './tableLocks.ts';

/** Times that definitions may change while they are read, each time another snapshot is taken. */
const ATTEMPTS = 6;
const PAUSE_MS = 200;

export interface CaptureRequest {
  settings: ConnectionSettings;
  scope: CaptureScope & { rolePasswords: boolean | null };
  /** How long is waited, in all, for tables that others keep locked. */
  lockWaitMs: number;
  /** A line for whoever watches. */
  note: (line: string) => void;
  signal: AbortSignal;
}

export interface BegunCapture {
  anchor: Anchor;
  plan: CapturePlan;
  globals: Globals;
}

/**
 * A snapshot, the locks of its tables, and the definitions as they were then. PostgreSQL computes definitions from the
 * newest state of its catalogs: where something that no lock protects changed meanwhile, all is begun anew.
 */
export async function beginCapture(request: CaptureRequest): Promise<BegunCapture> {
  const { settings, scope, signal } = request;
  const patience = new LockPatience(request.lockWaitMs, request.note, signal);
  const excluded = anyPattern(scope.excludeTables);
  const wanted = (schema: string, table: string) => !excluded(schema, table);
  for (let attempt = 1; ; attempt++) {
    const anchor = await openAnchor(settings, wanted, patience, signal);
    try {
      const begun = await read(anchor, request);
      const changed = await changedMeanwhile(anchor, signal);
      if (changed.length === 0) return begun;
      throw catalogUnsteady(changed);
    } catch (error) {
      await anchor.session.close();
      signal.throwIfAborted();
      if (attempt === ATTEMPTS || !isWorthAnotherTry(error)) throw error;
    }
    await delay(PAUSE_MS * attempt, undefined, { signal });
  }
}

async function read(anchor: Anchor, { scope, signal }: CaptureRequest): Promise<BegunCapture> {
  const plan = await planCapture(anchor, { ...scope, signal });
  return { anchor, plan, globals: await captureGlobals(anchor.session, scope.rolePasswords) };
}

/** What pg_dump says of an object that was dropped under its hands, or whose lock it could not have. */
const CHANGED =
  /cache lookup failed|could not find|could not open relation|does not exist|unrecognized|tuple concurrently/;

function isWorthAnotherTry(error: unknown): boolean {
  if (!(error instanceof TidemarkError)) return isLockRefused(error);
  if (['CATALOG_UNSTEADY', 'LOCK_TIMEOUT', 'TABLE_UNKNOWN'].includes(error.code)) return true;
  return error.code === 'PG_DUMP_FAILED' && CHANGED.test(error.message);
}

function catalogUnsteady(changed: readonly string[]): TidemarkError {
  const names =
    changed.slice(0, 10).join(', ') + (changed.length > 10 ? ` and ${changed.length - 10} more` : '');
  return new TidemarkError(
    'CATALOG_UNSTEADY',
    `definitions were changed or dropped while they were read, ${ATTEMPTS} times in a row: ${names}`,
    'run the backup when no job changes or drops these objects',
  );
}
