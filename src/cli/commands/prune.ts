import { type PrunedRepository, prune } from '../../operations/prune.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { formatBytes, formatCount, formatTime, paint, table } from '../output.ts';

export const command: CliCommand = {
  name: 'prune',
  summary: 'apply retention and free what no snapshot needs',
  define(command) {
    command
      .option('--dry-run', 'show what would be forgotten and freed, and change nothing')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nForgets the snapshots that no keep rule of their plan wants; never the last good one, and none that no plan of' +
          '\nthe strategy made. Packs that no snapshot needs any more are freed by a prune a day later. Safe at any time,' +
          '\nalso while backups run.',
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

function* decisions({ repository, snapshots, error }: PrunedRepository): Iterable<string> {
  if (error) {
    yield `${paint('red', 'failed:')} ${repository}: ${error.message} [${error.code}]`;
    for (const hint of error.hint.split('\n')) yield `  ${hint}`;
  }
  if (snapshots.length === 0) return;
  const rows = snapshots.map(({ snapshot, database, plan, keep, reasons }) => [
    snapshot,
    database,
    plan ?? '',
    repository,
    keep ? 'keep' : 'forget',
    reasons.join(', ') || 'no rule keeps it',
  ]);
  yield* table([['snapshot', 'database', 'plan', 'repository', '', 'because'], ...rows]);
}

/** `tense`: `will be`, `would be`, or nothing for what was done. */
function* amounts(each: PrunedRepository, tense: string): Iterable<string> {
  const { repository, forgotten, condemned, freed, waiting, error } = each;
  if (error) return;
  const verb = (done: string) => (tense ? `${tense} ${done}` : done);
  yield `${repository}: ${counted(forgotten.length, 'snapshot')} ${verb('forgotten')}, ${packs(freed)} ${verb('freed')}`;
  if (condemned.packs > 0)
    yield `  ${packs(condemned)} ${verb('condemned')}: no snapshot needs them any more`;
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
