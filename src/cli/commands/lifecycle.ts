import { lifecycleOf } from '../../operations/lifecycle.ts';
import type { CliCommand } from '../command.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json it prints a `LifecycleResult` (src/operations/lifecycle.ts); else the document alone is on stdout. */
export const command: CliCommand = {
  name: 'lifecycle <repository>',
  summary: SUMMARIES.lifecycle,
  define(command) {
    command
      .option('--move', 'also move packs that lie in another class to the repository’s class')
      .addHelpText(
        'after',
        '\nThe rules end unfinished uploads and old versions, and never a live object: what stays is decided by ‘keep’ alone.' +
          '\nNothing is changed. tidemark lifecycle main > lifecycle.json; what applies it is on stderr.',
      );
  },
  async run({ output, strategy }, [repository], options) {
    const result = lifecycleOf(await strategy(), repository as string, options.move === true);
    const { document, apply, notes } = result;
    output.result(result, () => (document === null ? [] : JSON.stringify(document, null, 2).split('\n')));
    if (output.json) return undefined;
    for (const note of notes) output.note(note);
    if (apply !== '') output.note(`apply it with: ${apply}`);
    return undefined;
  },
};
