import { type PrunedGroup, type PrunedRepository, prune } from '../../operations/prune.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { columns, formatBytes, formatCount, formatTime, paint } from '../output.ts';

export const command: CliCommand = {
  name: 'prune',
  summary: 'apply retention and free what no snapshot needs',
  define(command) {
    command
      .option('--dry-run', 'show what would be forgotten and freed, and change nothing')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nForgets the snapshots that no keep rule of their plan wants, and those taken before a restore in place after a' +
          '\nweek; never the last good one, none that is held, and none that no plan of the strategy made. Packs that no' +
          '\nsnapshot needs any more are freed by a prune a day later. Safe at any time, also while backups run.',
      );
  },
  async run({ output, progress, signal, strategy, ask }, _args, options) {
    let shown = false;
    const result = await prune({
      strategy: await strategy(),
      dryRun: options.dryRun === true,
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

/** `tense`: `will be`, `would be`, or nothing for what was done. */
function* amounts(each: PrunedRepository, tense: string): Iterable<string> {
  const { repository, forgotten, condemned, freed, waiting, error } = each;
  if (error) return;
  const verb = (done: string) => (tense ? `${tense} ${done}` : done);
  yield `${repository}: ${counted(forgotten.length, 'snapshot')} ${verb('forgotten')}, ${packs(freed)} ${verb('freed')}`;
  if (condemned.packs > 0)
    yield `  ${packs(condemned)} ${verb('condemned')}: no snapshot needs them any more`;
  for (const id of each.heldMissing)
    yield `  snapshot ${id} is held and not here: what it needs is kept as far as it is known; tidemark release ${id}`;
  if (waiting.packs === 0) return;
  const backups =
    waiting.for.length > 0 ? ` and once the running backups ${waiting.for.join(', ')} have ended` : '';
  yield `  ${packs(waiting)} waiting: freed by a prune after ${formatTime(waiting.until!)}${backups}`;
}

function packs(amount: { packs: number; bytes: number }): string {
  return `${counted(amount.packs, 'pack')} (${formatBytes(amount.bytes)})`;
}

function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}
