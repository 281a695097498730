import { type HoldResult, hold } from '../../operations/hold.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { LEAVES } from '../leaves.ts';
import { formatTime } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';
import { parseUntil } from '../until.ts';

export const command: CliCommand = {
  name: 'hold <snapshot>',
  summary: SUMMARIES.hold,
  leaves: LEAVES.hold,
  define(command) {
    command
      .requiredOption('--reason <text>', 'why it is held')
      .option('--until <date>', 'the last day of the hold, or a moment, or a length of time such as 90d')
      .addHelpText(
        'after',
        '\nSNAPSHOT is the start or the end of an id. It is held in every repository that has it: no rule, ‘prune’ or' +
          '\n‘forget’ ends it before ‘tidemark release’ does, or the hold has expired.',
      );
  },
  async run({ output, signal, strategy }, [given], options) {
    const until = options.until === undefined ? null : parseUntil(options.until as string, new Date());
    const result = await hold({
      strategy: await strategy(),
      given: given as string,
      reason: options.reason as string,
      until,
      signal,
    });
    output.result(result, () => lines(result));
    const [failure] = result.failures;
    return failure ? EXIT[failure.error.kind] : EXIT.done;
  },
};

function* lines({ snapshot, holds, failures }: HoldResult): Iterable<string> {
  for (const { repository, id, until } of holds) {
    const end = until === null ? 'until it is released' : `until ${formatTime(until)}`;
    yield `${snapshot} is held in ${repository} ${end} (hold ${id})`;
  }
  for (const failure of failures) yield* failureLines(failure);
}
