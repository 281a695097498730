import { release } from '../../operations/hold.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { LEAVES } from '../leaves.ts';
import { SUMMARIES } from '../summaries.ts';

export const command: CliCommand = {
  name: 'release <snapshot> [hold]',
  summary: SUMMARIES.release,
  leaves: LEAVES.release,
  define(command) {
    command.addHelpText(
      'after',
      '\nSNAPSHOT and HOLD are starts or ends of ids; ‘tidemark show SNAPSHOT’ shows its holds. From then on the rules' +
        '\ndecide again: the next ‘prune’ may forget it.',
    );
  },
  async run({ output, signal, strategy }, [given, hold]) {
    const result = await release({
      strategy: await strategy(),
      given: given as string,
      hold: (hold as string | undefined) ?? null,
      signal,
    });
    output.result(result, function* () {
      for (const { repository, id, reason } of result.holds)
        yield `released in ${repository}: ${reason ?? 'a hold that can’t be read'} (hold ${id})`;
      for (const failure of result.failures) yield* failureLines(failure);
    });
    const [failure] = result.failures;
    return failure ? EXIT[failure.error.kind] : EXIT.done;
  },
};
