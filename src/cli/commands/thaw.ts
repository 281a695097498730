import { openGiven } from '../../operations/open/snapshots.ts';
import { thaw } from '../../operations/thaw.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { LEAVES } from '../leaves.ts';
import { SUMMARIES } from '../summaries.ts';
import { thawOptions } from '../thaw.ts';

/** With --json it prints a `ThawResult` (src/operations/thaw.ts). */
export const command: CliCommand = {
  name: 'thaw <snapshot>',
  summary: SUMMARIES.thaw,
  leaves: LEAVES.thaw,
  define(command) {
    command
      .option('--table <pattern...>', 'only what these tables need')
      .option('--repository <name>', 'in this repository; otherwise the nearest that has the snapshot')
      .option('--days <n>', 'how long copies that can be read are kept', '7')
      .option('--wait', 'wait until everything can be read')
      .addHelpText(
        'after',
        '\nSNAPSHOT may also be a database’s name: its newest whole snapshot. Storage classes such as GLACIER, DEEP_ARCHIVE and' +
          '\nAzure’s Archive must be thawed before a restore; that takes minutes to days, and the provider charges for it.',
      );
  },
  async run({ output, progress, signal, strategy }, [what], options) {
    const { opened } = await openGiven(await strategy(), what as string, {
      repository: options.repository as string | undefined,
      note: line => output.note(line),
    });
    const result = await thaw(opened, thawOptions(options, progress, signal));
    output.result(result, () => [
      result.readable
        ? `${result.snapshot} can be read`
        : `${result.thawing} of ${result.packs} packs of ${result.snapshot} are being thawed; run the command again to see how far they are`,
    ]);
    return EXIT.done;
  },
};
