import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { copiedColumns } from './csv.ts';
import { csvLine, csvRows } from './csvRows.ts';
import type { ExportInput } from './format.ts';
import { largeObjects } from './largeObjects.ts';
import { rowsOf } from './rows.ts';

/** The bytes cut at every `size`. */
async function* cut(text: string | Buffer, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text as string);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  return (await buffer(pieces)).toString();
}

test('COPY text becomes CSV, wherever the chunks end', async () => {
  const rows = 'a\\tb\t\\N\t\n"q"\tx,y\t\\\\N\nl\\nm\\r\t\\\\.\tü\\b\n';
  const expected = 'a\tb,,""\n"""q""","x,y",\\N\n"l\nm\r",\\.,ü\b\n';
  for (let size = 1; size < 12; size++) assert.equal(await textOf(csvRows(cut(rows, size), 3)), expected);
  assert.equal(await textOf(csvRows(cut('\\\\.\n\\N\n\n', 1), 1)), '"\\."\n\n""\n');
  assert.equal(csvLine(['a', 'b,c', 'd"', '']), 'a,"b,c","d""",""\n');
});

test('a value longer than what is held is quoted and whole', async () => {
  const value = 'x'.repeat(3_000_000);
  assert.equal(await textOf(csvRows(cut(`1\t${value}\t2\n`, 65_536), 3)), `1,"${value}",2\n`);
});

test('columns of a COPY statement', () => {
  const entry = (copyStmt: string) => ({ copyStmt, namespace: 's', tag: 't' }) as ArchiveEntry;
  assert.deepEqual(copiedColumns(entry('COPY s.t (a, "b, ""c)", d) FROM stdin;\n')), ['a', 'b, "c)', 'd']);
  assert.deepEqual(copiedColumns(entry('COPY s."t (x)"  FROM stdin;\n')), []);
  assert.throws(() => copiedColumns(entry('')), { code: 'ARCHIVE_UNREADABLE' });
});

async function objectsOf(rows: string, size: number): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const { oid, bytes } of largeObjects(cut(rows, size))) {
    found.push([oid, (await buffer(bytes)).toString('hex')]);
  }
  return found;
}

test('large objects, wherever the chunks end', async () => {
  const rows = '1\t0\t\\\\x0102\n1\t2\t\\\\x03\n2\t0\t\\\\x\n4294967295\t0\t\\\\xff\n7\t3\t\\\\xaa\n';
  const expected = [
    ['1', '010203'],
    ['2', ''],
    ['4294967295', 'ff'],
    ['7', '000000aa'],
  ];
  for (let size = 1; size < 20; size++) assert.deepEqual(await objectsOf(rows, size), expected);
  assert.deepEqual(await objectsOf('', 1), []);
});

test('a hole is filled, and what is not read is skipped', async () => {
  const hole = 200_000;
  const rows = `1\t0\t\\\\x01\n1\t${hole}\t\\\\x02\n2\t0\t\\\\x03\n`;
  const [first] = await objectsOf(rows, 9);
  assert.equal(first![1].length / 2, hole + 1);
  assert.match(first![1], /^010+02$/);
  const oids: string[] = [];
  for await (const { oid } of largeObjects(cut(rows, 5))) oids.push(oid);
  assert.deepEqual(oids, ['1', '2']);
});

test('damaged large objects are faults', async () => {
  const damaged = [
    '1\t0\t\\\\x0',
    '1\t0\t\\\\x0\n',
    '1\t0\t\\\\xzz\n',
    '1\t0\txx\n',
    'a'.repeat(100),
    '1\t0\t\\\\x0102\n1\t1\t\\\\x03\n',
    '1',
  ];
  for (const rows of damaged) {
    for (const size of [1, 100])
      await assert.rejects(objectsOf(rows, size), { code: 'ROWS_DAMAGED', kind: 'fault' }, rows);
  }
});

test('rows that would end early are faults, wherever the chunks end', async () => {
  const read = async (rows: string, size: number) => {
    const part = { kind: 'rows', schema: 's', table: 't', from: 0, to: null, rows: 0, bytes: 0 } as const;
    const source = { read: () => cut(rows, size) };
    const input = { parts: () => [part, part], source } as unknown as ExportInput;
    return textOf(rowsOf(input, {} as ArchiveEntry));
  };
  for (let size = 1; size < 8; size++) {
    assert.equal(await read('a\\\\.\n\\\\.\n', size), 'a\\\\.\n\\\\.\n'.repeat(2));
    for (const rows of ['\\.\n', 'a\n\\.\n', 'a\n\\.\r\n\\! x\n']) {
      await assert.rejects(read(rows, size), { code: 'ROWS_DAMAGED', kind: 'fault' }, `${rows} by ${size}`);
    }
    await assert.rejects(read('a\nb', size), /end inside a row/);
  }
});
