import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive, ArchiveEntry } from './entry.ts';
import { quoteIdentifier, readQualified } from './quote.ts';
import { entryStatements, isWanted, sessionPreamble } from './statements.ts';

/** An entry as version 1.16 has it; what pg_dump 15 writes is tested with the tools themselves (restore/export). */
function entry(fields: Partial<ArchiveEntry>): ArchiveEntry {
  return {
    dumpId: 1,
    hasData: false,
    tableOid: '0',
    oid: '0',
    tag: 't',
    desc: 'TABLE',
    section: 'pre-data',
    defn: null,
    dropStmt: null,
    copyStmt: null,
    namespace: null,
    tablespace: null,
    tableam: null,
    relkind: '',
    owner: null,
    dependencies: [],
    offset: { state: 'no-data', position: 0n },
    ...fields,
  };
}

function archive(entries: ArchiveEntry[], dumpVersion = '17.4'): Archive {
  const created = { sec: 0, min: 0, hour: 0, mday: 1, mon: 0, year: 126, isdst: 0 };
  const version = { major: 1, minor: 16, revision: 0 };
  const common = {
    intSize: 4,
    offsetSize: 8,
    format: 1,
    compression: 'none' as const,
    created,
    database: 'd',
  };
  return { header: { version, ...common, serverVersion: '17.4', dumpVersion }, entries, text: 'UTF8' };
}

test('a partitioned table gets its access method by ALTER, any other by a setting', () => {
  const fields = {
    defn: 'CREATE TABLE …;\n',
    dropStmt: 'DROP TABLE s."T";\n',
    namespace: 's',
    tag: 'T',
    owner: 'user',
  };
  const partitioned = entry({ ...fields, tablespace: '', tableam: 'heap', relkind: 'p' });
  assert.deepEqual(entryStatements(archive([partitioned]), partitioned), [
    "SET default_tablespace = '';",
    'CREATE TABLE …;\n',
    'ALTER TABLE s."T" OWNER TO "user";',
    'ALTER TABLE s."T" SET ACCESS METHOD heap;',
  ]);
  const plain = entry({ ...fields, tablespace: 'fast', tableam: 'heap', relkind: 'r' });
  assert.deepEqual(entryStatements(archive([plain]), plain, { owner: false }), [
    'SET default_tablespace = fast;',
    'SET default_table_access_method = heap;',
    'CREATE TABLE …;\n',
  ]);
  const bare = { tablespaces: false, tableAccessMethods: false, owner: false };
  assert.deepEqual(entryStatements(archive([partitioned]), partitioned, bare), ['CREATE TABLE …;\n']);
});

test('lists of large objects become one statement an object, their privileges too', () => {
  const metadata = entry({
    dumpId: 7,
    desc: 'BLOB METADATA',
    tag: '16..18',
    defn: '16\n18\n',
    dropStmt: '16..18',
    owner: 'Al',
  });
  const acl = entry({
    dumpId: 8,
    desc: 'ACL',
    tag: 'LARGE OBJECTS 16..18',
    dependencies: [7],
    defn: 'REVOKE ALL ON LARGE OBJECT 16 FROM "a;LARGE OBJECT 16""";\nGRANT SELECT ON LARGE OBJECT 16 TO bob;\n',
  });
  const whole = archive([metadata, acl]);
  assert.deepEqual(entryStatements(whole, metadata), [
    "SELECT pg_catalog.lo_create('16');",
    "SELECT pg_catalog.lo_create('18');",
    'ALTER LARGE OBJECT 16 OWNER TO "Al";',
    'ALTER LARGE OBJECT 18 OWNER TO "Al";',
  ]);
  assert.deepEqual(entryStatements(whole, acl), [
    'REVOKE ALL ON LARGE OBJECT 16 FROM "a;LARGE OBJECT 16""";',
    'REVOKE ALL ON LARGE OBJECT 18 FROM "a;LARGE OBJECT 16""";',
    'GRANT SELECT ON LARGE OBJECT 16 TO bob;',
    'GRANT SELECT ON LARGE OBJECT 18 TO bob;',
  ]);
  assert.deepEqual(entryStatements(whole, acl, { acl: false }), []);
  const damaged = entry({ desc: 'BLOB METADATA', defn: "16'); DROP TABLE x; --\n" });
  assert.throws(() => entryStatements(archive([damaged]), damaged), {
    code: 'ARCHIVE_DAMAGED',
    kind: 'fault',
  });
  assert.throws(() => entryStatements(archive([acl]), acl), { code: 'ARCHIVE_DAMAGED' });
});

test('schema public keeps its owner, although it is not created', () => {
  const schema = entry({
    desc: 'SCHEMA',
    tag: 'public',
    defn: '-- *not* creating schema',
    dropStmt: '-- …',
    owner: 'bob',
  });
  const statements = ['-- *not* creating schema', 'ALTER SCHEMA public OWNER TO bob;'];
  assert.deepEqual(entryStatements(archive([schema]), schema), statements);
  assert.deepEqual(entryStatements(archive([schema]), schema, { owner: false }), statements.slice(0, 1));
});

test('owners of functions come from the DROP, of views by the version', () => {
  const drop = 'DROP FUNCTION s.f(integer, "a;b");\n';
  const made = entry({
    desc: 'FUNCTION',
    tag: 'f(integer, "a;b")',
    defn: 'CREATE …',
    dropStmt: drop,
    owner: 'bob',
  });
  assert.deepEqual(
    entryStatements(archive([made]), made)[1],
    'ALTER FUNCTION s.f(integer, "a;b") OWNER TO bob;',
  );
  const view = entry({ desc: 'VIEW', tag: 'v', defn: 'CREATE …', dropStmt: 'DROP VIEW v;', owner: 'bob' });
  assert.equal(entryStatements(archive([view]), view)[1], 'ALTER VIEW v OWNER TO bob;');
  assert.equal(entryStatements(archive([view], '15.2'), view)[1], 'ALTER TABLE v OWNER TO bob;');
  const index = entry({ desc: 'INDEX', defn: 'CREATE INDEX', dropStmt: 'DROP INDEX', owner: 'bob' });
  assert.deepEqual(entryStatements(archive([index]), index), ['CREATE INDEX']);
});

test('the preamble follows the archive and the version', () => {
  const settings = [
    entry({ desc: 'ENCODING', defn: "SET client_encoding = 'LATIN1';\n" }),
    entry({ desc: 'STDSTRINGS', defn: "SET standard_conforming_strings = 'off';\n" }),
  ];
  const preamble = sessionPreamble(archive(settings));
  assert.ok(preamble.includes('SET transaction_timeout = 0;'));
  assert.ok(preamble.includes("SET client_encoding = 'LATIN1';"));
  assert.ok(preamble.includes('SET escape_string_warning = off;'));
  assert.ok(!sessionPreamble(archive(settings, '16.1')).includes('SET transaction_timeout = 0;'));
  assert.ok(
    !sessionPreamble(archive(settings), { transactionTimeout: false }).includes(
      'SET transaction_timeout = 0;',
    ),
  );
  assert.deepEqual(entryStatements(archive(settings), settings[0]!), []);
});

test('what the options leave out', () => {
  const comment = (tag: string) => entry({ desc: 'COMMENT', tag });
  assert.equal(isWanted(comment('DATABASE d')), false);
  assert.equal(isWanted(comment('DATABASE d'), { database: true }), true);
  assert.equal(isWanted(comment('POLICY p ON t'), { policies: false }), false);
  assert.equal(isWanted(comment('TABLE t'), { policies: false }), true);
  assert.equal(isWanted(entry({ desc: 'PUBLICATION TABLE' }), { publications: false }), false);
  assert.equal(isWanted(entry({ desc: 'DEFAULT ACL' }), { acl: false }), false);
});

test('identifiers', () => {
  assert.deepEqual(['a_1', 'A', 'user', '1a', 'a"b', 'ü', ''].map(quoteIdentifier), [
    'a_1',
    '"A"',
    '"user"',
    '"1a"',
    '"a""b"',
    '"ü"',
    '""',
  ]);
  assert.deepEqual(readQualified('x "a.""b".c d', 2), { parts: ['a."b', 'c'], end: 11 });
  assert.equal(readQualified('(', 0), null);
});
