import type { Reporter } from '../../base/progress.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import type { CheckLevel, CheckResult } from '../../restore/check/result.ts';
import { type Deviation, deviationNotes } from '../../restore/deviation.ts';
import type { Tried } from '../../restore/superuser.ts';
import type { StoragePlace } from '../../storage/index.ts';
import type { OpenSnapshot } from '../open/openSnapshot.ts';
import type { PassedOver } from '../open/wholeness.ts';
import type { ThawOptions } from '../thaw.ts';

export type RestoreTarget =
  | { kind: 'new'; name: string; server: ConnectionSettings }
  | { kind: 'to'; settings: ConnectionSettings; clean: boolean }
  | {
      kind: 'inPlace';
      settings: ConnectionSettings;
      safety: TakeSafety;
      /** Fails where no safety snapshot could be stored now. */
      requireSafety(): Promise<void>;
    };

export interface RolesMade {
  created: Set<string>;
  /** Aspects that the target refused. */
  refused: Set<string>;
}

/** Takes a safety snapshot of all of the database that is there under this connection; resolves to its id. */
export type TakeSafety = (connection: ConnectionSettings) => Promise<string>;

export interface RestoreRequest {
  snapshot: OpenSnapshot;
  /** Newer ones of its database, which were not meant; none or null where the snapshot itself was named. */
  chosen?: PassedOver | null;
  storage: StoragePlace;
  /** What to do about rows that lie in a cold class; none where the storage has no such. */
  thaw?: ThawOptions & { order: boolean };
  target: RestoreTarget;
  /** Patterns; empty restores everything. */
  tables: string[];
  only: 'schema' | 'data' | undefined;
  /** Another name for the one table that is restored, beside the one that is there. */
  beside?: string;
  /** Replace a whole database in place also by a snapshot, or a restore, that lacks some of it. */
  allowPartial?: boolean;
  roles: boolean;
  owner: boolean;
  privileges: boolean;
  /** Whether tablespaces are kept; else everything goes into the database's default one. */
  tablespaces: boolean;
  jobs: number | null;
  /** How long tables in use are waited for that others keep locked, a lock; null: a minute. */
  lockWaitMs?: number | null;
  /** How far the target is read back and compared with the snapshot; `definitions` unless told. */
  check?: CheckLevel;
  /** What has been said so far of what the restore does otherwise; `restore` gathers it, see `tell`. */
  deviations?: Deviation[];
  /** What the server may refuse without stopping the restore. */
  tried?: Tried;
  /** What became of the snapshot's roles, where those were asked for; `restore` gathers it. */
  rolesMade?: RolesMade;
  reporter: Reporter;
  signal: AbortSignal;
  /** Shown before anything is done; false ends the restore with nothing done. */
  confirm(plan: string[], destructive: boolean): Promise<boolean>;
}

/** Says what the restore does otherwise than the snapshot says, and remembers it for the check. */
export function tell(
  { reporter, deviations }: Pick<RestoreRequest, 'reporter' | 'deviations'>,
  told: readonly Deviation[],
): void {
  deviations?.push(...told);
  for (const note of deviationNotes(told)) reporter.note(note);
}

/** What `tidemark restore --json` prints. */
export interface RestoreResult {
  snapshot: string;
  target: string;
  seconds: number;
  tables: RestoredTable[];
  notes: string[];
  safetySnapshot: string | null;
  /** Where it has differences, the target is there all the same. */
  check: CheckResult;
}

export interface RestoredTable {
  name: string;
  rows: number;
}

/** Tables, or rows alone, into a database that is in use. */
export function isTableRestore({ target, tables, only }: RestoreRequest): boolean {
  return (
    (tables.length > 0 || only === 'data') &&
    (target.kind === 'inPlace' || (target.kind === 'to' && !target.clean))
  );
}

/** Whether something that is there now will not be there afterwards. */
export function destroys({ target, tables, beside, only }: RestoreRequest): boolean {
  if (beside !== undefined || target.kind === 'new') return false;
  return target.kind === 'inPlace' || target.clean || tables.length > 0 || only === 'data';
}
