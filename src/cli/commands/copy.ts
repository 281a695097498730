import { type CopiedSnapshot, type CopyResult, copy } from '../../operations/copy/copy.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { parseJobs } from '../jobs.ts';
import { LEAVES } from '../leaves.ts';
import { formatBytes, formatSeconds, formatTime, paint, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json it prints a `CopyResult` (src/operations/copy/copy.ts). */
export const command: CliCommand = {
  name: 'copy [snapshot...]',
  summary: SUMMARIES.copy,
  leaves: LEAVES.copy,
  define(command) {
    command
      .requiredOption('--from <repository>', 'the repository that has them')
      .requiredOption('--to <repository>', 'the one that lacks them; it may have another key and storage')
      .option('--database <name>', 'only those of this database')
      .option('--all', 'also those that the target’s retention would forget at once')
      .option('--dry-run', 'show what would be copied, and change nothing')
      .option('--jobs <n>', 'threads that copy at once')
      .addHelpText(
        'after',
        '\nSNAPSHOT is the start or the end of an id. Without one, everything that the target lacks is copied, oldest first,' +
          '\nunless no keep rule of its plan would keep it there. The database is not asked; every byte is checked on the way.' +
          '\nWhat is there already is passed over, so the command can be run again at any time.',
      );
  },
  async run({ output, progress, signal, strategy, version }, [given], options) {
    const from = options.from as string;
    const to = options.to as string;
    const result = await copy({
      strategy: await strategy({ databases: [], repositories: [from, to] }),
      from,
      to,
      given: given as string[],
      database: (options.database as string | undefined) ?? null,
      all: options.all === true,
      dryRun: options.dryRun === true,
      jobs: parseJobs(options.jobs),
      version,
      reporter: progress,
      signal,
    });
    output.result(result, () => lines(result));
    const failed = result.snapshots.find(each => each.error);
    return failed ? EXIT[failed.error!.kind] : EXIT.done;
  },
};

function* lines(result: CopyResult): Iterable<string> {
  const { from, to, dryRun, snapshots, there, seconds } = result;
  if (snapshots.length > 0) {
    const rows = snapshots.map(each => [
      each.snapshot,
      each.database ?? '',
      each.started === null ? '' : formatTime(each.started),
      each.bytesRead === null ? '' : formatBytes(each.bytesRead),
      each.bytesAdded === null ? '' : formatBytes(each.bytesAdded),
      stateOf(each, dryRun),
    ]);
    yield* table([['snapshot', 'database', 'taken', 'read', 'added', ''], ...rows], new Set([3, 4]));
  }
  for (const { snapshot, error } of snapshots) {
    if (!error) continue;
    yield `${paint('red', 'failed:')} ${snapshot}: ${error.message} [${error.code}]`;
    for (const hint of error.hint.split('\n')) yield `  ${hint}`;
  }
  const count = (state: CopiedSnapshot['state']) => snapshots.filter(each => each.state === state).length;
  const already = (there ?? 0) + count('there');
  const parts = [
    dryRun ? `${count('pending')} would be copied` : `${count('copied')} copied`,
    ...(dryRun || count('pending') === 0 ? [] : [`${count('pending')} not tried`]),
    ...(count('failed') === 0 ? [] : [`${count('failed')} failed`]),
    ...(count('left') === 0 ? [] : [`${count('left')} left out`]),
    ...(there === null ? [] : [`${already} there already`]),
  ];
  yield `from ${from} to ${to}: ${parts.join(', ')}, ${formatSeconds(seconds)}`;
}

function stateOf({ state, reason }: CopiedSnapshot, dryRun: boolean): string {
  if (state === 'left') return `left out: ${reason}`;
  if (state === 'failed') return paint('red', 'failed');
  if (state === 'pending') return dryRun ? 'to be copied' : 'not tried';
  return state === 'there' ? 'was there by then' : 'copied';
}
