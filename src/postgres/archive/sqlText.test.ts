import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitStatements } from './sqlText.ts';

test('a statement ends at its own semicolon', () => {
  const statements = [
    'SELECT 1;\n',
    "SELECT 'a;''b;', E'\\';\\\\', \"c;\"\"d;\";\n\n",
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n',
    'DO $a$ $b$ ; $$ ; $b$ $a$;',
    '-- one; two\nSELECT a$b$c;\n',
    '/* one; /* two; */ three; */ SELECT 2;\n',
    "SELECT type'a\\';",
    'SELECT $1; ',
    'END',
  ];
  assert.deepEqual(splitStatements(statements.join('')), statements);
  assert.deepEqual(splitStatements(''), []);
});

test('the pieces together are the text', () => {
  const text = fc
    .array(fc.constantFrom("'", '"', ';', '$', '$$', '$a$', '--', '/*', '*/', '\\', '\n', 'E', 'a', ' '))
    .map(parts => parts.join(''));
  fc.assert(fc.property(text, sql => splitStatements(sql).join('') === sql));
});
