import { usageError } from '../../base/errors.ts';
import { shellCommand } from '../../base/shell.ts';
import { type BackupResult, backupDatabase } from '../../operations/backup/backup.ts';
import { databaseOf, planOf } from '../../operations/open/open.ts';
import { parseDuration } from '../../strategy/duration.ts';
import type { PlanSpec } from '../../strategy/spec.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { parseJobs } from '../jobs.ts';
import { LEAVES } from '../leaves.ts';
import { formatBytes, formatCount, formatSeconds, paint } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

export const command: CliCommand = {
  name: 'backup <database>',
  summary: SUMMARIES.backup,
  leaves: LEAVES.backup,
  define(command) {
    command
      .option('--plan <name>', 'the plan to carry out; needed where the database has several')
      .option('--table <pattern...>', 'only these tables, with what they need (as psql’s \\d)')
      .option('--exclude-table <pattern...>', 'leave these tables out')
      .option('--schema-only', 'definitions, no rows')
      .option('--data-only', 'rows, no definitions')
      .option('--no-role-passwords', 'leave role passwords out, where pg_authid can’t be read')
      .option('--jobs <n>', 'connections that read at once')
      .option('--lock-wait <duration>', 'how long to wait for tables that others keep locked (10m; 0s: not)');
  },
  async run({ output, progress, signal, strategy, version }, [database], options) {
    const loaded = await strategy({ databases: [database as string] });
    databaseOf(loaded, database as string);
    const plan = planOf(loaded, database as string, options.plan as string | undefined);
    requireAgreement(plan, options);
    const result = await backupDatabase(loaded, database as string, plan, {
      tables: options.table as string[] | undefined,
      excludeTables: options.excludeTable as string[] | undefined,
      schemaOnly: options.schemaOnly === true,
      dataOnly: options.dataOnly === true,
      rolePasswords: options.rolePasswords === false ? false : null,
      jobs: parseJobs(options.jobs),
      lockWaitMs: options.lockWait === undefined ? null : parseDuration(options.lockWait as string),
      version,
      reporter: progress,
      signal,
    });
    output.result(result, () => lines(result));
    const failed = result.copies.find(each => each.state === 'failed');
    return failed ? EXIT.failed : EXIT.done;
  },
};

/** What the command line asks for goes together with what the plan captures. */
function requireAgreement(plan: PlanSpec | null, options: Record<string, unknown>): void {
  const planned = plan?.schemaOnly ? 'definitions' : plan?.dataOnly ? 'rows' : null;
  const asked = options.schemaOnly ? 'definitions' : options.dataOnly ? 'rows' : planned;
  if (planned === null || asked === planned) return;
  throw usageError(
    'OPTIONS_CONTRADICT',
    `plan ${plan!.name} captures ${planned} only, and ${asked} only are asked for`,
    'leave the option out, or name another plan with --plan',
  );
}

function* lines(result: BackupResult): Iterable<string> {
  const { snapshot, tables, rows, bytesRead, bytesAdded, seconds, copies, database } = result;
  yield `snapshot ${snapshot}`;
  yield `${formatCount(tables)} tables, ${formatCount(rows)} rows, ${formatBytes(bytesRead)} read, ` +
    `${formatBytes(bytesAdded)} added, ${formatSeconds(seconds)}`;
  if (copies.length === 1) return;
  const stored = copies.filter(each => each.state === 'stored');
  for (const each of stored) {
    yield `stored in ${each.repository}, ${formatBytes(each.bytesAdded)} added`;
    if (each.caughtUp.length > 0) yield `  with what it had missed: ${each.caughtUp.join(', ')}`;
    if (each.missing.length > 0)
      yield `  it still lacks ${each.missing.join(', ')}: ${copyCommand(stored[0]!.repository, each.repository, database)}`;
  }
  for (const each of copies) {
    if (each.state === 'stored') continue;
    const { message, code, hint } = each.error;
    yield `${paint('red', 'FAILED')} in ${each.repository}: ${message} [${code}]`;
    for (const line of hint.split('\n')) yield `  ${line}`;
    const where = stored.map(({ repository }) => repository).join(', ');
    yield `  the snapshot in ${where} stands; once ${each.repository} can be written, bring it there: ${copyCommand(stored[0]!.repository, each.repository, database)}`;
  }
}

function copyCommand(from: string, to: string, database: string): string {
  return shellCommand(['tidemark', 'copy', '--from', from, '--to', to, '--database', database]);
}
