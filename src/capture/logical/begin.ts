import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError } from '../../base/errors.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import type { StartedPgDump } from '../../postgres/pgDump/archiveHead.ts';
import { isLockRefused } from '../../postgres/postgresError.ts';
import type { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { type Anchor, lockAnchor, openCaptureSession, readFacts, type ServerFacts } from './anchor.ts';
import { changedMeanwhile } from './catalogState.ts';
import { captureGlobals, type Globals } from './globals.ts';
import { type CapturePlan, type CaptureScope, planCapture, startPgDump } from './plan.ts';
import { LockPatience } from './tableLocks.ts';

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
  /** What else takes time and needs no lock: awaited before each time that locks are taken. */
  ready: (facts: ServerFacts) => Promise<void>;
  signal: AbortSignal;
}

export interface BegunCapture {
  anchor: Anchor;
  plan: CapturePlan;
  globals: Globals;
  /** In no transaction. */
  spare: Session;
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
  const spare = await openCaptureSession(settings, signal);
  try {
    for (let attempt = 1; ; attempt++) {
      const session = await openCaptureSession(settings, signal);
      let pgDump: StartedPgDump | undefined;
      try {
        // All that takes a while comes before the locks.
        const facts = await readFacts(session);
        pgDump = await startPgDump(session, facts, scope, signal);
        await request.ready(facts);
        const anchor = await lockAnchor(session, facts, wanted, patience);
        const plan = await planCapture(anchor, pgDump, scope);
        const globals = await captureGlobals(session, scope.rolePasswords);
        const changed = await changedMeanwhile(anchor, spare);
        if (changed.length === 0) return { anchor, plan, globals, spare };
        throw catalogUnsteady(changed);
      } catch (error) {
        await session.close();
        signal.throwIfAborted();
        if (!isWorthAnotherTry(error)) throw error;
        if (attempt === ATTEMPTS) throw isDropped(error) ? unreadable(error) : error;
      } finally {
        await pgDump?.end();
      }
      await delay(PAUSE_MS * attempt, undefined, { signal });
    }
  } catch (error) {
    await spare.close();
    throw error;
  }
}

/** What pg_dump says of an object that was dropped under its hands, or whose lock it could not have. */
const CHANGED =
  /cache lookup failed|could not find|could not open relation|does not exist|unrecognized|tuple concurrently|appears to be empty|returned no data|rows? instead of one|failed sanity check/;

function isWorthAnotherTry(error: unknown): boolean {
  if (!(error instanceof TidemarkError)) return isLockRefused(error);
  if (['CATALOG_UNSTEADY', 'DEFINITION_INCOMPLETE', 'LOCK_TIMEOUT', 'TABLE_UNKNOWN'].includes(error.code))
    return true;
  return isDropped(error);
}

function isDropped(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'PG_DUMP_FAILED' && CHANGED.test(error.message);
}

function unreadable(error: TidemarkError): TidemarkError {
  return new TidemarkError(
    'CATALOG_UNSTEADY',
    `definitions could not be read, ${ATTEMPTS} times in a row: ${error.message}`,
    'run the backup when no job changes or drops objects; where none does, the catalogs lack what is named above',
    { cause: error },
  );
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
