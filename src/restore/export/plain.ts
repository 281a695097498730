/**
 * A SQL script as `pg_restore --file` writes it, for psql (with ON_ERROR_STOP and in one transaction too, if the
 * objects allow it). Line by line what pg_restore would write, apart from the key.
 *
 * The script puts psql into restricted mode, as pg_dump does since August 2025 (CVE-2025-8714): nothing that came from
 * the database can run a meta-command on the machine that loads it. An older psql doesn't know `\restrict` and stops.
 */
import { randomBytes } from 'node:crypto';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { restorePass } from '../../postgres/archive/passes.ts';
import {
  accessMethodStatement,
  type EntrySession,
  entryGroups,
  entrySession,
  hasStandardStrings,
  isWanted,
  sessionPreamble,
  tablespaceStatement,
} from '../../postgres/archive/statements.ts';
import { gzipStream, through } from './compress.ts';
import { encode, selectedEntries } from './entries.ts';
import type { ExportInput, FileFormat } from './format.ts';
import { largeObjects } from './largeObjects.ts';
import { END_OF_ROWS, rowsOf } from './rows.ts';

/** Bytes a lowrite() gets at once (LOBBUFSIZE in pg_backup_archiver.h). */
const LARGE_OBJECT_BYTES = 16 * 1024;
/** INV_WRITE in libpq-fs.h. */
const LARGE_OBJECT_WRITE = 0x20000;
const RESTRICT_KEY_BYTES = 32;

export const plain: FileFormat = {
  name: 'plain',
  summary: 'an SQL script for psql',
  shape: 'file',
  async write(input, sink) {
    for await (const bytes of plainScript(input)) await sink.write(bytes);
  },
};

export const plainGzip: FileFormat = {
  name: 'plain.gz',
  summary: 'an SQL script for psql, compressed by gzip',
  shape: 'file',
  async write(input, sink) {
    for await (const bytes of through(plainScript(input), gzipStream())) await sink.write(bytes);
  },
};

export async function* plainScript(input: ExportInput): AsyncGenerator<Buffer> {
  const { archive } = input;
  const { serverVersion, dumpVersion } = archive.header;
  // Letters and digits alone, so that no shell or psql sees more in it than a word.
  const key = randomBytes(RESTRICT_KEY_BYTES).toString('hex');
  const versions = [
    ...(serverVersion ? [`-- Dumped from database version ${oneLine(serverVersion)}\n`] : []),
    ...(dumpVersion ? [`-- Dumped by pg_dump version ${oneLine(dumpVersion)}\n`] : []),
  ];
  yield encode(archive, `--\n-- PostgreSQL database dump\n--\n\n\\restrict ${key}\n\n${versions.join('')}\n`);
  yield encode(archive, `${sessionPreamble(archive).join('\n')}\n\n`);
  const session: EntrySession = { tablespace: null, tableAccessMethod: null };
  const entries = selectedEntries(input).filter(entry => isWanted(entry, input.statements));
  for (const pass of ['MAIN', 'ACL', 'POST_ACL']) {
    for (const entry of entries) if (restorePass(entry) === pass) yield* entryScript(input, entry, session);
  }
  yield encode(archive, `--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict ${key}\n\n`);
}

async function* entryScript(
  input: ExportInput,
  entry: ArchiveEntry,
  session: EntrySession,
): AsyncGenerator<Buffer> {
  if (!entry.defn && !entry.hasData) return;
  const { archive, statements } = input;
  const groups = entryGroups(archive, entry, statements).map(group => `${group.join('\n')}\n\n`);
  const settings = changeSession(session, entrySession(entry, statements));
  yield encode(archive, settings + entryComment(input, entry) + groups.join(''));
  if (!entry.hasData) return;
  if (entry.desc === 'BLOBS') yield* largeObjectScript(input, entry);
  else {
    yield encode(archive, entry.copyStmt ?? '');
    yield* rowsOf(input, entry);
    yield END_OF_ROWS;
  }
}

/** Sets what an entry needs and the session hasn't yet. */
function changeSession(session: EntrySession, wanted: EntrySession): string {
  let sql = '';
  if (wanted.tablespace !== null && wanted.tablespace !== session.tablespace) {
    session.tablespace = wanted.tablespace;
    sql += `${tablespaceStatement(wanted.tablespace)}\n\n`;
  }
  if (wanted.tableAccessMethod !== null && wanted.tableAccessMethod !== session.tableAccessMethod) {
    session.tableAccessMethod = wanted.tableAccessMethod;
    sql += `${accessMethodStatement(wanted.tableAccessMethod)}\n\n`;
  }
  return sql;
}

function entryComment(input: ExportInput, entry: ArchiveEntry): string {
  const { statements } = input;
  const prefix = entry.hasData ? 'Data for ' : entry.desc === 'STATISTICS DATA' ? 'Statistics for ' : '';
  const schema = oneLine(entry.namespace ?? '-');
  const owner = oneLine((statements?.owner === false ? null : entry.owner) ?? '-');
  const hasTablespace = entry.tablespace && statements?.tablespaces !== false;
  const tablespace = hasTablespace ? `; Tablespace: ${oneLine(entry.tablespace!)}` : '';
  const name = oneLine(entry.tag);
  return `--\n-- ${prefix}Name: ${name}; Type: ${entry.desc}; Schema: ${schema}; Owner: ${owner}${tablespace}\n--\n\n`;
}

/** A name in a comment must not end the comment. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}

async function* largeObjectScript(input: ExportInput, entry: ArchiveEntry): AsyncGenerator<Buffer> {
  const prefix = hasStandardStrings(input.archive) ? '\\x' : '\\\\x';
  yield Buffer.from('BEGIN;\n\n');
  for await (const { oid, bytes } of largeObjects(rowsOf(input, entry))) {
    yield Buffer.from(`SELECT pg_catalog.lo_open('${oid}', ${LARGE_OBJECT_WRITE});\n`);
    for await (const piece of exactly(bytes, LARGE_OBJECT_BYTES)) {
      yield Buffer.from(`SELECT pg_catalog.lowrite(0, '${prefix}${piece.toString('hex')}');\n`);
    }
    yield Buffer.from('SELECT pg_catalog.lo_close(0);\n\n');
  }
  yield Buffer.from('COMMIT;\n\n');
}

/** The same bytes in pieces of exactly `sizeBytes`, the last one excepted. */
async function* exactly(pieces: AsyncIterable<Buffer>, sizeBytes: number): AsyncGenerator<Buffer> {
  const held = Buffer.allocUnsafe(sizeBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const copied = piece.copy(held, filled, at);
      filled += copied;
      at += copied;
      if (filled < sizeBytes) break;
      yield held;
      filled = 0;
    }
  }
  if (filled > 0) yield held.subarray(0, filled);
}
