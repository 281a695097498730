import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { Division } from '../../restore/table/existing.ts';
import type { Present } from '../../restore/table/target.ts';
import type { EntryRun } from './entryRun.ts';
import { type RestoreRequest, tell } from './request.ts';

/**
 * Carries out SEQUENCE SET entries. RESTART gives a sequence that is there a new file, so that a rollback takes back what
 * setval writes, which it does not otherwise. A sequence that tables which are not restored take numbers from as well is
 * not set back behind those, which is said.
 */
export async function setSequences(
  request: RestoreRequest,
  run: EntryRun,
  division: Division,
  entries: readonly ArchiveEntry[],
): Promise<void> {
  const { target } = run;
  const present = await target.present(entries);
  for (const entry of entries) {
    const there = present.get(entry);
    const reason = there && (await reasonToKeep(run, division, entry, there));
    if (reason) {
      tell(request, [{ kind: 'leftOut', entry, reason }]);
      continue;
    }
    if (there) await target.run(`ALTER SEQUENCE ${quoteQualified(entry.namespace, entry.tag)} RESTART`);
    for (const statement of run.statementsOf(entry)) await target.run(statement);
  }
  for (const sequence of division.sequencesGone) request.reporter.note(goneText(division, sequence));
}

/** Why a sequence keeps its value; null where it is to be set. */
async function reasonToKeep(
  { target }: EntryRun,
  { existing, there, replaced, belongings, withRows }: Division,
  entry: ArchiveEntry,
  { oid, otherUsers }: Present,
): Promise<string | null> {
  const isRestored = new Set(
    [...[...withRows].map(id => existing.get(id)), ...replaced.map(data => there.get(data))].map(
      present => present?.oid,
    ),
  );
  const others = otherUsers.filter(user => !isRestored.has(user));
  const value = /, (-?\d+), (true|false)\);\s*$/.exec(entry.defn ?? '');
  if (others.length === 0 || !value) return null;
  const name = quoteQualified(entry.namespace, entry.tag);
  const { rows } = await target.run(
    `SELECT s.last_value, s.is_called, d.seqincrement FROM ${name} s, pg_catalog.pg_sequence d WHERE d.seqrelid = ${oid}`,
  );
  const [last, called, increment] = rows[0]!.map(String);
  const next = (at: string, isCalled: boolean) => BigInt(at) + (isCalled ? BigInt(increment!) : 0n);
  const ahead = next(last!, called === 't') - next(value[1]!, value[2] === 'true');
  if (BigInt(increment!) > 0n ? ahead <= 0n : ahead >= 0n) return null;
  const tables = [...existing]
    .filter(([, present]) => others.includes(present.oid))
    .map(([id]) => quoteQualified(belongings.byId.get(id)!.namespace, belongings.byId.get(id)!.tag));
  return `${tables.join(', ') || 'another table'} takes numbers from it too, so it stays at ${last}, ahead of the snapshot's ${value[1]}; ${entry.defn!.trim()} sets it back`;
}

function goneText({ belongings }: Division, sequence: ArchiveEntry): string {
  const [table] = belongings.relationsOf(sequence);
  const of = table ? ` of ${quoteQualified(table.namespace, table.tag)}` : '';
  const value = belongings.partsOf(sequence.dumpId).find(part => part.desc === 'SEQUENCE SET');
  return `the sequence ${quoteQualified(sequence.namespace, sequence.tag)}${of} is not there and is not made; what gives the table its numbers now is not set${value ? `, the snapshot has ${value.defn!.trim()}` : ''}`;
}
