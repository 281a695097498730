import { type ForgottenSnapshot, forget } from '../../operations/forget.ts';
import type { CliCommand } from '../command.ts';
import { formatTime } from '../output.ts';

export const command: CliCommand = {
  name: 'forget <snapshot...>',
  summary: 'end a snapshot’s existence',
  define(command) {
    command
      .option('--even-last', 'also the last good snapshot of a database in a repository')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nSNAPSHOT is the start or the end of an id. It is forgotten in every repository that holds it; the space is' +
          '\nfreed by ‘tidemark prune’, a day later at the earliest.',
      );
  },
  async run({ output, signal, strategy, ask }, [given], options) {
    const { forgotten } = await forget({
      strategy: await strategy(),
      given: given as string[],
      evenLast: options.evenLast === true,
      signal,
      async confirm(planned) {
        if (options.yes === true) return true;
        for (const each of planned) output.note(`forget ${describe(each)}`);
        return ask('Go on?');
      },
    });
    output.result({ forgotten }, () => forgotten.map(each => `forgot ${describe(each)}`));
    return undefined;
  },
};

function describe({ snapshot, repository, database, started }: ForgottenSnapshot): string {
  const what =
    database === null ? 'whose manifest can’t be read' : `of ${database}, taken ${formatTime(started!)}`;
  return `${snapshot} ${what}, in ${repository}`;
}
