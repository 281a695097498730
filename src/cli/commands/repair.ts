import { usageError } from '../../base/errors.ts';
import type { RepairedObject, RepairedSnapshot, RepairResult } from '../../operations/repair/outcome.ts';
import { repair } from '../../operations/repair/repair.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { failureLines } from '../failures.ts';
import { parseJobs } from '../jobs.ts';
import { LEAVES } from '../leaves.ts';
import { lostLines } from '../lost.ts';
import { paint } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json it prints a `RepairResult` (src/operations/repair/outcome.ts). */
export const command: CliCommand = {
  name: 'repair <repository>',
  summary: SUMMARIES.repair,
  leaves: LEAVES.repair,
  define(command) {
    command
      .option('--forget-lost', 'forget the snapshots that stay damaged and that no repository has whole')
      .option('--id <id>', 'the repository’s id from its recovery kit, where repository.json is lost')
      .option('--jobs <n>', 'threads that copy at once')
      .option('--dry-run', 'show what is damaged and what would come of it, and change nothing')
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nWhat is damaged is what ‘tidemark verify’ has found, and what is missing or can’t be opened: so verify first.' +
          '\nWhat can be proved to be as it was written is written anew, from what is left of a damaged pack or from other' +
          '\nplaces of the same bytes; the rest comes from other repositories of the strategy, where they have the snapshot' +
          '\nwhole. Nothing that is there is changed. What stays lost is named, table by table; the other tables of such a' +
          '\nsnapshot can still be restored. Exit code 3 if something stays lost. See docs/guides/damage.md.',
      );
  },
  async run({ output, progress, signal, strategy, ask, version }, [given], options) {
    const result = await repair({
      strategy: await strategy(),
      repository: given as string,
      dryRun: options.dryRun === true,
      forgetLost: options.forgetLost === true,
      id: idOf(options.id),
      jobs: parseJobs(options.jobs),
      version,
      reporter: progress,
      signal,
      async confirm(planned) {
        if (options.yes === true) return true;
        for (const line of lines({ ...planned, dryRun: true })) output.note(line);
        return ask('Go on?');
      },
    });
    output.result(result, () => lines(result));
    return codeOf(result);
  },
};

function idOf(given: unknown): string | null {
  if (given === undefined) return null;
  const id = String(given).toLowerCase();
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  throw usageError(
    'ID_INVALID',
    `--id ${JSON.stringify(given)} is no repository's id`,
    'give the 32 hexadecimal digits that the recovery kit shows',
  );
}

function codeOf({ objects, snapshots, failures }: RepairResult): number {
  if ([...objects, ...snapshots].some(each => each.state === 'failed')) return EXIT.failed;
  const stays = snapshots.some(each => each.state === 'lost' || each.state === 'pending');
  // What was lost with a snapshot that is forgotten is no more.
  const gone = ({ object, state }: RepairedObject) =>
    state === 'lost' && (stays || !/^(packs|snapshots|revisions)\//.test(object));
  const left = objects.some(each => each.state === 'pending' || gone(each));
  if (stays || left) return EXIT.fault;
  return failures.length > 0 && snapshots.length > 0 ? EXIT.failed : EXIT.done;
}

function* lines({
  repository,
  objects,
  snapshots,
  forgets,
  failures,
  dryRun,
}: RepairResult): Iterable<string> {
  for (const failure of failures) yield* failureLines(failure);
  if (objects.length + snapshots.length === 0)
    yield `no damage is known in ${repository}; tidemark verify --all looks for it`;
  for (const each of objects) yield* objectLines(each);
  for (const each of snapshots) yield* snapshotLines(each);
  if (dryRun && forgets.length > 0) yield `would be forgotten: ${forgets.join(', ')}`;
}

function* objectLines({ object, fault, code, remedy, state, error }: RepairedObject): Iterable<string> {
  yield `${paint('bold', object)}: ${fault} [${code}]`;
  if (state === 'pending') yield `  would be repaired: ${remedy}`;
  else if (state === 'repaired')
    yield `  ${paint('green', 'repaired')}: ${remedy ?? 'nothing needs it any more'}`;
  else if (remedy) yield `  ${paint('red', 'lost in part')}: ${remedy}`;
  else yield `  ${paint('red', 'lost')}`;
  if (error) yield `  ${error.message} [${error.code}]`;
}

function* snapshotLines(each: RepairedSnapshot): Iterable<string> {
  const { snapshot, database, faults, from, state, lost, error } = each;
  const what = `${snapshot}${database === null ? '' : ` of ${database}`}`;
  const where = from.length > 0 ? `, if need be from ${from.join(' or ')}` : '';
  switch (state) {
    case 'pending':
      yield `${what}: ${faults.join(', ')}; would be whole again${where}`;
      break;
    case 'rebuilt':
      yield `${paint('green', 'whole again')}: ${what}`;
      break;
    case 'healed':
      yield `${paint('green', 'healed')}: ${what}, from another repository`;
      break;
    case 'forgotten':
      yield `${paint('red', 'forgotten')}: ${what}`;
      break;
    default:
      yield `${paint('red', 'stays damaged')}: ${what}; no repository that can be read has it whole`;
  }
  if (lost) yield* lostLines(lost);
  if (error) yield `  ${error.message} [${error.code}]`;
  if (error?.hint) yield `  ${error.hint}`;
}
