import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  assertSameText,
  captureForTest,
  createOddDatabase,
  dumpText,
  withoutKey,
} from '../../../tests/support/odd/oddDatabase.ts';
import { isServerInstalled, ScratchServer } from '../../../tests/support/odd/scratchServer.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { selectEntries } from '../../postgres/archive/select.ts';
import { copiedColumns } from './csv.ts';
import { type ExportInput, exportFormat, exportTo } from './index.ts';

describe('exports that stock tools read', {
  skip: !isServerInstalled && 'PostgreSQL 15 is not installed',
}, () => {
  let server: ScratchServer;
  let input: ExportInput;
  let sourceText: string;
  let count = 0;

  before(async () => {
    server = await ScratchServer.start();
    await createOddDatabase(server);
    input = await captureForTest(server, 'source');
    sourceText = dumpText(server, 'source');
    await mkdir(join(server.folder, 'out'));
  });
  after(() => server?.stop());

  const path = (name: string) => join(server.folder, 'out', name);
  const freshDatabase = () => {
    const name = `copy_${++count}`;
    server.sql('postgres', `CREATE DATABASE ${name} TEMPLATE template0`);
    return name;
  };
  const psql = (database: string, file: string) =>
    server.tool('psql', ['-Xq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', file]);
  const restore = (args: string[], stdin?: Buffer) =>
    server.tool('pg_restore', ['--exit-on-error', ...args], stdin);
  const assertSame = (database: string) => {
    assertSameText(dumpText(server, database), sourceText);
    for (const table of ['app.top', 'app.a_top_of_top', 'app.by_mood']) {
      const rows = `SELECT * FROM ${table} ORDER BY 1`;
      assert.equal(server.sql(database, rows), server.sql('source', rows));
    }
  };

  test('plain loads by psql, and is what pg_restore itself writes', async () => {
    await exportTo(exportFormat('plain'), input, { path: path('plain.sql') });
    const database = freshDatabase();
    psql(database, path('plain.sql'));
    assertSame(database);
    const dump = path('stock.dump');
    server.tool('pg_dump', ['-Fc', '-d', 'source', '-f', dump]);
    const stock = server.tool('pg_restore', ['-f', '-', dump]);
    const ours = await readFile(path('plain.sql'), 'utf8');
    assertSameText(withoutKey(ours), withoutKey(stock));
    const keys = ours.match(/^\\(?:un)?restrict (\w+)$/gm) ?? [];
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys.map(line => line.split(' ')[1])).size, 1);
  });

  test('plain without owners, privileges, comments and tablespaces is what pg_restore writes without them', async () => {
    const statements = {
      owner: false,
      acl: false,
      comments: false,
      tablespaces: false,
      publications: false,
      subscriptions: false,
    };
    await exportTo(exportFormat('plain'), { ...input, statements }, { path: path('bare.sql') });
    const dump = path('bare.dump');
    server.tool('pg_dump', ['-Fc', '-d', 'source', '-f', dump]);
    const options = [
      '-O',
      '-x',
      '--no-comments',
      '--no-tablespaces',
      '--no-publications',
      '--no-subscriptions',
    ];
    const stock = server.tool('pg_restore', [...options, '-f', '-', dump]);
    assertSameText(withoutKey(await readFile(path('bare.sql'), 'utf8')), withoutKey(stock));
  });

  test('plain.gz is plain, compressed', async () => {
    await exportTo(exportFormat('plain.gz'), input, { path: path('plain.sql.gz') });
    const script = gunzipSync(await readFile(path('plain.sql.gz'))).toString();
    assertSameText(withoutKey(script), withoutKey(await readFile(path('plain.sql'), 'utf8')));
  });

  for (const compression of ['none', 'gzip'] as const) {
    test(`custom, ${compression}: pg_restore lists it, and restores it in one job and in several`, async () => {
      const file = path(`${compression}.dump`);
      await exportTo(exportFormat('custom'), { ...input, compression }, { path: file });
      assert.match(restore(['-l', file]), /TABLE DATA app customer alice/);
      for (const jobs of ['1', '2']) {
        const database = freshDatabase();
        restore(['-d', database, '-j', jobs, file]);
        assertSame(database);
      }
    });

    test(`directory, ${compression}: pg_restore restores it in one job and in several`, async () => {
      const folder = path(`${compression}.folder`);
      await exportTo(exportFormat('directory'), { ...input, compression }, { path: folder });
      for (const jobs of ['1', '2']) {
        const database = freshDatabase();
        restore(['-d', database, '-j', jobs, folder]);
        assertSame(database);
      }
    });
  }

  test('custom in a pipe: pg_restore reads it from a pipe and, saved, in several jobs', async () => {
    const stream = new PassThrough();
    const chunks = stream.toArray();
    await exportTo(exportFormat('custom'), input, { stream });
    stream.end();
    const bytes = Buffer.concat(await chunks);
    const first = freshDatabase();
    restore(['-d', first], bytes);
    assertSame(first);
    await writeFile(path('piped.dump'), bytes);
    const second = freshDatabase();
    restore(['-d', second, '-j', '2', path('piped.dump')]);
    assertSame(second);
  });

  test('sections, tables, schemas and lists work on a custom archive', async () => {
    const file = path('gzip.dump');
    const bySection = freshDatabase();
    for (const section of ['pre-data', 'data', 'post-data'])
      restore(['-d', bySection, `--section=${section}`, file]);
    assertSame(bySection);
    const byList = freshDatabase();
    await writeFile(path('list'), restore(['-l', file]));
    restore(['-d', byList, '-L', path('list'), file]);
    assertSame(byList);
    const byTable = freshDatabase();
    restore(['-d', byTable, '-t', 'elsewhere', file]);
    assert.equal(server.sql(byTable, 'SELECT count(*) FROM elsewhere'), '3000');
    const bySchema = freshDatabase();
    server.sql(bySchema, 'CREATE SCHEMA "Odd. ""Schema"" ü"');
    restore(['-d', bySchema, '--no-publications', '-n', 'Odd. "Schema" ü', file]);
    assert.equal(server.sql(bySchema, 'SELECT count(*) FROM "Odd. ""Schema"" ü".one_column'), '6');
  });

  test('csv has the bytes that COPY … CSV HEADER has', async () => {
    await exportTo(exportFormat('csv'), input, { path: path('csv') });
    const names = await readdir(path('csv'));
    const tables = input.archive.entries.filter(entry => entry.desc === 'TABLE DATA');
    assert.equal(names.length, tables.length);
    assert.ok(names.includes('app.customer.csv'));
    assert.ok(names.includes('Odd%2E %22Schema%22 ü.Tab%2Fle %22x%22 ü.csv'));
    const contents = await Promise.all(names.map(name => readFile(join(path('csv'), name), 'utf8')));
    const found = new Set(contents);
    for (const entry of tables) {
      if (copiedColumns(entry).length === 0) continue;
      const list = copiedColumns(entry)
        .map(name => quoteQualified(null, name))
        .join(', ');
      const copy = `COPY ${quoteQualified(entry.namespace, entry.tag)} (${list}) TO STDOUT (FORMAT csv, HEADER)`;
      assert.ok(found.has(server.tool('psql', ['-Xq', '-d', 'source', '-c', copy])), entry.tag);
    }
    assert.equal(await readFile(path('csv/public.no_columns.csv'), 'utf8'), '\n\n\n\n');
  });

  test('a database that is not UTF-8 keeps its bytes', async () => {
    server.sql(
      'postgres',
      "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    const statements = [
      "SET client_encoding = 'UTF8'",
      'CREATE TABLE "tâble" (a text)',
      `INSERT INTO "tâble" VALUES ('é')`,
    ];
    server.tool('psql', ['-Xq', '-d', 'latin', ...statements.flatMap(statement => ['-c', statement])]);
    const latin = await captureForTest(server, 'latin');
    assert.equal(latin.archive.text, 'LATIN1');
    await exportTo(exportFormat('plain'), latin, { path: path('latin.sql') });
    await exportTo(exportFormat('custom'), latin, { path: path('latin.dump') });
    const text = dumpText(server, 'latin', ['-E', 'UTF8']);
    const database = freshDatabase();
    psql(database, path('latin.sql'));
    assertSameText(dumpText(server, database), text);
    const other = freshDatabase();
    restore(['-d', other, path('latin.dump')]);
    assertSameText(dumpText(server, other), text);
  });

  test('a selection loads by itself', async () => {
    const { entries } = selectEntries(input.archive, { tables: (_schema, name) => name === 'event' });
    const select = new Set(entries.map(entry => entry.dumpId));
    await exportTo(exportFormat('plain'), { ...input, select }, { path: path('event.sql') });
    await exportTo(exportFormat('custom'), { ...input, select }, { path: path('event.dump') });
    const [first, second] = [freshDatabase(), freshDatabase()];
    psql(first, path('event.sql'));
    restore(['-d', second, '-j', '2', path('event.dump')]);
    assert.equal(server.sql(first, 'SELECT count(*) FROM app.event'), '300');
    assertSameText(dumpText(server, first), dumpText(server, second));
  });

  test('a name with a line break runs no meta-command in psql', async () => {
    server.sql('postgres', 'CREATE DATABASE evil TEMPLATE template0');
    const marker = path('owned');
    server.sql(
      'evil',
      `CREATE TABLE "x\n\\! touch ${marker}\n" (a text); INSERT INTO "x\n\\! touch ${marker}\n" VALUES ('y')`,
    );
    const evil = await captureForTest(server, 'evil');
    await exportTo(exportFormat('plain'), evil, { path: path('evil.sql') });
    psql(freshDatabase(), path('evil.sql'));
    assert.equal(existsSync(marker), false);
  });

  test('an existing target is refused, and a failed export leaves nothing', async () => {
    for (const name of ['plain', 'custom', 'directory', 'csv']) {
      const taken = path(`taken-${name}`);
      await mkdir(taken);
      await assert.rejects(exportTo(exportFormat(name), input, { path: taken }), {
        code: 'EXPORT_EXISTS',
        kind: 'usage',
      });
    }
    const before = await readdir(path(''));
    const failing: ExportInput = {
      ...input,
      source: {
        async *read() {
          yield Buffer.from('half a row');
        },
      },
    };
    for (const name of ['plain', 'plain.gz', 'custom', 'directory', 'csv']) {
      const target = path(`failed-${name}`);
      await assert.rejects(exportTo(exportFormat(name), failing, { path: target }), { code: 'ROWS_DAMAGED' });
    }
    assert.deepEqual(await readdir(path('')), before);
    await assert.rejects(exportTo(exportFormat('csv'), input, { stream: new PassThrough() }), {
      code: 'EXPORT_NEEDS_FOLDER',
    });
    const missing = { path: path('no/such/folder.sql') };
    await assert.rejects(exportTo(exportFormat('plain'), input, missing), { code: 'EXPORT_UNWRITABLE' });
  });

  test('a reader that goes away, or an abort, ends the export', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    await assert.rejects(exportTo(exportFormat('plain'), input, { stream }), /EPIPE/);
    const abort = new AbortController();
    const progress = () => abort.abort();
    const aborted = exportTo(
      exportFormat('custom'),
      { ...input, signal: abort.signal, progress },
      { path: path('aborted') },
    );
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.equal(existsSync(path('aborted')), false);
  });
});
