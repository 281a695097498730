import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive, ArchiveEntry } from './entry.ts';
import { withoutInternalOptions } from './internalOptions.ts';

const archiveOf = (desc: string, defn: string) =>
  ({ entries: [{ desc, defn } as ArchiveEntry], text: 'UTF8' }) as Archive;

const definition = (desc: string, defn: string) =>
  withoutInternalOptions(archiveOf(desc, defn)).entries[0]!.defn;

test('the servers’ own column option is left out, others stay', () => {
  const table = [
    'CREATE TABLE "a;b".t (\n    x text DEFAULT \'\nALTER TABLE ONLY t ALTER COLUMN x SET (pg_attver=1);\n\'::text\n);\n',
    'ALTER TABLE ONLY "a;b".t ALTER COLUMN x SET (pg_attver=12);\n',
    'ALTER TABLE ONLY "a;b".t ALTER COLUMN "SET (" SET (pg_attver=12, n_distinct=5);\n',
    'ALTER TABLE ONLY "a;b".t ALTER COLUMN y SET (n_distinct=5, pg_attver=12, n_distinct_inherited=-1);\n',
    'ALTER TABLE ONLY "a;b".t ALTER COLUMN y SET (n_distinct=5, pg_attver=12);\n',
    'ALTER TABLE ONLY "a;b".t ALTER COLUMN y SET STATISTICS 7;\n',
  ];
  assert.equal(
    definition('TABLE', table.join('')),
    [
      table[0],
      'ALTER TABLE ONLY "a;b".t ALTER COLUMN "SET (" SET (n_distinct=5);\n',
      'ALTER TABLE ONLY "a;b".t ALTER COLUMN y SET (n_distinct=5, n_distinct_inherited=-1);\n',
      'ALTER TABLE ONLY "a;b".t ALTER COLUMN y SET (n_distinct=5);\n',
      table[5],
    ].join(''),
  );
  const foreign =
    'CREATE FOREIGN TABLE f (\n    a integer\n)\nSERVER s;\nALTER FOREIGN TABLE ONLY f ALTER COLUMN a SET (pg_attver=3);\n';
  assert.equal(definition('FOREIGN TABLE', foreign), foreign.slice(0, foreign.indexOf('ALTER')));
});

test('what only speaks of the option is left as it is', () => {
  const body = 'CREATE FUNCTION f() … AS $$ ALTER TABLE t ALTER COLUMN x SET (pg_attver=1); $$;\n';
  const archive = archiveOf('FUNCTION', body);
  assert.equal(withoutInternalOptions(archive), archive);
});
