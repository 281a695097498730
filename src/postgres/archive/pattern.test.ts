import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyPattern, patternIn, tablePattern } from './pattern.ts';

const cases: [pattern: string, matches: [string, string][], misses: [string, string][]][] = [
  [
    'users',
    [
      ['public', 'users'],
      ['app', 'users'],
    ],
    [
      ['app', 'users2'],
      ['app', 'Users'],
    ],
  ],
  ['USERS', [['app', 'users']], [['app', 'USERS']]],
  ['"Users"', [['app', 'Users']], [['app', 'users']]],
  [
    'app.users',
    [['app', 'users']],
    [
      ['public', 'users'],
      ['ap', 'p.users'],
    ],
  ],
  [
    'app.*',
    [
      ['app', 'a'],
      ['app', ''],
    ],
    [['apps', 'a']],
  ],
  [
    '*.u?ers',
    [
      ['x', 'users'],
      ['y', 'uüers'],
    ],
    [['x', 'uers']],
  ],
  ['"a.b".c', [['a.b', 'c']], [['a', 'b.c']]],
  ['"say ""hi"" *"', [['s', 'say "hi" *']], [['s', 'say "hi" x']]],
  [
    'a"B*"c',
    [['s', 'aB*c']],
    [
      ['s', 'aBxc'],
      ['s', 'ab*c'],
    ],
  ],
  [
    't[0-9]+',
    [['s', 't42']],
    [
      ['s', 't'],
      ['s', 't4x'],
    ],
  ],
  ['t[^0-9]', [['s', 'tx']], [['s', 't4']]],
  ['[[:alpha:]_]+', [['s', 'ünï_x']], [['s', 'a1']]],
  [
    '(a|b)c|d',
    [
      ['s', 'ac'],
      ['s', 'bc'],
      ['s', 'd'],
    ],
    [
      ['s', 'cd'],
      ['s', 'ab'],
    ],
  ],
  ['a$b', [['s', 'a$b']], [['s', 'a']]],
  ['a[]', [['s', 'a[]']], [['s', 'a']]],
  ['Ünï', [['s', 'Ünï']], [['s', 'ünï']]],
  ['*', [['s', 'line\nbreak']], []],
];

for (const [pattern, matches, misses] of cases) {
  test(`pattern ${pattern}`, () => {
    const predicate = tablePattern(pattern);
    for (const [schema, name] of matches) assert.ok(predicate(schema, name), `${schema}.${name}`);
    for (const [schema, name] of misses) assert.ok(!predicate(schema, name), `${schema}.${name}`);
  });
}

test('patterns that can not be read are usage errors', () => {
  for (const pattern of ['a.b.c', '"open', '(', '[z-a]', '*+*+']) {
    assert.throws(() => tablePattern(pattern), { code: 'PATTERN_INVALID', kind: 'usage' }, pattern);
  }
});

test('any of several', () => {
  const any = anyPattern(['a', 'x.b']);
  assert.deepEqual([any('s', 'a'), any('x', 'b'), any('s', 'b')], [true, true, false]);
});

test('a pattern in ASCII, for names in another encoding', () => {
  const cases: [pattern: string, encoding: string, written: string][] = [
    ['a."Б в""г"', 'UTF8', 'a."Б в""г"'],
    ['a."b ""C"', 'WIN1251', 'a."b ""C"'],
    ['a."Б в""г"', 'WIN1251', 'a.\\u00c1" "\\u00e2""""\\u00e3'],
    ['[а-я]*', 'KOI8R', '[\\u00c1-\\u00d1]*'],
    ['配送', 'EUC_JP', '\\uc7db\\uc1f7'],
    ['é', 'SQL_ASCII', '\\u00c3\\u00a9'],
  ];
  for (const [pattern, encoding, written] of cases) assert.equal(patternIn(pattern, encoding), written);
});
