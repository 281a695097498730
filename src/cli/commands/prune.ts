import { usageError } from '../../base/errors.ts';
import { type PrunedGroup, type PrunedRepository, prune } from '../../operations/prune/prune.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { LEAVES } from '../leaves.ts';
import { columns, formatCount, formatTime, paint } from '../output.ts';
import { amounts, counted, packs } from '../pruneAmounts.ts';
import { SUMMARIES } from '../summaries.ts';

export const command: CliCommand = {
  name: 'prune',
  summary: SUMMARIES.prune,
  leaves: LEAVES.prune,
  define(command) {
    command
      .option('--dry-run', 'show what would be forgotten and freed, and change nothing')
      .option('--max-dead <share>', 'rewrite packs with more than this share of unused data', '50%')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nForgets the snapshots that no keep rule of their plan wants, and those taken before a restore in place after a' +
          '\nweek; never the last good one, none that is held, and none that no plan of the strategy made. Packs that no' +
          '\nsnapshot needs any more are freed by a prune a day later; of packs that are needed in part, what is needed is moved where that' +
          '\nfrees more than it writes. Safe at any time, also while backups run.',
      );
  },
  async run({ output, progress, signal, strategy, ask }, _args, options) {
    let shown = false;
    const result = await prune({
      strategy: await strategy(),
      dryRun: options.dryRun === true,
      maxDead: shareOf(options.maxDead as string),
      reporter: progress,
      signal,
      async confirm(planned) {
        if (options.yes === true) return true;
        shown = true;
        for (const each of planned) for (const line of decisions(each)) output.note(line);
        for (const each of planned) for (const line of amounts(each, 'will be')) output.note(line);
        return ask('Go on?');
      },
    });
    output.result(result, function* () {
      for (const each of result.repositories) {
        if (!shown) yield* decisions(each);
        yield* amounts(each, result.dryRun ? 'would be' : '');
      }
    });
    const failed = result.repositories.find(each => each.error);
    return failed ? EXIT[failed.error!.kind] : EXIT.done;
  },
};

function* decisions({ repository, snapshots, groups, error }: PrunedRepository): Iterable<string> {
  if (error) yield* failureLines({ repository, error });
  const by = new Map(snapshots.map(each => [each.snapshot, each]));
  for (const group of groups) {
    const rules = group.keep === null ? group.because : `keeps ${group.keep}`;
    yield paint('bold', `${groupName(group)} in ${repository}: ${rules}`);
    const rows = group.snapshots.map(id => {
      const { started, keep, reasons } = by.get(id)!;
      return [`  ${id}`, formatTime(started), keep ? 'stays' : 'goes', reasons.join('; ')];
    });
    yield* columns(rows);
    yield `  ${goes(group)}`;
  }
}

function groupName({ database, plan }: PrunedGroup): string {
  return plan === null ? `${database}, no plan` : `${database}, plan ${plan}`;
}

/** Packs that are shared with other groups come free only with those. */
function goes({ snapshots, forgotten, frees }: PrunedGroup): string {
  if (forgotten.length === 0) return `${counted(snapshots.length, 'snapshot')}, all stay`;
  return `${formatCount(forgotten.length)} of ${counted(snapshots.length, 'snapshot')} go: ${packs(frees)} come free`;
}

/** `50%`, from 0 to 1. */
function shareOf(given: string): number {
  const percent = /^(\d{1,3})\s*%?$/.exec(given.trim())?.[1];
  if (percent !== undefined && Number(percent) <= 100) return Number(percent) / 100;
  throw usageError(
    'SHARE_INVALID',
    `--max-dead ${given} is no share`,
    'give a percentage from 0% to 100%, as in --max-dead 50%',
  );
}
