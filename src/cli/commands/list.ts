import { usageError } from '../../base/errors.ts';
import { holdText, type ShownHold, standing } from '../../operations/hold.ts';
import { type ListedSnapshot, listSnapshots } from '../../operations/list.ts';
import { databaseOf } from '../../operations/open/open.ts';
import type { RepositoryFailure } from '../../operations/open/snapshots.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { formatBytes, formatCount, formatTime, paint, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/**
 * With --json:
 *
 *     { "snapshots": [{ "snapshot", "database", "repository", "repositories": [name…], "plan", "part": why it is not whole | null, "kind", "started",
 *       "finished", "tables", "rows", "bytesRead", "bytesAdded", "damagedIn": [name…], "ahead": boolean, "holds": [hold…] }], "errors": [{ "repository", "error" }],
 *       "unreadable": [{ "repository", "snapshot", "error" }] }
 *
 * `repository` is the nearest of `repositories`; the sizes are those there. `errors` are of repositories, `unreadable` are
 * snapshots there that can't be read; all others are listed. Exit code 1 then, or 3 where what is stored is damaged.
 */
export const command: CliCommand = {
  name: 'list [database]',
  summary: SUMMARIES.list,
  define(command) {
    command
      .option('--repository <name>', 'only those in this repository')
      .option('--last <count>', 'only the newest so many; reads no others');
  },
  async run({ output, strategy }, [given], options) {
    const loaded = await strategy();
    const database = given as string | undefined;
    if (database !== undefined) databaseOf(loaded, database);
    const repository = options.repository as string | undefined;
    const found = await listSnapshots(loaded, { database, repository, last: parseLast(options.last) });
    const { failures } = found;
    const snapshots = found.snapshots.map(describe);
    for (const line of failureLines(failures)) output.note(line);
    const errors = failures.filter(each => each.snapshot === null);
    const unreadable = failures.filter(each => each.snapshot !== null);
    output.result({ snapshots, errors, unreadable }, () => lines(snapshots));
    const hurt = snapshots.some(each => each.damagedIn.length > 0);
    if (failures.length === 0) return hurt ? EXIT.fault : EXIT.done;
    return failures.every(each => each.error.kind === 'fault') ? EXIT.fault : EXIT.failed;
  },
};

function parseLast(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  const last = /^\d{1,9}$/.test(String(given)) ? Number(given) : 0;
  if (last > 0) return last;
  throw usageError('LAST_INVALID', `--last ${String(given)} is no count`, 'give a number from 1 on');
}

function describe({ snapshot, database, repositories, ...told }: ListedSnapshot) {
  return { snapshot, database, repository: repositories[0]!, repositories, ...told };
}

function lines(snapshots: ReturnType<typeof describe>[]): Iterable<string> {
  if (snapshots.length === 0) return ['no snapshots yet; take one with: tidemark backup <database>'];
  const rows = snapshots.map(each => [
    each.snapshot,
    each.database,
    each.plan ?? '',
    each.repositories.join(', '),
    formatTime(each.finished),
    formatCount(each.tables),
    formatCount(each.rows),
    formatBytes(each.bytesRead),
    formatBytes(each.bytesAdded),
    [
      each.part ?? '',
      describeDamage(each),
      each.ahead ? paint('red', 'DATED IN THE FUTURE') : '',
      describeHolds(each.holds),
    ]
      .filter(text => text !== '')
      .join('; '),
  ]);
  const head = ['snapshot', 'database', 'plan', 'in', 'finished', 'tables', 'rows', 'read', 'added', ''];
  return table([head, ...rows], new Set([5, 6, 7, 8]));
}

function describeDamage({ repositories, damagedIn }: ReturnType<typeof describe>): string {
  if (damagedIn.length === 0) return '';
  const where = damagedIn.length === repositories.length ? '' : ` in ${damagedIn.join(', ')}`;
  return paint('red', `DAMAGED${where}`);
}

/** A hold that stands in several repositories is told once. */
function describeHolds(holds: ShownHold[]): string {
  return [...new Set(standing(holds).map(holdText))].join('; ');
}

/** Snapshots of a repository that fail for the same reason are told together. */
function* failureLines(failures: RepositoryFailure[]): Iterable<string> {
  const alike = new Map<string, RepositoryFailure[]>();
  for (const failure of failures) {
    const { repository, snapshot, error } = failure;
    const one = snapshot === null || error.kind === 'fault';
    const key = JSON.stringify([repository, error.code, one ? snapshot : '']);
    alike.set(key, [...(alike.get(key) ?? []), failure]);
  }
  for (const [{ repository, snapshot, error }, ...more] of alike.values() as Iterable<
    [RepositoryFailure, ...RepositoryFailure[]]
  >) {
    const what = error.code === 'KEY_RETIRED' ? 'newer snapshots are' : 'snapshots are';
    const head = snapshot === null ? '' : `${more.length + 1} ${what} not listed: `;
    yield `${paint('red', 'failed:', process.stderr)} ${repository}: ${head}${error.message} [${error.code}]`;
    for (const hint of error.hint.split('\n')) yield `  ${hint}`;
  }
}
