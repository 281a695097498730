import { holdText } from '../../operations/hold.ts';
import { type Shown, show } from '../../operations/show/show.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { formatBytes, formatCount, formatTime, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json it prints a `Shown` (src/operations/show/show.ts). Exit code 3 where packs that it needs are damaged or missing. */
export const command: CliCommand = {
  name: 'show <snapshot>',
  summary: SUMMARIES.show,
  define(command) {
    command
      .option('--repository <name>', 'as this repository has it; otherwise the nearest that does')
      .addHelpText('before', 'SNAPSHOT is its id, or a database: then its newest whole snapshot.\n');
  },
  async run({ output, signal, strategy }, [given], options) {
    const where = {
      repository: options.repository as string | undefined,
      note: (line: string) => output.note(line),
    };
    const shown = await show(await strategy(), given as string, where, signal);
    output.result(shown, () => lines(shown));
    return shown.damagedPacks > 0 || shown.damagedIn.length > 0 ? EXIT.fault : EXIT.done;
  },
};

function* lines(shown: Shown): Iterable<string> {
  const { source, counts, largeObjects, roles, storedBytesBy } = shown;
  const at = source.provider === 'selfHosted' ? '' : ` (${source.provider})`;
  const passwords = shown.scope.rolePasswords ? 'with' : 'without';
  const facts: [string, string][] = [
    ['snapshot', shown.snapshot],
    ['database', shown.plan === null ? shown.database : `${shown.database}, plan ${shown.plan}`],
    ['repository', describePlaces(shown)],
    ...(shown.damagedPacks === 0 ? [] : [describeDamage(shown)]),
    ...(shown.damagedIn.length === 0 ? [] : [describeElsewhere(shown)]),
    ['taken', `${formatTime(shown.started)} to ${formatTime(shown.finished)}`],
    [
      'source',
      `${source.database} on ${source.host}${at}, PostgreSQL ${source.serverVersion}, ${source.encoding}`,
    ],
    ['scope', describeScope(shown.scope)],
    ...shown.holds.map((hold): [string, string] => ['hold', describeHold(hold)]),
    ['base', shown.base ?? 'none'],
    ['made by', `tidemark ${shown.tool}, pg_dump ${shown.pgDump}`],
    ['rows', `${formatCount(counts.rows)} in ${formatCount(counts.tables)} tables`],
    [
      'bytes',
      `${formatBytes(counts.bytesRead)} read, ${formatBytes(counts.bytesAdded)} added to the repository`,
    ],
    ['roles', `${roles.length}, ${passwords} passwords`],
    [
      'objects',
      Object.entries(shown.objects)
        .map(([kind, count]) => `${count} ${kind}`)
        .join(', ') || 'none',
    ],
  ];
  for (const [name, text] of facts) yield `${name.padEnd(12)}${text}`;
  yield '';
  const rows = shown.tables.map(each => [
    quoteQualified(each.schema, each.name),
    formatCount(each.rows),
    formatBytes(each.bytes),
    `~ ${formatBytes(each.storedBytes)}`,
  ]);
  if (largeObjects.count > 0) {
    const { count, bytes, storedBytes } = largeObjects;
    rows.push(['large objects', formatCount(count), formatBytes(bytes), `~ ${formatBytes(storedBytes)}`]);
  }
  if (rows.length === 0) yield 'no rows: only definitions';
  else yield* table([['table', 'rows', 'plain', 'stored'], ...rows], new Set([1, 2, 3]));
  if (storedBytesBy === 'ratio') yield 'stored: estimated from the compression of a sample of its packs';
}

function describeDamage({ damagedPacks, snapshot, repository }: Shown): [string, string] {
  const which = `see tidemark verify ${snapshot} --repository ${repository}`;
  return ['DAMAGED', `${formatCount(damagedPacks)} packs that it needs are damaged or missing; ${which}`];
}

function describeElsewhere({ damagedIn, snapshot }: Shown): [string, string] {
  return [
    'DAMAGED',
    `in ${damagedIn.join(', ')}; see tidemark verify ${snapshot} --repository ${damagedIn[0]}`,
  ];
}

function describeHold(hold: Shown['holds'][number]): string {
  const { id, since, by, expired, repository } = hold;
  const placed = since === null ? '' : `, placed ${formatTime(since)} by ${by}`;
  return `${expired ? 'expired, was ' : ''}${holdText(hold)}${placed} (hold ${id} in ${repository})`;
}

function describePlaces({ repository, repositories, copied }: Shown): string {
  const others = repositories.filter(name => name !== repository);
  const also = others.length > 0 ? `, also in ${others.join(', ')}` : '';
  const from = copied
    ? `, copied ${formatTime(copied.at)} from the repository ${copied.from.slice(0, 8)}…`
    : '';
  return `${repository}${also}${from}`;
}

function describeScope({ tables, excludeTables, schemaOnly, dataOnly }: Shown['scope']): string {
  const parts = [
    tables.length > 0 ? `only ${tables.join(', ')}` : '',
    excludeTables.length > 0 ? `without ${excludeTables.join(', ')}` : '',
    schemaOnly ? 'definitions only' : '',
    dataOnly ? 'rows only' : '',
  ].filter(part => part !== '');
  return parts.join('; ') || 'everything';
}
