import { homedir } from 'node:os';
import { usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { resolveNamed } from '../../postgres/settings/named.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { backupDatabase, requireWritable } from '../backup/backup.ts';
import { safetyPlan } from '../backup/safetySnapshot.ts';
import { connectionOf, databaseOf, targetConnectionOf } from '../open/open.ts';
import type { RestoreTarget } from './request.ts';

/** What was said about where to restore: exactly one of `new`, `to` and `inPlace`. */
export interface TargetChoice {
  new?: string;
  to?: string;
  clean: boolean;
  inPlace: boolean;
}

export interface SafetyOptions {
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Where a restore goes.
 *
 * @param strategy reads the strategy; secrets of the databases that it is asked for must be there.
 * @param database whose snapshot is restored: `--new` and `--in-place` go to its server.
 * @throws TidemarkError TARGET_NEEDED unless exactly one target is given.
 */
export async function chooseTarget(
  strategy: (uses: { databases: string[] }) => Promise<Strategy>,
  database: string,
  choice: TargetChoice,
  options: SafetyOptions,
): Promise<RestoreTarget> {
  const given = [choice.new !== undefined, choice.to !== undefined, choice.inPlace].filter(Boolean).length;
  if (given !== 1) {
    throw usageError(
      'TARGET_NEEDED',
      given === 0 ? 'no restore target given' : 'more than one restore target given',
      'give one of --new NAME, --to URL, --in-place',
    );
  }
  if (choice.to !== undefined) {
    const { environment } = await strategy({ databases: [] });
    const settings = await resolveNamed(
      { url: choice.to },
      environment as NodeJS.ProcessEnv,
      homedir(),
      '--to',
    );
    return { kind: 'to', settings, clean: choice.clean };
  }
  const loaded = await strategy({ databases: [database] });
  const spec = databaseOf(loaded, database);
  if (choice.new !== undefined)
    return { kind: 'new', name: choice.new, server: await connectionOf(loaded, spec) };
  const settings = await targetConnectionOf(loaded, spec);
  const plan = safetyPlan(loaded, database);
  const how = { once: true, schemaOnly: false, dataOnly: false, rolePasswords: null, jobs: null, ...options };
  return {
    kind: 'inPlace',
    settings,
    requireSafety: () => requireWritable(loaded, database, plan, how),
    async safety(connection) {
      const { snapshot } = await backupDatabase(loaded, database, plan, {
        connection,
        ...how,
      });
      options.reporter.note(`safety snapshot ${snapshot} is stored`);
      return snapshot;
    },
  };
}
