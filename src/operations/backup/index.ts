import { TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import type { Manifest } from '../../repository/manifest.ts';
import { DEFAULT_LEVEL } from '../../repository/seal.ts';
import type { PlanSpec, Strategy } from '../../strategy/spec.ts';
import { connectionOf, databaseOf, openRepository, storesOf } from '../open.ts';
import { backup } from './backup.ts';

export interface BackupOptions {
  tables?: string[];
  excludeTables?: string[];
  schemaOnly: boolean;
  dataOnly: boolean;
  rolePasswords: boolean | null;
  jobs: number | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** What `tidemark backup --json` prints; sizes in bytes, times ISO 8601. */
export interface BackupResult {
  snapshot: string;
  database: string;
  plan: string | null;
  started: string;
  finished: string;
  seconds: number;
  tables: number;
  rows: number;
  largeObjects: number;
  bytesRead: number;
  bytesAdded: number;
  /** One for each repository the plan stores to; the fields above are the first's. */
  copies: { repository: string; snapshot: string; bytesAdded: number }[];
}

/** Carries out a plan: one capture into each of its repositories. A repository that fails fails the call, at the end. */
export async function backupDatabase(
  strategy: Strategy,
  database: string,
  plan: PlanSpec | null,
  options: BackupOptions,
): Promise<BackupResult> {
  const settings = await connectionOf(strategy, databaseOf(strategy, database));
  const done: { repository: string; manifest: Manifest }[] = [];
  const failures: { repository: string; error: unknown }[] = [];
  for (const name of storesOf(strategy, plan)) {
    try {
      const repository = await openRepository(strategy, name, options.signal);
      const manifest = await backup({
        repository,
        database,
        settings,
        plan: plan?.name ?? null,
        scope: {
          tables: options.tables ?? plan?.tables.include ?? [],
          excludeTables: options.excludeTables ?? plan?.tables.exclude ?? [],
          schemaOnly: options.schemaOnly || (plan?.schemaOnly ?? false),
          dataOnly: options.dataOnly || (plan?.dataOnly ?? false),
          rolePasswords: options.rolePasswords ?? plan?.rolePasswords ?? null,
        },
        jobs: options.jobs ?? plan?.jobs ?? null,
        level: plan?.compression ?? DEFAULT_LEVEL,
        storageClass: plan?.storageClass ?? null,
        version: options.version,
        reporter: options.reporter,
        signal: options.signal,
      });
      done.push({ repository: name, manifest });
    } catch (error) {
      options.signal.throwIfAborted();
      failures.push({ repository: name, error });
    }
  }
  if (failures.length > 0) throw failed(failures, done);
  return result(done);
}

function failed(
  failures: { repository: string; error: unknown }[],
  done: { repository: string; manifest: Manifest }[],
): unknown {
  const { repository, error } = failures[0]!;
  if (done.length === 0 && failures.length === 1) return error;
  const { code, message, hint, kind } = error as TidemarkError;
  const stored = done.map(each => `${each.repository} (${each.manifest.snapshot})`).join(', ') || 'none';
  return new TidemarkError(
    code,
    `the copy in ${repository} failed: ${message}`,
    `${hint}\ncopies that were stored: ${stored}`,
    { kind, cause: error },
  );
}

function result(done: { repository: string; manifest: Manifest }[]): BackupResult {
  const { manifest } = done[0]!;
  const { counts } = manifest;
  return {
    snapshot: manifest.snapshot,
    database: manifest.database,
    plan: manifest.plan,
    started: manifest.started,
    finished: manifest.finished,
    seconds: (Date.parse(manifest.finished) - Date.parse(manifest.started)) / 1000,
    tables: counts.tables,
    rows: counts.rows,
    largeObjects: counts.largeObjects,
    bytesRead: counts.bytesRead,
    bytesAdded: counts.bytesAdded,
    copies: done.map(each => ({
      repository: each.repository,
      snapshot: each.manifest.snapshot,
      bytesAdded: each.manifest.counts.bytesAdded,
    })),
  };
}
