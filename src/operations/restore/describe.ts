import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { partOf, passedOverText } from '../wholeness.ts';
import { isTableRestore, type RestoreRequest } from './request.ts';

/** Tables named in full before they are only counted. */
const NAMED = 12;

/** What a restore will do, a line each: shown before anything is done. */
export function describePlan(request: RestoreRequest, selected: Selected): string[] {
  const { manifest, parts } = request.snapshot;
  const tables = selected.entries.filter(entry => entry.desc === 'TABLE DATA');
  const oids = new Set(tables.map(entry => entry.oid));
  const rows = parts.filter(part => oids.has(part.oid)).reduce((sum, part) => sum + part.rows, 0);
  const what = `${tables.length} tables, ${rows} rows`;
  return [
    `snapshot ${manifest.snapshot} of ${manifest.database}, taken ${manifest.started}: ${what}${describeChoice(request)}`,
    ...(isTableRestore(request) ? describeTables(request, selected, tables) : describeWhole(request)),
    ...(isTableRestore(request)
      ? []
      : selected.leftOut.map(({ entry, reason }) => `without ${entry.desc} ${entry.tag}: ${reason}`)),
  ];
}

/** Which one it is of those that its database has. */
function describeChoice({ chosen, snapshot }: RestoreRequest): string {
  const part = partOf(snapshot.manifest);
  if (!chosen) return part === null ? '' : `; it is not a whole one: ${part}`;
  const newer = chosen.length === 0 ? '' : `; newer ones are passed over: ${passedOverText(chosen)}`;
  return `; the newest whole one${newer}`;
}

function describeWhole({ target }: RestoreRequest): string[] {
  switch (target.kind) {
    case 'new':
      return [
        `into the new database ${target.name} on ${describeSettings(target.server).replace(/^.* on /, '')}`,
      ];
    case 'to': {
      const how = target.clean ? 'after removing everything in it' : 'which must be empty';
      return [`into ${describeSettings(target.settings)}, ${how}`];
    }
    case 'inPlace':
      return [
        `in place of ${describeSettings(target.settings)}: everything in it is replaced`,
        'first a safety snapshot of its present state is taken; connections to it are ended when the names change',
      ];
  }
}

function describeTables(
  { target, beside }: RestoreRequest,
  selected: Selected,
  tables: ArchiveEntry[],
): string[] {
  const isNamed = (entry: ArchiveEntry) => selected.named.has(entry.dependencies[0] ?? -1);
  const refreshed = selected.entries.filter(
    entry => entry.desc === 'MATERIALIZED VIEW DATA' && isNamed(entry),
  );
  const known = new Set(selected.entries.map(entry => entry.dumpId));
  // Of an archive without definitions, every table is one that was asked for.
  const shown = nameSome(tables.filter(entry => isNamed(entry) || !known.has(entry.dependencies[0] ?? -1)));
  const needed = selected.entries.filter(
    entry => entry.desc === 'TABLE' && !selected.named.has(entry.dumpId),
  );
  const where = target.kind === 'new' ? target.name : describeSettings(target.settings);
  if (beside !== undefined) return [`into ${where}: ${shown} as ${beside}, beside what is there`];
  return [
    `into ${where}, in one transaction: ${shown || 'definitions alone'}`,
    'a table that is there keeps its definition, and all its rows are replaced; one that is missing is created with what it needs',
    ...(refreshed.length > 0 ? [`refreshed: ${nameSome(refreshed)}`] : []),
    ...(needed.length > 0 ? [`created if missing, since they are needed: ${nameSome(needed)}`] : []),
    ...(target.kind === 'inPlace' ? ['first a safety snapshot of the present state is taken'] : []),
  ];
}

function nameSome(entries: ArchiveEntry[]): string {
  const names = entries.map(entry => quoteQualified(entry.namespace, entry.tag));
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return names.slice(0, NAMED).join(', ') + more;
}
