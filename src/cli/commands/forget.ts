import { type ForgetResult, type ForgottenSnapshot, forget } from '../../operations/prune/forget.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { LEAVES } from '../leaves.ts';
import { formatBytes, formatTime } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

export const command: CliCommand = {
  name: 'forget <snapshot...>',
  summary: SUMMARIES.forget,
  leaves: LEAVES.forget,
  define(command) {
    command
      .option('--even-last', 'also the last good snapshot of a database in a repository')
      .option('--dry-run', 'show what would become of it and what would come free, and change nothing')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nSNAPSHOT is the start or the end of an id. It is forgotten in every repository that has it; the space is' +
          '\nfreed by ‘tidemark prune’, a day later at the earliest. One that is held is refused (‘tidemark release’).',
      );
  },
  async run({ output, signal, strategy, ask }, [given], options) {
    const result = await forget({
      strategy: await strategy(),
      given: given as string[],
      evenLast: options.evenLast === true,
      dryRun: options.dryRun === true,
      signal,
      async confirm(planned) {
        if (options.yes === true) return true;
        for (const each of planned) output.note(`forget ${describe(each)}`);
        return ask('Go on?');
      },
    });
    output.result(result, () => lines(result));
    const [failed] = result.failures;
    return failed ? EXIT[failed.error.kind] : EXIT.done;
  },
};

function* lines({ dryRun, forgotten, stays, frees, failures }: ForgetResult): Iterable<string> {
  for (const each of forgotten) {
    yield `${dryRun ? 'would forget' : 'forgot'} ${describe(each)}`;
    if (each.reasons.length > 0) yield `  the rules say: ${each.reasons.join('; ')}`;
  }
  for (const each of stays) yield `stays: ${describe(each)}: ${each.reasons.join('; ')}`;
  for (const { repository, amount, error } of frees) {
    if (amount) yield `${repository}: ${formatBytes(amount.bytes)} in ${amount.packs} packs would come free`;
    else yield `${repository}: what would come free is not known: ${error?.message}`;
  }
  for (const each of failures) yield* failureLines(each);
}

function describe({ snapshot, repository, database, plan, started }: ForgottenSnapshot): string {
  const by = plan === null ? '' : `, plan ${plan}`;
  const what =
    database === null ? 'whose manifest can’t be read' : `of ${database}${by}, taken ${formatTime(started!)}`;
  return `${snapshot} ${what}, in ${repository}`;
}
