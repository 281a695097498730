import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bareWords, canonicalWords, tokensOf, unqualifiedWords } from './wording.ts';

test('a cast of an array is the cast of its elements', () => {
  const before =
    "CHECK (((kind)::text = ANY ((ARRAY['a'::character varying, 'b, (c'::character varying])::text[])))";
  const after =
    "CHECK (((kind)::text = ANY (ARRAY[('a'::character varying)::text, ('b, (c'::character varying)::text])))";
  assert.deepEqual(canonicalWords(before), canonicalWords(after));
  assert.notDeepEqual(canonicalWords(before), canonicalWords(after.replace("'a'", "'d'")));
});

test('a moment is the same in any zone, an amount in any locale', () => {
  assert.deepEqual(
    canonicalWords("FOR VALUES FROM ('2025-06-01 00:00:00+02') TO ('infinity')"),
    canonicalWords("FOR VALUES FROM ('2025-05-31 22:00:00+00') TO ('infinity')"),
  );
  assert.notDeepEqual(canonicalWords("'2025-06-01 00:00:00+02'"), canonicalWords("'2025-06-01 00:00:00+00'"));
  assert.notDeepEqual(canonicalWords("'2025-06-01 00:00:00'"), canonicalWords("'2025-06-01 02:00:00'"));
  assert.deepEqual(canonicalWords("DEFAULT '9,99 €'::money"), canonicalWords("DEFAULT '$9.99'::money"));
  assert.notDeepEqual(canonicalWords("DEFAULT '9,99 €'::money"), canonicalWords("DEFAULT '$99.9'::text"));
});

test('what expressions are made of counts, not how they were put in brackets', () => {
  assert.deepEqual(bareWords('((a)::numeric(10,2) + b)'), ['a', '+', 'b']);
  assert.deepEqual(bareWords("('x'::timestamp with time zone AT TIME ZONE y)"), [
    "'x'",
    'AT',
    'TIME',
    'ZONE',
    'y',
  ]);
  assert.notDeepEqual(bareWords('(a + b)'), bareWords('(a - b)'));
  assert.deepEqual(
    unqualifiedWords('SELECT o.id AS "x y" FROM app.orders o'),
    unqualifiedWords('SELECT id "x y" FROM orders o'),
  );
});

test('strings, bodies and comments stay whole', () => {
  assert.deepEqual(tokensOf(`a 'it''s  (' "b "" c" $x$ ( $y$ ) $x$ E'c\\\\d' -- end\n;`), [
    'a',
    "'it''s  ('",
    '"b "" c"',
    '$x$ ( $y$ ) $x$',
    "'c\\d'",
    '-- end',
    ';',
  ]);
});
