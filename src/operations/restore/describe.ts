import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import type { CleanPlan } from '../../restore/database/clean.ts';
import type { DatabaseUses } from '../../restore/database/replaced.ts';
import { isReplacedName } from '../../restore/database/workingName.ts';
import { partOf, passedOverText } from '../open/wholeness.ts';
import type { Examined } from './examine.ts';
import { isTableRestore, type RestoreRequest } from './request.ts';

/** Tables named in full before they are only counted. */
const NAMED = 12;

/** What a restore will do, a line each: shown before anything is done. */
export function describePlan(request: RestoreRequest, selected: Selected, examined: Examined): string[] {
  const { manifest, parts } = request.snapshot;
  const tables = selected.entries.filter(entry => entry.desc === 'TABLE DATA');
  const oids = new Set(tables.map(entry => entry.oid));
  const rows = parts.filter(part => oids.has(part.oid)).reduce((sum, part) => sum + part.rows, 0);
  const plan = manifest.plan === null ? '' : ` by plan ${manifest.plan}`;
  const what = `${tables.length} tables, ${rows} rows`;
  return [
    `snapshot ${manifest.snapshot} of ${manifest.database}, taken ${manifest.started}${plan}: ${what}${describeChoice(request)}`,
    ...(isTableRestore(request)
      ? describeTables(request, selected, tables)
      : describeWhole(request, examined)),
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

function describeWhole({ target }: RestoreRequest, { uses, missing, clean }: Examined): string[] {
  switch (target.kind) {
    case 'new':
      return [
        `into the new database ${target.name} on ${describeSettings(target.server).replace(/^.* on /, '')}`,
        ...(uses ? describeLeftovers(uses) : []),
      ];
    case 'to': {
      const how = target.clean ? 'after removing everything in it' : 'which must be empty';
      return [`into ${describeSettings(target.settings)}, ${how}`, ...(clean ? describeClean(clean) : [])];
    }
    case 'inPlace': {
      const name = target.settings.database;
      return [
        `in place of ${describeSettings(target.settings)}: everything in it is replaced`,
        `the snapshot is restored beside it, while ${name} stays in use; the server needs room for both`,
        `then the sessions of ${name} are ended${uses?.sessions ? ` (${uses.sessions} now)` : ''} and the names change, in moments`,
        `what was replaced is dropped once a safety snapshot of it is stored: all that was committed to ${name} until the names changed is there, and not in the restored database`,
        ...(missing ? [`gone afterwards, since the snapshot has ${missing.why}: ${missing.what}`] : []),
        ...(uses ? [...describeReplication(uses), ...describeLeftovers(uses)] : []),
      ];
    }
  }
}

function describeClean({ removals, kept, uses }: CleanPlan): string[] {
  const kinds = new Map<string, number>();
  for (const { kind } of removals) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const counted = [...kinds].map(([kind, count]) => `${kind}: ${count}`);
  const slots = uses.subscriptions.filter(({ slot }) => slot !== null).map(({ slot }) => slot);
  return [
    counted.length > 0 ? `removed from it: ${counted.join(', ')}` : 'there is nothing in it to remove',
    ...(kept.length > 0 ? [`stays in it, since this role may not remove it: ${kept.join(', ')}`] : []),
    ...(slots.length > 0
      ? [`the slots ${slots.join(', ')} of its subscriptions stay on the publishers and keep WAL there`]
      : []),
  ];
}

function describeReplication({ slots, subscriptions }: DatabaseUses): string[] {
  const kept = subscriptions.filter(({ slot }) => slot !== null).map(({ slot }) => slot);
  return [
    ...(slots.length > 0
      ? [
          `lost with what is replaced: the logical replication slots ${slots.join(', ')}; what reads from them has to start anew`,
        ]
      : []),
    ...(subscriptions.length > 0
      ? [
          `lost with what is replaced: the subscriptions ${subscriptions.map(({ name }) => name).join(', ')}; those that the snapshot has are restored disabled`,
        ]
      : []),
    ...(kept.length > 0
      ? [
          `their slots ${kept.join(', ')} stay on the publishers and keep WAL there until they are used or dropped`,
        ]
      : []),
  ];
}

/** Nobody can tell a restore that was cut off from one that is running. */
function describeLeftovers({ leftovers }: DatabaseUses): string[] {
  return leftovers.map(name =>
    isReplacedName(name)
      ? `there is ${name}: what an earlier restore replaced and did not come to store or drop; see docs/recovery.md`
      : `there is ${name}: half-restored by an earlier run, or another run is working in it; drop it if none is`,
  );
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
    ...(target.kind === 'inPlace'
      ? [
          'first a safety snapshot of the present state is taken; from then on until the rows are replaced whoever writes to these tables waits, and nothing that was committed to them is lost',
          ...(selected.entries.some(entry => entry.desc === 'BLOBS')
            ? ['what is written to large objects meanwhile is in neither']
            : []),
        ]
      : []),
  ];
}

function nameSome(entries: ArchiveEntry[]): string {
  const names = entries.map(entry => quoteQualified(entry.namespace, entry.tag));
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return names.slice(0, NAMED).join(', ') + more;
}
