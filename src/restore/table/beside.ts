import { type TidemarkError, usageError } from '../../base/errors.ts';
import { Belongings } from '../../postgres/archive/belongs.ts';
import {
  alterationOf,
  type CreateTable,
  columnOf,
  elementKey,
  readCreateTable,
  renameWholeRow,
  staysBehind,
} from '../../postgres/archive/createTable.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { quoteQualified, readQualified } from '../../postgres/archive/quote.ts';
import type { TableTarget } from './target.ts';

/** Bytes of a name in PostgreSQL (NAMEDATALEN less its end). */
const NAME_BYTES = 63;

/**
 * The statements that make a table under another name in its own schema: all its columns, inherited ones too, with their
 * types, storage and such defaults as belong to its definition, and its checks; no keys, indexes, triggers, identity,
 * serial defaults or privileges, whose names are taken. A partitioned table becomes a plain one.
 */
export function besideTable(archive: Archive, table: ArchiveEntry, name: string): string[] {
  const belongings = new Belongings(archive.entries);
  const own = table.desc === 'TABLE' ? definitionOf(belongings, table) : null;
  if (!own) throw unsupported(table, 'is no table that has rows of its own');
  const definitions = withParents(belongings, archive, table, own);
  const elements = new Map<string, string>();
  for (const [at, definition] of definitions.entries()) {
    for (const element of definition.elements) {
      if (at < definitions.length - 1 && staysBehind(element)) continue;
      elements.set(elementKey(element), renameWholeRow(element, table.tag, name));
    }
  }
  const all = [...elements.values()];
  const columns = all.filter(element => columnOf(element) !== null);
  const lines = [...columns, ...all.filter(element => columnOf(element) === null)];
  const to = quoteQualified(table.namespace, name);
  const head = `CREATE ${own.unlogged ? 'UNLOGGED ' : ''}TABLE ${to}${own.type === null ? ' ' : ` OF ${own.type} `}`;
  const list = own.type !== null && lines.length === 0 ? '' : `(\n    ${lines.join(',\n    ')}\n)`;
  return [
    `${head}${list}${own.options === null ? '' : `\n${own.options}`};\n`,
    ...definitions.flatMap(({ alterations }) => alterations.map(each => `ALTER TABLE ONLY ${to} ${each}\n`)),
  ];
}

/** The statement that loads rows of one table into another. */
export function besideCopy(data: ArchiveEntry, to: string): string {
  const from = readQualified(data.copyStmt ?? '', 'COPY '.length);
  if (!from) throw unsupported(data, 'was not dumped by COPY');
  return `COPY ${to}${data.copyStmt!.slice(from.end)}`;
}

/** With the defaults that pg_dump says by themselves, but those of sequences. */
function definitionOf(belongings: Belongings, table: ArchiveEntry): CreateTable | null {
  const definition = readCreateTable(table.defn ?? '');
  if (!definition) return null;
  const defaults = belongings
    .partsOf(table.dumpId)
    .filter(
      part =>
        part.desc === 'DEFAULT' && belongings.dependenciesOf(part).every(({ desc }) => desc !== 'SEQUENCE'),
    );
  const alterations = defaults.flatMap(({ defn }) => alterationOf(defn ?? ''));
  return { ...definition, alterations: [...definition.alterations, ...alterations] };
}

/** The definitions of all tables that a table inherits from, the farthest first, and its own last. */
function withParents(
  belongings: Belongings,
  archive: Archive,
  table: ArchiveEntry,
  own: CreateTable,
): CreateTable[] {
  const above = own.parents.flatMap(([schema, name]) => {
    const parent = archive.entries.find(
      entry => entry.desc === 'TABLE' && entry.namespace === schema && entry.tag === name,
    );
    const definition = parent && definitionOf(belongings, parent);
    if (!definition)
      throw unsupported(
        table,
        `inherits from ${quoteQualified(schema ?? null, name!)}, which the snapshot lacks`,
      );
    return withParents(belongings, archive, parent, definition);
  });
  return [...above, own];
}

function unsupported(table: ArchiveEntry, why: string): TidemarkError {
  return usageError(
    'BESIDE_UNSUPPORTED',
    `${table.desc} ${quoteQualified(table.namespace, table.tag)} ${why}, so it can't be restored under another name`,
    'restore it into a new database: --new NAME',
  );
}

/**
 * The name that --as gives: taken as it is written, or in double quotes. Refuses one that PostgreSQL would cut, that is
 * the table's own, or that is there.
 */
export async function besideName(target: TableTarget, table: ArchiveEntry, given: string): Promise<string> {
  const quoted = /^"((?:[^"]|"")*)"$/.exec(given)?.[1];
  const name = quoted?.replaceAll('""', '"') ?? given;
  if (quoted === undefined && name.includes('.')) {
    throw usageError(
      'BESIDE_NAME',
      `--as ${given} names a schema; the table comes into its own schema ${table.namespace}`,
      `give the name alone; in double quotes if a dot is part of it: --as '"${name}"'`,
    );
  }
  if (name === table.tag) {
    throw usageError('BESIDE_NAME', `--as ${given} is the table's own name`, 'give another name');
  }
  const entry = { ...table, tag: name };
  const bytes = await target.bytesOf(name);
  if (bytes > NAME_BYTES) {
    throw usageError(
      'BESIDE_NAME',
      `--as ${given} has ${bytes} bytes, and a name at most ${NAME_BYTES}`,
      'give a shorter name',
    );
  }
  if ((await target.existing([entry])).length > 0) {
    throw usageError(
      'BESIDE_EXISTS',
      `${quoteQualified(table.namespace, name)} is there already`,
      'give another name, or drop it first',
    );
  }
  return name;
}
