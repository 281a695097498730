import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { houseRules } from './house-rules.ts';
import type { Project } from './rule.ts';

const THERE = [
  'src/base/errors.ts',
  'src/storage/storage.ts',
  'src/postgres/connect.ts',
  'docs/guide.md',
  'docs',
];

/** The rules that a project of this one file breaks, each with its line. */
function broken(path: string, text: string): string[] {
  const project: Project = {
    files: [{ path, text }],
    has: wanted => THERE.includes(wanted),
    dependencies: ['pg', 'commander', 'zod'],
    devDependencies: ['fast-check', '@biomejs/biome'],
  };
  const breaches = houseRules(project);
  for (const breach of breaches) assert.ok(breach.fault && breach.instead && breach.path === path);
  return breaches.map(({ rule, line }) => `${rule}:${line}`);
}

const lines = (count: number, text = '//\n'): string => text.repeat(count);

interface Example {
  what: string;
  path: string;
  text: string;
  breaks: string[];
}

function examples(rule: string, list: Example[]): void {
  describe(rule, () => {
    for (const { what, path, text, breaks } of list) {
      test(what, () => assert.deepEqual(broken(path, text), breaks));
    }
  });
}

examples('sql-names', [
  {
    what: 'qualified names',
    path: 'src/postgres/sql/a.sql',
    text: "-- format('x')\nwith t (oid) as (select 1::pg_catalog.int4)\nselect coalesce(t.oid, pg_catalog.length('now()')) from t, lateral pg_catalog.unnest($1) as u (oid)\nwhere t.oid in (select oid from pg_catalog.pg_class) and t.oid is distinct from u.oid\n",
    breaks: [],
  },
  {
    what: 'a function',
    path: 'src/postgres/sql/a.sql',
    text: '-- a\nselect current_database()\n',
    breaks: ['sql-names:2'],
  },
  {
    what: 'a function in a body',
    path: 'src/postgres/sql/a.sql',
    text: "-- a\ndo $$\nbegin\n  execute format('drop %I', x);\nend $$\n",
    breaks: ['sql-names:4'],
  },
  {
    what: 'a type',
    path: 'src/postgres/a.ts',
    text: "session.query('select $1::text');\n",
    breaks: ['sql-names:1'],
  },
  {
    what: 'a relation in a template',
    path: 'src/postgres/a.ts',
    text: 'session.query(`SELECT 1\n  FROM pg_class c`);\n',
    breaks: ['sql-names:2'],
  },
  { what: 'English', path: 'src/base/a.ts', text: "const x = 'with length(x) from all';\n", breaks: [] },
  {
    what: "an application's statements",
    path: 'src/operations/demo/shop.sql',
    text: 'select now();\n',
    breaks: [],
  },
]);

examples('file-length', [
  { what: '600 lines', path: 'src/base/a.ts', text: lines(600), breaks: [] },
  { what: '601 lines', path: 'src/base/a.ts', text: lines(601), breaks: ['file-length:0'] },
  { what: 'long documents', path: 'docs/format.md', text: lines(2000), breaks: [] },
]);

examples('function-length', [
  { what: '70 lines', path: 'src/base/a.ts', text: `function f() {\n${lines(68)}}\n`, breaks: [] },
  {
    what: '71 lines',
    path: 'src/base/a.ts',
    text: `\nfunction f() {\n${lines(69)}}\n`,
    breaks: ['function-length:2'],
  },
  {
    what: 'an arrow',
    path: 'src/base/a.ts',
    text: `const f = () => {\n${lines(70)}};\n`,
    breaks: ['function-length:1'],
  },
  {
    what: 'a method',
    path: 'src/base/a.ts',
    text: `class A {\nf() {\n${lines(70)}} }\n`,
    breaks: ['function-length:2'],
  },
  {
    what: 'a test',
    path: 'a.test.ts',
    text: `test('x', () => {\n${lines(70)}});\n`,
    breaks: ['function-length:1'],
  },
  {
    what: 'a group of tests',
    path: 'a.test.ts',
    text: `describe('x', () => {\n${lines(70)}});\n`,
    breaks: [],
  },
]);

examples('names', [
  { what: 'a file', path: 'src/base/utils.ts', text: '', breaks: ['names:0'] },
  { what: 'a test of one', path: 'src/base/helpers.test.ts', text: '', breaks: ['names:0'] },
  { what: 'a folder', path: 'src/postgres/Common/a.ts', text: '', breaks: ['names:0'] },
  { what: 'part of a longer name', path: 'src/base/libraryOfTypes.ts', text: '', breaks: [] },
]);

examples('leftovers', [
  { what: 'in code', path: 'src/base/a.ts', text: 'a;\n// TODO: b\n', breaks: ['leftovers:2'] },
  { what: 'in SQL', path: 'src/postgres/sql/a.sql', text: '-- FIXME\n', breaks: ['leftovers:1'] },
  { what: 'in a document', path: 'docs/a.md', text: 'XXX\n', breaks: ['leftovers:1'] },
]);

examples('focused-tests', [
  { what: 'only', path: 'a.test.ts', text: "test.only('x', f);\n", breaks: ['focused-tests:1'] },
  { what: 'skip', path: 'a.test.ts', text: "\ndescribe.skip('x', f);\n", breaks: ['focused-tests:2'] },
  {
    what: 'a skip option with a reason',
    path: 'a.test.ts',
    text: "test('x', { skip: why }, f);\n",
    breaks: [],
  },
  { what: 'a method elsewhere', path: 'a.test.ts', text: 'reader.skip(5);\n', breaks: [] },
]);

examples('own-errors', [
  { what: 'thrown', path: 'src/base/a.ts', text: "throw new Error('x');\n", breaks: ['own-errors:1'] },
  { what: 'in a test', path: 'src/base/a.test.ts', text: "throw new Error('x');\n", breaks: [] },
  { what: 'as a cause', path: 'src/base/a.ts', text: "const cause = new Error('x');\n", breaks: [] },
]);

examples('secrets', [
  { what: 'an AWS key', path: 'docs/a.md', text: `AKIA${'QWERTYUIOPASDFGH'}\n`, breaks: ['secrets:1'] },
  { what: "AWS's example key", path: 'docs/a.md', text: 'AKIAIOSFODNN7EXAMPLE\n', breaks: [] },
  { what: 'a private key', path: 'a.sh', text: '-----BEGIN RSA PRIVATE KEY-----\n', breaks: ['secrets:1'] },
]);

examples('machine-paths', [
  {
    what: "somebody's folder",
    path: 'docs/a.md',
    text: 'cd /home/alice/project\n',
    breaks: ['machine-paths:1'],
  },
  { what: 'an address', path: 'docs/a.md', text: 'https://example.com/home/alice\n', breaks: [] },
  { what: "the reader's folder", path: 'docs/a.md', text: '/home/you/backups and ~/backups\n', breaks: [] },
]);

examples('query-comments', [
  { what: 'none', path: 'src/postgres/sql/a.sql', text: 'select 1;\n', breaks: ['query-comments:1'] },
  { what: 'one', path: 'src/postgres/sql/a.sql', text: '-- One.\nselect 1;\n', breaks: [] },
]);

examples('document-links', [
  { what: 'to nothing', path: 'docs/a.md', text: '\n[x](none.md#y)\n', breaks: ['document-links:2'] },
  { what: 'by reference', path: 'README.md', text: '[x]: docs/none.md\n', breaks: ['document-links:1'] },
  {
    what: 'to a file',
    path: 'README.md',
    text: '[x](docs/guide.md#part) [y](docs/) [z](#here)\n',
    breaks: [],
  },
  { what: 'to the web', path: 'README.md', text: '[x](https://example.com/none.md)\n', breaks: [] },
  { what: 'in a code block', path: 'README.md', text: '```\n[x](none.md)\n```\n', breaks: [] },
]);

examples('lock-file-hosts', [
  {
    what: "npm's",
    path: 'package-lock.json',
    text: '"resolved": "https://registry.npmjs.org/a.tgz"\n',
    breaks: [],
  },
  {
    what: 'another',
    path: 'package-lock.json',
    text: '{\n"resolved": "https://registry.example.com/a.tgz"\n',
    breaks: ['lock-file-hosts:2'],
  },
]);

examples('imports-exist', [
  { what: 'no file', path: 'src/base/a.ts', text: "import './none.ts';\n", breaks: ['imports-exist:1'] },
  { what: 'no ending', path: 'src/base/a.ts', text: "import './errors';\n", breaks: ['imports-exist:1'] },
  { what: 'a file', path: 'src/base/a.ts', text: "export * from './errors.ts';\n", breaks: [] },
]);

examples('import-directions', [
  { what: 'down', path: 'src/storage/a.ts', text: "import '../base/errors.ts';\n", breaks: [] },
  {
    what: 'up',
    path: 'src/base/a.ts',
    text: "\nimport { a } from '../storage/storage.ts';\n",
    breaks: ['import-directions:2'],
  },
  {
    what: 'across the trunks',
    path: 'src/repository/a.ts',
    text: "const a = await import('../postgres/connect.ts');\n",
    breaks: ['import-directions:1'],
  },
  {
    what: 'types too',
    path: 'src/capture/logical/a.ts',
    text: "import type { A } from '../../storage/storage.ts';\n",
    breaks: ['import-directions:1'],
  },
  {
    what: 'out of src',
    path: 'src/base/a.ts',
    text: "import '../../docs/x.ts';\n",
    breaks: ['imports-exist:1', 'import-directions:1'],
  },
  {
    what: 'an unknown layer',
    path: 'src/new/a.ts',
    text: "import '../base/errors.ts';\n",
    breaks: ['import-directions:1'],
  },
  { what: 'in a test', path: 'src/base/a.test.ts', text: "import '../postgres/connect.ts';\n", breaks: [] },
  { what: 'in main', path: 'src/main.ts', text: "import './postgres/connect.ts';\n", breaks: [] },
]);

examples('packages', [
  { what: 'not declared', path: 'src/base/a.ts', text: "import 'left-pad';\n", breaks: ['packages:1'] },
  {
    what: 'for development only',
    path: 'src/base/a.ts',
    text: "import 'fast-check';\n",
    breaks: ['packages:1'],
  },
  {
    what: 'in a test',
    path: 'src/base/a.test.ts',
    text: "import 'fast-check';\nimport '@biomejs/biome/x';\n",
    breaks: [],
  },
  {
    what: 'away from home',
    path: 'src/capture/a.ts',
    text: "import pg from 'pg';\n",
    breaks: ['packages:1'],
  },
  { what: 'at home', path: 'src/postgres/a.ts', text: "import pg from 'pg';\n", breaks: [] },
  { what: 'without node:', path: 'src/base/a.ts', text: "import fs from 'fs';\n", breaks: ['packages:1'] },
]);

test('the rules say what they found and what to do instead', () => {
  const project: Project = {
    files: [{ path: 'src/storage/s3.ts', text: "import pg from '../postgres/connect.ts';\n" }],
    has: () => true,
    dependencies: [],
    devDependencies: [],
  };
  assert.deepEqual(houseRules(project), [
    {
      rule: 'import-directions',
      path: 'src/storage/s3.ts',
      line: 1,
      fault:
        'storage may not import postgres: a storage keeps bytes; it knows neither repositories nor PostgreSQL',
      instead: 'pass it in from above, or move it to one of: base',
    },
  ]);
});
