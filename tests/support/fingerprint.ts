import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import type { ArchiveEntry } from '../../src/postgres/archive/entry.ts';
import { readArchiveHead } from '../../src/postgres/pgDump/archiveHead.ts';
import { builtIn, installedPgDumps, type PgDumpTool } from '../../src/postgres/pgDump/tool.ts';
import { quoteName, Session } from '../../src/postgres/session.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { type ClientMajor, clientPrograms } from './servers.ts';

/** Tables hashed by an enum: which partition a row is in differs between equal databases. */
const UNSETTLED = /^zoo\.by_mood_/;

export interface FingerprintOptions {
  /** Whether what defines an object counts, beside its name and owner; yes unless told. */
  definitions?: boolean;
  /** Whose pg_dump describes the objects; the WebAssembly one (18) unless told. */
  client?: ClientMajor;
}

/**
 * A database as lines that are equal for equal databases, on servers of one major version: every object as pg_dump
 * describes it, and for every table the number and a hash of its rows, whatever their order.
 */
export async function fingerprint(
  url: string,
  { definitions = true, client }: FingerprintOptions = {},
): Promise<string[]> {
  const settings = await resolveSettings({ url }, {}, homedir());
  const session = await Session.open(settings);
  try {
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const head = await readArchiveHead({
      session,
      args: [],
      tool: client === undefined ? builtIn()[0] : await pgDumpTool(client),
    });
    const lines = head.archive.entries
      .filter(entry => !entry.desc.startsWith('DATABASE') && !entry.tag.startsWith('DATABASE '))
      .map(entry => describe(entry, definitions));
    for (const entry of head.archive.entries)
      if (entry.desc === 'TABLE DATA') lines.push(await rowsOf(session, entry));
    lines.push(await largeObjects(session));
    return lines.sort();
  } finally {
    await session.close();
  }
}

/** The pg_dump of that version. */
export async function pgDumpTool(major: ClientMajor): Promise<PgDumpTool> {
  const folder = clientPrograms(major);
  return (await installedPgDumps({ PATH: folder })).find(tool => tool.path.startsWith(folder))!;
}

function describe(entry: ArchiveEntry, definitions: boolean): string {
  const name = [entry.desc, entry.namespace, entry.tag, entry.owner].join(' | ');
  if (!definitions) return name;
  // A child whose columns were in another order than its parents' gets theirs in any restore, so order is left out.
  const definition = entry.desc === 'TABLE' ? sortedLines(entry.defn ?? '') : entry.defn;
  return [name, entry.tablespace, entry.tableam, definition, columns(entry)].join(' | ');
}

function sortedLines(text: string): string {
  return text.replace(/,$/gm, '').split('\n').sort().join('\n');
}

async function rowsOf(session: Session, entry: ArchiveEntry): Promise<string> {
  const name = `${entry.namespace}.${entry.tag}`;
  if (UNSETTLED.test(name)) return `ROWS OF ${name.replace(/_\d+$/, '')}`;
  let count = 0;
  let sum = 0n;
  let row: Buffer[] = [];
  await session.run(
    "SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET bytea_output = hex; SET extra_float_digits = 3; SET row_security = off",
  );
  await session.copyOut(
    `COPY ${quoteName(entry.namespace!)}.${quoteName(entry.tag)}${columns(entry)} TO STDOUT`,
    {
      append: (buffer, from, to) => void row.push(Buffer.from(buffer.subarray(from, to))),
      endRow() {
        sum += createHash('sha256').update(Buffer.concat(row)).digest().readBigUInt64LE();
        row = [];
        count++;
      },
    },
  );
  return `ROWS OF ${name}: ${count} ${(sum & 0xffffffffffffffffn).toString(16)}`;
}

/** The columns of the rows, sorted. */
function columns(entry: ArchiveEntry): string {
  const listed = /^COPY .*? \((.*)\) FROM stdin;\n$/s.exec(entry.copyStmt ?? '')?.[1];
  return listed ? ` (${(listed.match(/"(?:[^"]|"")*"|[^", ]+/g) ?? []).sort().join(', ')})` : '';
}

async function largeObjects(session: Session): Promise<string> {
  const rows = await session.query(
    'select oid, md5(lo_get(oid)) as hash from pg_largeobject_metadata order by oid',
  );
  return `LARGE OBJECTS ${rows.map(row => `${row.oid}:${row.hash}`).join(' ')}`;
}

/** The first lines that differ between two texts, or '' if none does. */
export function difference(expected: string | string[], actual: string | string[]): string {
  const lines = (text: string | string[]) => (typeof text === 'string' ? text.split('\n') : text);
  const [left, right] = [lines(expected), lines(actual)];
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  const missing = left.filter(line => !inRight.has(line)).slice(0, 12);
  const added = right.filter(line => !inLeft.has(line)).slice(0, 12);
  if (missing.length + added.length > 0)
    return [...missing.map(line => `- ${line}`), ...added.map(line => `+ ${line}`)].join('\n');
  const at = left.findIndex((line, i) => line !== right[i]);
  return at === -1 && left.length === right.length ? '' : `line ${at + 1}: order or number differs`;
}
