import { backupDatabase } from '../../operations/backup/index.ts';
import { databaseOf, planOf } from '../../operations/open.ts';
import type { CliCommand } from '../command.ts';
import { parseJobs } from '../jobs.ts';
import { formatBytes, formatCount, formatSeconds } from '../output.ts';

export const command: CliCommand = {
  name: 'backup <database>',
  summary: 'capture a database into its repositories',
  define(command) {
    command
      .option('--plan <name>', 'the plan to carry out; needed where the database has several')
      .option('--table <pattern...>', 'only these tables, with what they need (as psql’s \\d)')
      .option('--exclude-table <pattern...>', 'leave these tables out')
      .option('--schema-only', 'definitions, no rows')
      .option('--data-only', 'rows, no definitions')
      .option('--no-role-passwords', 'leave role passwords out, where pg_authid can’t be read')
      .option('--jobs <n>', 'connections that read at once');
  },
  async run({ output, progress, signal, strategy, version }, [database], options) {
    const loaded = await strategy({ databases: [database as string] });
    databaseOf(loaded, database as string);
    const plan = planOf(loaded, database as string, options.plan as string | undefined);
    const result = await backupDatabase(loaded, database as string, plan, {
      tables: options.table as string[] | undefined,
      excludeTables: options.excludeTable as string[] | undefined,
      schemaOnly: options.schemaOnly === true,
      dataOnly: options.dataOnly === true,
      rolePasswords: options.rolePasswords === false ? false : null,
      jobs: parseJobs(options.jobs),
      version,
      reporter: progress,
      signal,
    });
    output.result(result, () => [
      `snapshot ${result.snapshot}`,
      `${formatCount(result.tables)} tables, ${formatCount(result.rows)} rows, ${formatBytes(result.bytesRead)} read, ` +
        `${formatBytes(result.bytesAdded)} added, ${formatSeconds(result.seconds)}`,
    ]);
    return undefined;
  },
};
