import { usageError } from '../../base/errors.ts';
import { type Found, readGiven } from '../../operations/open/snapshots.ts';
import { chooseTarget } from '../../operations/restore/chooseTarget.ts';
import { restore } from '../../operations/restore/restore.ts';
import { isAsAsked } from '../../restore/check/result.ts';
import { parseDuration } from '../../strategy/duration.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { checkLines, parseCheck } from '../check.ts';
import type { CliCommand, Context } from '../command.ts';
import { EXIT } from '../exit.ts';
import { parseJobs } from '../jobs.ts';
import { LEAVES } from '../leaves.ts';
import { groupedNotes } from '../notes.ts';
import { formatCount, formatSeconds } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';
import { thawOptions } from '../thaw.ts';

export const command: CliCommand = {
  name: 'restore <what>',
  summary: SUMMARIES.restore,
  leaves: LEAVES.lease,
  define(command) {
    command
      .addHelpText(
        'before',
        'WHAT is a database of the strategy (its newest whole snapshot) or a snapshot’s id.\n',
      )
      .option('--snapshot <id>', 'which snapshot of the database (default: latest, its newest whole one)')
      .option('--repository <name>', 'from this repository; otherwise the nearest that has the snapshot')
      .option('--new <name>', 'into a new database of that name on the source’s server')
      .option('--to <url>', 'into the database at this URL, which must be empty')
      .option('--clean', 'with --to: remove everything in it first')
      .option(
        '--in-place',
        'in place of the database itself; what it replaces goes once a safety snapshot of it is stored',
      )
      .option('--allow-partial', 'with --in-place: also where the snapshot lacks some of the database')
      .option('--table <pattern...>', 'only these tables, with what they need')
      .option('--as <name>', 'with one --table: under this name, beside the table that is there')
      .option('--schema-only', 'definitions, no rows')
      .option('--data-only', 'rows, no definitions')
      .option('--roles', 'create the roles that the target lacks')
      .option('--no-owner', 'everything belongs to the role that restores')
      .option('--no-privileges', 'leave GRANTs out')
      .option('--no-tablespaces', 'everything into the default tablespace')
      .option('--jobs <n>', 'connections that load at once')
      .option('--lock-wait <duration>', 'how long to wait for each lock on tables in use (1m; 0s: not)')
      .option(
        '--check <level>',
        'what is read back and compared: definitions, exact (every row too) or none; what can’t be ends with exit code 3',
        'definitions',
      )
      .option('--thaw', 'order what lies frozen in a cold class to be thawed')
      .option('--wait', 'with --thaw: wait until it can be read')
      .option('--yes', 'don’t ask');
  },
  async run(context, [what], options) {
    const strategy = await context.strategy();
    const given = givenSnapshot(strategy, what as string, options.snapshot as string | undefined);
    const where = {
      repository: options.repository as string | undefined,
      note: (line: string) => context.output.note(line),
    };
    let code: number = EXIT.done;
    await readGiven(strategy, given, where, async found => {
      if (strategy.databases.has(what as string)) requireOf(found, what as string);
      code = await restoreFound(context, found, options);
    });
    return code;
  },
};

async function restoreFound(
  context: Context,
  { located, place, opened }: Found,
  options: Record<string, unknown>,
): Promise<number> {
  const { output, progress, signal } = context;
  const choice = {
    new: options.new as string | undefined,
    to: options.to as string | undefined,
    clean: options.clean === true,
    inPlace: options.inPlace === true,
  };
  const safety = { version: context.version, reporter: progress, signal };
  const target = await chooseTarget(context.strategy, opened.manifest.database, choice, safety);
  const result = await restore({
    snapshot: opened,
    chosen: located.passedOver,
    storage: place.storage,
    target,
    thaw: { ...thawOptions(options, progress, signal), order: options.thaw === true },
    tables: (options.table as string[] | undefined) ?? [],
    only: options.schemaOnly ? 'schema' : options.dataOnly ? 'data' : undefined,
    beside: options.as as string | undefined,
    allowPartial: options.allowPartial === true,
    roles: options.roles === true,
    owner: options.owner !== false,
    privileges: options.privileges !== false,
    tablespaces: options.tablespaces !== false,
    jobs: parseJobs(options.jobs),
    lockWaitMs: options.lockWait === undefined ? null : parseDuration(options.lockWait as string),
    check: parseCheck(options.check as string),
    reporter: progress,
    signal,
    async confirm(plan, destructive) {
      for (const line of groupedNotes(plan)) output.note(line);
      return !destructive || options.yes === true || context.ask('Go on?');
    },
  });
  const rows = result.tables.reduce((sum, each) => sum + each.rows, 0);
  output.result(result, () => [
    ...groupedNotes(result.notes).map(note => `note: ${note}`),
    `restored ${result.snapshot} into ${result.target}: ${formatCount(result.tables.length)} tables, ` +
      `${formatCount(rows)} rows, ${formatSeconds(result.seconds)}`,
    ...checkLines(result.check),
  ]);
  return isAsAsked(result.check) ? EXIT.done : EXIT.fault;
}

/** The snapshot, or the database whose latest one is meant. */
function givenSnapshot(strategy: Strategy, what: string, snapshot: string | undefined): string {
  if (snapshot === undefined) return what;
  if (strategy.databases.has(what)) return snapshot === 'latest' ? what : snapshot;
  throw usageError(
    'SNAPSHOT_TWICE',
    `${what} is no database of the strategy, and --snapshot is given too`,
    'give a database with --snapshot, or a snapshot alone',
  );
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
