import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TidemarkError } from '../../base/errors.ts';
import { decodeText } from '../encoding.ts';
import type { Archive, ArchiveEntry } from './entry.ts';
import {
  ArchiveReader,
  COMPRESSIONS,
  IncompleteArchive,
  OFFSET_STATES,
  parseArchive,
  SECTIONS,
} from './parse.ts';
import { writeArchive } from './write.ts';

const int = fc.integer({ min: -0x7fffffff, max: 0x7fffffff });
const textOf: Record<string, fc.Arbitrary<string>> = {
  UTF8: fc.string({ unit: 'grapheme' }),
  LATIN1: fc.string({ unit: latin1Character() }),
  EUC_JP: bytesIn('EUC_JP'),
  SQL_ASCII: bytesIn('SQL_ASCII'),
};

function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

function latin1Character(): fc.Arbitrary<string> {
  return fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code));
}

function bytesIn(encoding: string): fc.Arbitrary<string> {
  return fc.uint8Array().map(bytes => decodeText(Buffer.from(bytes), encoding));
}

function entryOf(minor: number, text: fc.Arbitrary<string>): fc.Arbitrary<ArchiveEntry> {
  const optional = fc.option(text);
  return plain({
    dumpId: fc.integer({ min: 1, max: 0x7fffffff }),
    hasData: fc.boolean(),
    tableOid: text,
    oid: text,
    tag: text,
    desc: fc.constantFrom('TABLE', 'TABLE DATA', 'BLOBS', 'ACL'),
    section: fc.constantFrom(...SECTIONS),
    defn: optional,
    dropStmt: optional,
    copyStmt: optional,
    namespace: optional,
    tablespace: optional,
    tableam: optional,
    relkind: minor === 16 ? fc.constantFrom('', 'r', 'p', 'v') : fc.constant(''),
    owner: optional,
    dependencies: fc.array(int),
    offset: plain({
      state: fc.constantFrom(...OFFSET_STATES),
      position: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
  });
}

function archiveOf(minor: number, text: Archive['text']): fc.Arbitrary<Archive> {
  const string = fc.option(textOf[text]!);
  const created = { sec: int, min: int, hour: int, mday: int, mon: int, year: int, isdst: int };
  return fc
    .record({
      header: plain({
        version: plain({ major: fc.constant(1), minor: fc.constant(minor), revision: fc.nat(255) }),
        intSize: fc.constant(4),
        offsetSize: fc.constant(8),
        format: fc.constant(1),
        compression: fc.constantFrom(...COMPRESSIONS.slice(0, minor === 14 ? 2 : 4)),
        created: plain(created),
        database: string,
        serverVersion: string,
        dumpVersion: string,
      }),
      encoding: entryOf(minor, fc.constant('')),
      rest: fc.array(entryOf(minor, textOf[text]!), { maxLength: 5 }),
    })
    .map(({ header, encoding, rest }) => {
      const first = { ...encoding, desc: 'ENCODING', defn: `SET client_encoding = '${text}';\n` };
      return { header, entries: [first, ...rest], text };
    });
}

const anyArchive = fc
  .tuple(fc.constantFrom(14, 15, 16), fc.constantFrom(...Object.keys(textOf)))
  .chain(([minor, text]) => archiveOf(minor, text));

const sample = (minor: number): Archive =>
  fc
    .sample(archiveOf(minor, 'UTF8'), { seed: 7, numRuns: 50 })
    .sort((a, b) => b.entries.length - a.entries.length)[0]!;

function assertRefused(bytes: Buffer): void {
  try {
    parseArchive(bytes);
  } catch (error) {
    assert.ok(error instanceof TidemarkError, String(error));
  }
}

test('what is written is read again, and written again the same', () => {
  fc.assert(
    fc.property(anyArchive, fc.uint8Array(), (archive, rest) => {
      const bytes = writeArchive(archive);
      const parsed = parseArchive(Buffer.concat([bytes, rest]));
      assert.equal(parsed.length, bytes.length);
      assert.ok(writeArchive(parsed.archive).equals(bytes));
      assert.equal(parsed.archive.entries.length, archive.entries.length);
      assert.deepEqual(parsed.archive.entries, archive.entries);
    }),
  );
});

test('an archive cut at any byte is incomplete', () => {
  for (const minor of [14, 15, 16]) {
    const bytes = writeArchive(sample(minor));
    for (let size = 0; size < bytes.length; size++) {
      assert.throws(() => parseArchive(bytes.subarray(0, size)), IncompleteArchive);
    }
  }
});

test('a stream cut anywhere gives the same archive', () => {
  fc.assert(
    fc.property(anyArchive, fc.integer({ min: 1, max: 40 }), (archive, size) => {
      const bytes = writeArchive(archive);
      const stream = Buffer.concat([bytes, Buffer.alloc(100, 1)]);
      const reader = new ArchiveReader();
      for (let at = 0; ; at += size) {
        const read = reader.push(stream.subarray(at, at + size));
        if (read === null) continue;
        assert.ok(at + size >= bytes.length && at < bytes.length);
        assert.ok(read.bytes.equals(bytes));
        assert.deepEqual(read.archive, parseArchive(bytes).archive);
        return;
      }
    }),
  );
});

test('changed bits give an archive or an error, and soon', () => {
  const bytes = writeArchive(sample(16));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      changes => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        assertRefused(changed);
      },
    ),
    { numRuns: 2000 },
  );
});

test('random bytes behind the magic are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), tail => {
      assertRefused(Buffer.concat([Buffer.from('PGDMP\x01\x10\x00\x04\x08\x01\x00', 'latin1'), tail]));
    }),
  );
  assert.throws(() => parseArchive(Buffer.from('--\n-- PostgreSQL')), { code: 'ARCHIVE_INVALID' });
  assert.throws(() => parseArchive(Buffer.from('PGDMP\x01\x0d\x00', 'latin1')), { code: 'ARCHIVE_INVALID' });
  assert.throws(() => parseArchive(Buffer.from('PGD')), IncompleteArchive);
});

test('another version holds the same entries, or is refused', () => {
  const entry = (change: Partial<ArchiveEntry>): ArchiveEntry => ({ ...sample(16).entries[1]!, ...change });
  const archive = { ...sample(16), entries: [entry({ desc: 'TABLE', relkind: 'r', tableam: 'heap' })] };
  archive.header.compression = 'none';
  for (const minorVersion of [14, 15] as const) {
    const older = parseArchive(writeArchive(archive, { format: 'custom', minorVersion })).archive;
    assert.equal(older.header.version.minor, minorVersion);
    assert.deepEqual(older.entries, [{ ...archive.entries[0]!, relkind: '' }]);
    const lossy = [
      { ...archive, entries: [entry({ relkind: 'p', tableam: 'heap' })] },
      { ...archive, entries: [entry({ desc: 'BLOB METADATA' })] },
    ];
    for (const each of lossy) {
      assert.throws(() => writeArchive(each, { format: 'custom', minorVersion }), {
        code: 'ARCHIVE_VERSION_LOSSY',
      });
    }
  }
  const zstd: Archive = { ...archive, header: { ...archive.header, compression: 'zstd' } };
  assert.throws(() => writeArchive(zstd, { format: 'custom', minorVersion: 14 }), {
    code: 'ARCHIVE_VERSION_LOSSY',
  });
});

test('zlib levels of 1.14 are kept', () => {
  const archive = sample(14);
  for (const compressionLevel of [-1, 0, 1, 9]) {
    const header = {
      ...archive.header,
      compressionLevel,
      compression: compressionLevel === 0 ? ('none' as const) : ('gzip' as const),
    };
    const bytes = writeArchive({ ...archive, header });
    assert.ok(writeArchive(parseArchive(bytes).archive).equals(bytes));
    assert.equal(parseArchive(bytes).archive.header.compression, header.compression);
  }
});
