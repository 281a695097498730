import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pgDumpFailure, pgDumpWarnings, StderrTail } from './failure.ts';

const failure = (stderr: string) => pgDumpFailure('shop', stderr, 'with exit code 1');

test("pg_dump's words become a code, a sentence and a hint", () => {
  const cases = [
    [
      'pg_dump: error: query failed: ERROR:  permission denied for table t\npg_dump: detail: Query was: LOCK TABLE t',
      'PERMISSION_DENIED',
    ],
    ['pg_dump: error: aborting because of server version mismatch\npg_dump: detail: …', 'CLIENT_TOO_OLD'],
    ['pg_dump: error: query failed: ERROR:  invalid snapshot identifier: "x"', 'SNAPSHOT_LOST'],
    ['pg_dump: error: query failed: ERROR:  snapshot "00000003-0000001B-1" does not exist', 'SNAPSHOT_LOST'],
    ['pg_dump: error: … query would be affected by row-level security policy for table "t"', 'ROW_SECURITY'],
    ['pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout', 'LOCK_TIMEOUT'],
    ['pg_dump: error: connection to server at "h", port 1 failed: Connection refused', 'CONNECTION_FAILED'],
    ['something else.', 'PG_DUMP_FAILED'],
    ['', 'PG_DUMP_FAILED'],
  ] as const;
  for (const [stderr, code] of cases) {
    const error = failure(stderr);
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /\.$|pg_dump: error|\n/);
    assert.ok(error.hint.length > 0);
  }
  assert.equal(
    failure(cases[0][0]).message,
    'pg_dump could not read the schema of database shop: query failed: permission denied for table t; Query was: LOCK TABLE t',
  );
  assert.match(failure('').message, /it ended with exit code 1$/);
});

test('warnings keep their details, and errors are none', () => {
  const stderr = [
    'pg_dump: warning: there are circular foreign-key constraints on this table:',
    'pg_dump: detail: t',
    'pg_dump: hint: You might not be able to restore the dump.',
    'pg_dump: warning: typtype of data type "x" appears to be invalid',
    'pg_dump: error: no',
    'pg_dump: terminated by user',
  ].join('\n');
  assert.deepEqual(pgDumpWarnings(stderr), [
    'there are circular foreign-key constraints on this table:\nt\nYou might not be able to restore the dump.',
    'typtype of data type "x" appears to be invalid',
  ]);
});

test('only the end of a long stderr is kept', () => {
  const tail = new StderrTail();
  for (let line = 0; line < 100_000; line++) tail.append(`line ${line}\n`);
  assert.ok(tail.text.length <= 64 * 1024);
  assert.ok(tail.text.endsWith('line 99999\n'));
});
