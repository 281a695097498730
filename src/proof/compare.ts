import { hash } from 'node:crypto';
import { Session } from '../postgres/session.ts';
import type { ConnectionSettings } from '../postgres/settings/connectionSettings.ts';
import { sqlFile } from '../postgres/sqlFile.ts';

/** Rows of a table: how many, and the sum of their hashes, which no order of rows changes. */
export interface TableDigest {
  name: string;
  rows: number;
  bytes: number;
  digest: string;
}

export interface Difference {
  name: string;
  expected: TableDigest | undefined;
  found: TableDigest | undefined;
}

/** Settings under which equal values have equal text, whatever the database's or the role's own settings are. */
const EXACT_TEXT = [
  "SET client_encoding = 'UTF8'",
  'SET DateStyle = ISO',
  'SET IntervalStyle = postgres',
  "SET TimeZone = 'UTC'",
  'SET extra_float_digits = 3',
  'SET bytea_output = hex',
  "SET lc_monetary = 'C'",
  'SET row_security = off',
  'SET statement_timeout = 0',
  "SELECT pg_catalog.set_config('search_path', '', false)",
].join('; ');

/** Every table's digest, all read under one snapshot. */
export async function digestDatabase(settings: ConnectionSettings): Promise<TableDigest[]> {
  const session = await Session.open(settings, 'tidemark proof');
  try {
    await session.run(EXACT_TEXT);
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const digests: TableDigest[] = [];
    for (const { name, columns } of await session.query(sqlFile('comparable_tables'))) {
      digests.push(await digestTable(session, name!, columns!));
    }
    return digests;
  } finally {
    await session.close();
  }
}

async function digestTable(session: Session, name: string, columns: string): Promise<TableDigest> {
  const sums = new Uint32Array(8);
  let pieces: Buffer[] = [];
  let bytes = 0;
  const rows = await session.copyOut(`COPY ${name}${columns ? ` (${columns})` : ''} TO STDOUT`, {
    append(buffer, from, to) {
      bytes += to - from;
      pieces.push(Buffer.from(buffer.subarray(from, to)));
    },
    endRow() {
      const digest = hash('sha256', pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), 'buffer');
      for (let i = 0; i < 8; i++) sums[i]! += digest.readUInt32LE(i * 4);
      pieces = [];
    },
  });
  return { name, rows, bytes, digest: Buffer.from(sums.buffer).toString('hex') };
}

/** Tables that are not the same in both; an empty list means that nothing differs. */
export function compareDigests(
  expected: readonly TableDigest[],
  found: readonly TableDigest[],
): Difference[] {
  const byName = new Map(found.map(table => [table.name, table]));
  const names = new Set([...expected.map(table => table.name), ...byName.keys()]);
  const wanted = new Map(expected.map(table => [table.name, table]));
  return [...names]
    .map(name => ({ name, expected: wanted.get(name), found: byName.get(name) }))
    .filter(each => each.expected?.digest !== each.found?.digest || each.expected?.rows !== each.found?.rows);
}
