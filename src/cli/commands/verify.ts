import { parseBudget } from '../../operations/verify/budget.ts';
import type { VerifyFault } from '../../operations/verify/faults.ts';
import { type VerifyResult, verify } from '../../operations/verify/verify.ts';
import { parseDuration } from '../../strategy/duration.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { LEAVES } from '../leaves.ts';
import { lostLines } from '../lost.ts';
import { formatBytes, formatCount, formatSeconds, formatTime, paint, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** Names listed on a line before the rest is only counted; --json has all. */
const NAMES_SHOWN = 8;
/** What was found is recorded, and no backup relies on it. */
const REMEDY = [
  '  The next backup stores anew what the damaged packs held. To make the snapshots whole that are damaged:',
  '  tidemark heal --all, where another repository has them, or tidemark repair REPOSITORY; see docs/guides/damage.md.',
];

export const command: CliCommand = {
  name: 'verify [snapshot...]',
  summary: SUMMARIES.verify,
  leaves: LEAVES.lease,
  define(command) {
    command
      .option('--all', 'every snapshot of every repository')
      .option('--repository <name>', 'only in this repository')
      .option('--budget <amount>', 'stop after so long or so many bytes (10m, 50GB); the next run goes on')
      .option('--coverage <time>', 'how old a check may be to count as coverage', '30d')
      .addHelpText(
        'after',
        '\nSNAPSHOT may also be a database’s name: its newest whole snapshot. Without one, the newest of each database' +
          '\nin each repository is verified. Exit code 3 if anything is wrong.' +
          '\nWith --budget, the packs of all snapshots are read, those first that were not read for longest. What was read' +
          '\nis recorded in the repository, so that any machine can go on.',
      );
  },
  async run({ progress, output, signal, strategy }, [given], options) {
    const result = await verify({
      strategy: await strategy(),
      given: given as string[],
      all: options.all === true,
      repository: options.repository as string | undefined,
      budget: options.budget === undefined ? undefined : parseBudget(options.budget as string),
      coverageMs: parseDuration(options.coverage as string),
      reporter: progress,
      signal,
    });
    output.result(result, () => lines(result));
    return result.ok ? EXIT.done : EXIT.fault;
  },
};

function* lines(result: VerifyResult): Iterable<string> {
  const { ok, whole, snapshots, faults } = result;
  for (const fault of faults) yield* faultLines(fault);
  for (const { snapshot, database, repository, ok, tables, rows, bytes, lost } of snapshots) {
    const state = ok ? paint('green', 'ok     ') : paint('red', 'DAMAGED');
    const holds = `${formatCount(tables)} tables, ${formatCount(rows)} rows, ${formatBytes(bytes)}`;
    yield database === null
      ? `${state} ${snapshot} in ${repository}: can't be opened`
      : `${state} ${snapshot} of ${database} in ${repository}: ${holds}`;
    if (lost) yield* lostLines(lost);
  }
  if (!whole) yield* coverageLines(result);
  yield verdict(result);
  if (!ok && faults.some(each => each.snapshots.length > 0)) yield* REMEDY;
}

function* coverageLines({ coverage }: VerifyResult): Iterable<string> {
  const rows = coverage.map(({ snapshot, database, repository, percent, oldest, damaged }) => [
    snapshot,
    database,
    repository,
    `${percent} %`,
    oldest === null ? 'not fully verified yet' : formatTime(oldest),
    damaged === 0 ? '' : paint('red', `DAMAGED: ${damaged} packs`),
  ]);
  yield* table(
    [['snapshot', 'database', 'repository', 'checked', 'oldest check', ''], ...rows],
    new Set([3]),
  );
}

function verdict({ ok, whole, packs, objects, bytesRead, faults, seconds }: VerifyResult): string {
  const read = `${formatCount(objects)} objects, ${formatBytes(bytesRead)} read in ${formatSeconds(seconds)}`;
  if (!ok) return `${paint('red', `${faults.length} faults`)}: ${read}`;
  if (whole) return `every byte is as it was written: ${read}`;
  const of = `${formatCount(packs.checked)} of ${formatCount(packs.all)} packs`;
  return `no fault in ${of}, which is not a whole verification: ${read}`;
}

function* faultLines({ repository, code, message, hint, snapshots, tables }: VerifyFault): Iterable<string> {
  yield `${paint('red', 'fault:')} ${message} [${code}, in ${repository}]`;
  if (tables.length > 0) yield `  affects ${some(snapshots)}: ${some(tables)}`;
  else if (snapshots.length > 0) yield `  affects no table; needed by ${some(snapshots)}`;
  else yield `  ${hint}`;
}

function some(names: string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}
