import { usageError } from '../../base/errors.ts';
import { type HealedSnapshot, type HealResult, heal } from '../../operations/heal/heal.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { parseJobs } from '../jobs.ts';
import { LEAVES } from '../leaves.ts';
import { lostLines } from '../lost.ts';
import { paint } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json it prints a `HealResult` (src/operations/heal/heal.ts). */
export const command: CliCommand = {
  name: 'heal [snapshot...]',
  summary: SUMMARIES.heal,
  leaves: LEAVES.heal,
  define(command) {
    command
      .option('--all', 'every snapshot of which damage is known')
      .option('--from <repository>', 'only from this repository')
      .option('--jobs <n>', 'threads that copy at once')
      .option('--dry-run', 'show what is damaged and where it would come from, and change nothing')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nSNAPSHOT is the start or the end of an id. What is damaged is what ‘tidemark verify’ has found, and snapshots' +
          '\nwhose packs are missing. Each is copied anew, read back, and only then is the damaged one forgotten.' +
          '\nExit code 3 if something stays damaged.',
      );
  },
  async run({ output, progress, signal, strategy, ask, version }, [given], options) {
    const snapshots = given as string[];
    if (options.all !== true && snapshots.length === 0)
      throw usageError('HEAL_WHAT', 'no snapshot is given', 'name one or more snapshots, or use --all');
    const result = await heal({
      strategy: await strategy(),
      given: snapshots,
      from: (options.from as string | undefined) ?? null,
      dryRun: options.dryRun === true,
      jobs: parseJobs(options.jobs),
      version,
      reporter: progress,
      signal,
      async confirm(planned) {
        if (options.yes === true) return true;
        for (const each of planned) output.note(describe(each));
        return ask('Go on?');
      },
    });
    output.result(result, () => lines(result));
    if (result.failures.length > 0) return EXIT.failed;
    const done = result.snapshots.every(each => each.state === 'healed');
    return done ? EXIT.done : EXIT.fault;
  },
};

function* lines({ snapshots, failures }: HealResult): Iterable<string> {
  for (const { repository, error } of failures) yield `${repository} can't be looked at: ${error.message}`;
  if (snapshots.length === 0) yield 'no damage is known; tidemark verify --all looks for it';
  for (const each of snapshots) {
    yield describe(each);
    if (each.lost) yield* lostLines(each.lost);
    if (each.error) yield `  ${each.error.message} [${each.error.code}]`;
    if (each.error?.hint) yield `  ${each.error.hint}`;
  }
}

function describe({ snapshot, repository, database, faults, from, state }: HealedSnapshot): string {
  const what = `${snapshot}${database === null ? '' : ` of ${database}`} in ${repository}`;
  const damage = faults.join(', ');
  switch (state) {
    case 'pending':
      if (from.length === 0)
        return `${what}: ${damage}; it is there whole too, and the damaged one would end`;
      return `${what}: ${damage}; would come from ${from.join(' or ')}`;
    case 'healed':
      return `${paint('green', 'healed')} ${what}: read back whole`;
    case 'both':
      return `${what}: there whole again, but the damaged one could not be ended`;
    case 'lost':
      return `${paint('red', 'stays damaged')}: ${what}: ${damage}; no repository that can be read has it whole`;
    case 'failed':
      return `${paint('red', 'stays damaged')}: ${what}: ${damage}`;
  }
}
