import { usageError } from '../../base/errors.ts';
import { Belongings } from '../../postgres/archive/belongs.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { adapt } from '../../restore/profile.ts';
import { besideCopy, besideName, besideTable } from '../../restore/table/beside.ts';
import type { EntryRun } from './entryRun.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';

/** Restores one table under another name, in a transaction that is open. A partitioned one gets the rows of all partitions. */
export async function restoreBeside(
  request: RestoreRequest,
  selected: Selected,
  given: string,
  run: EntryRun,
): Promise<RestoredTable[]> {
  const { archive } = request.snapshot;
  const belongings = new Belongings(archive.entries);
  const tops = archive.entries.filter(
    entry =>
      entry.section === 'pre-data' &&
      entry.desc !== 'SEQUENCE' &&
      selected.named.has(entry.dumpId) &&
      !selected.named.has(belongings.parentOf(entry.dumpId) ?? -1),
  );
  const [table] = tops;
  if (!table || tops.length > 1) {
    throw usageError(
      'BESIDE_ONE_TABLE',
      `${tops.length} tables are selected; only one can get another name`,
      'give one --table with --as',
    );
  }
  const name = await besideName(run.target, table, given);
  const own = new Set([table.dumpId, ...belongings.allPartitionsOf(table.dumpId)]);
  const data = selected.entries.filter(
    entry => entry.desc === 'TABLE DATA' && own.has(entry.dependencies[0] ?? -1),
  );
  const { statements, notes } = adapt(table, besideTable(archive, table, name), run.profile);
  for (const note of notes) request.reporter.note(note);
  for (const statement of statements) await run.target.run(statement);
  const to = quoteQualified(table.namespace, name);
  request.reporter.note(
    `${to} has columns, checks and rows; no keys, indexes, triggers, identity, serial defaults or privileges`,
  );
  let rows = 0;
  for (const entry of data) rows += await run.load(entry, besideCopy(entry, to));
  return [{ name: `${table.namespace}.${name}`, rows }];
}
