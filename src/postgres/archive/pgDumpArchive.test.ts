/** Archives of the stock pg_dump and pg_restore 15. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { clientTool, freshDatabase, query } from '../../../tests/support/databases.ts';
import { server } from '../../../tests/support/servers.ts';
import type { ArchiveEntry } from './entry.ts';
import { ArchiveReader, IncompleteArchive, parseArchive } from './parse.ts';
import { writeArchive } from './write.ts';

const ODD_SQL = readFileSync(
  path.join(import.meta.dirname, '../../../tests/support/odd/archive.sql'),
  'utf8',
);
const CREATED_START = 16;
const CREATED_END = 51;

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tidemark-archive-'));
  const { url } = await server(15);
  await query(url(), 'CREATE ROLE odd_reader');
});
after(() => rm(folder, { recursive: true }));

async function oddDatabase(encoding: string, more: string) {
  const database = await freshDatabase(await server(15), undefined, { encoding, locale: 'C' });
  await query(database.url, ODD_SQL);
  await query(database.url, more);
  return database;
}

async function dump(url: string, args: string[]): Promise<string> {
  const file = path.join(folder, `dump-${Math.random()}`);
  await clientTool('pg_dump', ['-d', url, '--no-sync', '-f', file, ...args]);
  return file;
}

function assertInverse(bytes: Buffer): ArchiveEntry[] {
  const { archive, length } = parseArchive(bytes);
  assert.ok(writeArchive(archive).equals(bytes.subarray(0, length)));
  return archive.entries;
}

const fileName = (entry: ArchiveEntry): string =>
  entry.desc === 'BLOBS' ? 'blobs.toc' : entry.hasData ? `${entry.dumpId}.dat` : '';

test('every encoding: read and written again byte for byte', async () => {
  const cases = [
    ['UTF8', 'CREATE TABLE "täble 表 🐘" ("spalté" int)', 'täble 表 🐘'],
    ['LATIN1', 'CREATE TABLE "täble" ("spalté" int)', 'täble'],
    [
      'SQL_ASCII',
      `DO $$ BEGIN EXECUTE 'CREATE TABLE "' || chr(255) || chr(192) || '" ()'; END $$`,
      '\udcff\udcc0',
    ],
    ['EUC_JP', 'CREATE TABLE "あ" ()', 'あ'],
  ] as const;
  for (const [encoding, sql, name] of cases) {
    const database = await oddDatabase(encoding, sql);
    for (const args of [
      ['-Fc'],
      ['-Fc', '-Z0'],
      ['-Fc', '-Z9', '--inserts'],
      ['-Fc', '--schema-only', '-C'],
    ]) {
      const bytes = readFileSync(await dump(database.url, args));
      const entries = assertInverse(bytes);
      assert.equal(parseArchive(bytes).archive.text, encoding);
      assert.ok(entries.some(entry => entry.desc === 'TABLE' && entry.tag === name));
    }
    await database.drop();
  }
});

test('entries hold what pg_dump says', async () => {
  const database = await oddDatabase('UTF8', '');
  const { archive } = parseArchive(readFileSync(await dump(database.url, ['-Fc', '-Z0'])));
  assert.deepEqual(archive.header.version, { major: 1, minor: 14, revision: 0 });
  assert.equal(archive.header.database, database.name);
  const find = (desc: string, tag: string) => archive.entries.find(e => e.desc === desc && e.tag === tag)!;
  const table = find('TABLE', 'a\nb');
  const data = find('TABLE DATA', 'a\nb');
  assert.equal(data.copyStmt, 'COPY "Odd ""schema"""."a\nb" (id, "x""y", "%s") FROM stdin;\n');
  assert.equal(data.namespace, 'Odd "schema"');
  assert.equal(data.section, 'data');
  assert.equal(data.offset.state, 'set');
  assert.ok(data.dependencies.includes(table.dumpId));
  assert.equal(table.offset.state, 'no-data');
  assert.equal(find('TABLE', 'empty').tableam, 'heap');
  assert.match(find('SEQUENCE SET', 'counter').defn!, /setval\('public.counter', 5, true\)/);
  assert.ok(find('BLOBS', 'BLOBS').hasData);
  await database.drop();
});

test('an archive cut at any byte is incomplete, and a reader takes it byte by byte', async () => {
  const database = await freshDatabase(await server(15));
  await query(database.url, 'CREATE TABLE t (n int); INSERT INTO t VALUES (1)');
  const bytes = readFileSync(await dump(database.url, ['-Fc']));
  const { length } = parseArchive(bytes);
  const reader = new ArchiveReader();
  for (let size = 0; size < length; size++) {
    assert.throws(() => parseArchive(bytes.subarray(0, size)), IncompleteArchive);
    const read = reader.push(bytes.subarray(size, size + 1));
    assert.equal(read !== null, size === length - 1);
  }
  await database.drop();
});

test("a directory's table of contents is pg_dump's own", async () => {
  const database = await oddDatabase('UTF8', '');
  const custom = parseArchive(readFileSync(await dump(database.url, ['-Fc', '-Z0']))).archive;
  const directory = path.join(await dump(database.url, ['-Fd', '-Z0']), 'toc.dat');
  const expected = readFileSync(directory);
  const written = writeArchive(custom, { format: 'directory', fileName });
  expected.copy(written, CREATED_START, CREATED_START, CREATED_END); // the time of the dump
  assert.ok(written.equals(expected));
  await writeFile(directory, written);
  const listed = await clientTool('pg_restore', ['-l', path.dirname(directory)]);
  assert.match(listed, /TABLE DATA public measured_2025 postgres/);
  await database.drop();
});

test('pg_restore reads what was written, with the data behind it', async () => {
  const database = await oddDatabase('UTF8', '');
  const file = await dump(database.url, ['-Fc', '-Z0']);
  const bytes = readFileSync(file);
  const { archive, length } = parseArchive(bytes);
  const copy = path.join(folder, 'copy.dump');
  await writeFile(copy, Buffer.concat([writeArchive(archive), bytes.subarray(length)]));
  const restrict = /^\\(un)?restrict .*$/gm;
  const [one, other] = await Promise.all(
    [file, copy].map(each => clientTool('pg_restore', ['-f', '-', each])),
  );
  assert.equal(one!.replace(restrict, ''), other!.replace(restrict, ''));
  await database.drop();
});
