/** The database of odd.sql on a scratch server, its archive by pg_dump and its parts by COPY, for this folder's tests. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part, PartSource } from '../../../src/capture/logical/part.ts';
import type { Archive, ArchiveEntry } from '../../../src/postgres/archive/entry.ts';
import { parseArchive } from '../../../src/postgres/archive/parse.ts';
import { quoteQualified } from '../../../src/postgres/archive/quote.ts';
import { encodeText } from '../../../src/postgres/encoding.ts';
import type { ExportInput } from '../../../src/restore/export/format.ts';
import type { ScratchServer } from './scratchServer.ts';

const LARGE_OBJECTS = `COPY (
  SELECT m.oid, piece, lo_get(m.oid, piece, 5000)
  FROM pg_largeobject_metadata m
  CROSS JOIN LATERAL (SELECT coalesce(max(pageno * 2048 + length(data)), 0) AS size FROM pg_largeobject WHERE loid = m.oid) s
  CROSS JOIN LATERAL generate_series(0, greatest(s.size - 1, 0), 5000) piece
  ORDER BY 1, 2) TO STDOUT`;

export async function createOddDatabase(server: ScratchServer): Promise<void> {
  const space = await server.mkdir('space');
  server.sql('postgres', 'CREATE ROLE alice; CREATE ROLE reader; CREATE ROLE "Bob ""the"" Ünïcode"');
  server.sql('postgres', `CREATE TABLESPACE odd_space LOCATION '${space}'`);
  server.sql('postgres', 'CREATE DATABASE source TEMPLATE template0');
  server.sql('postgres', 'ALTER DATABASE source SET work_mem = 5000');
  const script = join(import.meta.dirname, 'odd.sql');
  server.tool('psql', ['-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'source', '-f', script]);
}

/** The archive and the parts of a database, as a capture leaves them. A table's rows come in chunks of an odd size. */
export async function captureForTest(
  server: ScratchServer,
  database: string,
  chunkBytes = 8191,
): Promise<ExportInput> {
  const dump = server.toolBytes('pg_dump', ['-Fc', '-Z0', '-d', database]);
  const { archive } = parseArchive(dump);
  const folder = await server.mkdir(`parts-${database}`);
  const files = new Map<Part, string>();
  const parts = new Map<number, Part[]>();
  for (const entry of archive.entries) {
    if (!entry.hasData) continue;
    const file = join(folder, String(entry.dumpId));
    await server.copyToFile(database, copyOut(archive, entry), file);
    const { size } = await stat(file);
    const kind = entry.desc === 'BLOBS' ? 'largeObjects' : 'rows';
    const part: Part = {
      kind,
      oid: entry.oid,
      schema: '',
      table: entry.tag,
      from: 0,
      to: null,
      rows: 0,
      bytes: size,
    };
    files.set(part, file);
    parts.set(entry.dumpId, size > 0 ? [part] : []);
  }
  const source: PartSource = {
    read: part =>
      createReadStream(files.get(part)!, {
        highWaterMark: Math.max(1, Math.min(chunkBytes, Math.floor(part.bytes / 3))),
      }),
  };
  return { archive, parts: entry => parts.get(entry.dumpId) ?? [], source };
}

/** The COPY that reads what the entry's COPY loads, in the database's own encoding. */
function copyOut(archive: Archive, entry: ArchiveEntry): Buffer {
  if (entry.desc === 'BLOBS') return Buffer.from(LARGE_OBJECTS);
  const columns = /( \(.*\))? +FROM stdin;\s*$/s.exec(entry.copyStmt!)?.[1] ?? '';
  return encodeText(`COPY ${quoteQualified(entry.namespace, entry.tag)}${columns} TO STDOUT`, archive.text);
}

/**
 * A database's pg_dump without what differs from one run to the next: the key, and in which partition a row is that is
 * placed by the hash of an enum's value (its OID).
 */
export function dumpText(server: ScratchServer, database: string, options: string[] = []): string {
  return withoutKey(
    server.tool('pg_dump', ['--exclude-table-data=app.by_mood_*', ...options, '-d', database]),
  );
}

export function withoutKey(script: string): string {
  return script.replace(/^\\(un)?restrict \w+$/gm, '\\$1restrict');
}

/** Equal texts, or an error with the first lines that differ. */
export function assertSameText(actual: string, expected: string): void {
  if (actual === expected) return;
  const [left, right] = [actual.split('\n'), expected.split('\n')];
  const at = right.findIndex((line, index) => line !== left[index]);
  const around = (lines: string[]) =>
    lines.slice(Math.max(0, at - 3), at + 6).map(line => line.slice(0, 200));
  assert.deepEqual(around(left), around(right));
  assert.fail(`the texts differ from line ${at + 1}`);
}
