import { homedir } from 'node:os';
import { usageError } from '../../base/errors.ts';
import { backupDatabase } from '../../operations/backup/index.ts';
import { connectionOf, databaseOf } from '../../operations/open.ts';
import type { RestoreTarget } from '../../operations/restore/request.ts';
import { restore } from '../../operations/restore/restore.ts';
import { safetyPlan } from '../../operations/restore/safety.ts';
import { type Found, readGiven } from '../../operations/snapshots.ts';
import { requireReadable } from '../../operations/thaw.ts';
import { resolveSettings } from '../../postgres/settings/settings.ts';
import type { Strategy } from '../../strategy/spec.ts';
import type { CliCommand, Context } from '../command.ts';
import { parseJobs } from '../jobs.ts';
import { formatCount, formatSeconds } from '../output.ts';
import { thawOptions } from '../thaw.ts';

export const command: CliCommand = {
  name: 'restore <what>',
  summary: 'restore a database or tables from a snapshot',
  define(command) {
    command
      .addHelpText('before', 'WHAT is a database of the strategy (its latest snapshot) or a snapshot’s id.\n')
      .option('--snapshot <id>', 'which snapshot of the database', 'latest')
      .option('--repository <name>', 'from this repository; otherwise the nearest that has the snapshot')
      .option('--new <name>', 'into a new database of that name on the source’s server')
      .option('--to <url>', 'into the database at this URL, which must be empty')
      .option('--clean', 'with --to: remove everything in it first')
      .option('--in-place', 'in place of the database itself; a safety snapshot is taken first')
      .option('--table <pattern...>', 'only these tables, with what they need')
      .option('--as <name>', 'with one --table: under this name, beside the table that is there')
      .option('--schema-only', 'definitions, no rows')
      .option('--data-only', 'rows, no definitions')
      .option('--roles', 'create the roles that the target lacks')
      .option('--no-owner', 'everything belongs to the role that restores')
      .option('--no-privileges', 'leave GRANTs out')
      .option('--jobs <n>', 'connections that load at once')
      .option('--thaw', 'order what lies frozen in a cold class to be thawed')
      .option('--wait', 'with --thaw: wait until it can be read')
      .option('--yes', 'don’t ask');
  },
  async run(context, [what], options) {
    const strategy = await context.strategy();
    const id = options.snapshot as string;
    const given = strategy.databases.has(what as string) && id !== 'latest' ? id : (what as string);
    const where = {
      repository: options.repository as string | undefined,
      note: (line: string) => context.output.note(line),
    };
    await readGiven(strategy, given, where, async found => {
      if (strategy.databases.has(what as string)) requireOf(found, what as string);
      await restoreFound(context, found, options);
    });
    return undefined;
  },
};

async function restoreFound(
  context: Context,
  { place, opened }: Found,
  options: Record<string, unknown>,
): Promise<void> {
  const { output, progress, signal } = context;
  if (!options.schemaOnly) {
    const thawing = thawOptions(options, progress, signal);
    await requireReadable(opened, thawing, options.thaw === true);
  }
  const target = await targetOf(context, opened.manifest.database, options);
  const result = await restore({
    snapshot: opened,
    storage: place.storage,
    target,
    tables: (options.table as string[] | undefined) ?? [],
    only: options.schemaOnly ? 'schema' : options.dataOnly ? 'data' : undefined,
    beside: options.as as string | undefined,
    roles: options.roles === true,
    owner: options.owner !== false,
    privileges: options.privileges !== false,
    jobs: parseJobs(options.jobs),
    reporter: progress,
    signal,
    async confirm(plan, destructive) {
      for (const line of plan) output.note(line);
      return !destructive || options.yes === true || context.ask('Go on?');
    },
  });
  const rows = result.tables.reduce((sum, each) => sum + each.rows, 0);
  output.result(result, () => [
    ...result.notes.map(note => `note: ${note}`),
    `restored ${result.snapshot} into ${result.target}: ${formatCount(result.tables.length)} tables, ` +
      `${formatCount(rows)} rows, ${formatSeconds(result.seconds)}`,
  ]);
}

function requireOf({ opened }: Found, wanted: string): void {
  const { database, snapshot } = opened.manifest;
  if (database === wanted) return;
  throw usageError(
    'SNAPSHOT_OTHER_DATABASE',
    `snapshot ${snapshot} is of ${database}, not of ${wanted}`,
    `tidemark list ${wanted}`,
  );
}

async function targetOf(
  context: Context,
  database: string,
  options: Record<string, unknown>,
): Promise<RestoreTarget> {
  const given = ['new', 'to', 'inPlace'].filter(name => options[name] !== undefined);
  if (given.length !== 1) {
    throw usageError(
      'TARGET_NEEDED',
      given.length === 0 ? 'where to restore is not said' : 'more than one target is given',
      'give one of --new NAME, --to URL, --in-place',
    );
  }
  if (typeof options.to === 'string') {
    const settings = await resolveSettings({ url: options.to }, context.environment, homedir());
    return { kind: 'to', settings, clean: options.clean === true };
  }
  const loaded = await context.strategy({ databases: [database] });
  const settings = await connectionOf(loaded, databaseOf(loaded, database));
  if (typeof options.new === 'string') return { kind: 'new', name: options.new, server: settings };
  return { kind: 'inPlace', settings, safety: () => safetySnapshot(context, loaded, database) };
}

async function safetySnapshot(context: Context, strategy: Strategy, database: string): Promise<string> {
  const { snapshot } = await backupDatabase(strategy, database, safetyPlan(strategy, database), {
    once: true,
    schemaOnly: false,
    dataOnly: false,
    rolePasswords: null,
    jobs: null,
    version: context.version,
    reporter: context.progress,
    signal: context.signal,
  });
  context.output.note(`safety snapshot ${snapshot} of the present state is stored`);
  return snapshot;
}
