import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import {
  assertSameText,
  captureForTest,
  createOddDatabase,
  dumpText,
} from '../../../tests/support/odd/oddDatabase.ts';
import { isServerInstalled, ScratchServer } from '../../../tests/support/odd/scratchServer.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { restorePlan } from '../../postgres/archive/passes.ts';
import { tablePattern } from '../../postgres/archive/pattern.ts';
import type { PlanStep } from '../../postgres/archive/planStep.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { type Selection, selectableRelations, selectEntries } from '../../postgres/archive/select.ts';
import { entryStatements, isWanted, sessionPreamble } from '../../postgres/archive/statements.ts';
import { type ExportInput, exportFormat, exportTo } from './index.ts';
import { largeObjects } from './largeObjects.ts';
import { rowsOf } from './rows.ts';

describe('what a restore takes, and in which order', {
  skip: !isServerInstalled && 'PostgreSQL 15 is not installed',
}, () => {
  let server: ScratchServer;
  let input: ExportInput;
  let count = 0;

  before(async () => {
    server = await ScratchServer.start();
    await createOddDatabase(server);
    input = await captureForTest(server, 'source');
  });
  after(() => server?.stop());

  const load = async (script: Buffer | string) => {
    const database = `copy_${++count}`;
    const file = join(server.folder, `${database}.sql`);
    server.sql('postgres', `CREATE DATABASE ${database} TEMPLATE template0`);
    await writeFile(file, script);
    server.tool('psql', ['-Xq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', file]);
    return database;
  };
  const loadSelection = async (selection: Selection) => {
    const { entries, leftOut } = selectEntries(input.archive, selection);
    const select = new Set(entries.map(entry => entry.dumpId));
    const path = join(server.folder, `selection_${++count}`);
    await exportTo(exportFormat('plain'), { ...input, select }, { path });
    const database = `copy_${++count}`;
    server.sql('postgres', `CREATE DATABASE ${database} TEMPLATE template0`);
    server.tool('psql', ['-Xq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', path]);
    return { database, leftOut: leftOut.map(({ entry, reason }) => `${entry.desc} ${entry.tag}: ${reason}`) };
  };
  const tables = (pattern: string): Selection => ({ tables: tablePattern(pattern) });
  const rowCount = (database: string, table: string) => server.sql(database, `SELECT count(*) FROM ${table}`);

  test('every relation, taken alone, loads into an empty database as it was', async () => {
    for (const relation of selectableRelations(input.archive)) {
      const isThis = (schema: string, name: string) => schema === relation.namespace && name === relation.tag;
      if (isHashedByEnum(relation)) {
        assert.throws(() => selectEntries(input.archive, { tables: isThis }), {
          code: 'PARTITION_NEEDS_TREE',
        });
        continue;
      }
      const { database, leftOut } = await loadSelection({ tables: isThis });
      const name = quoteQualified(relation.namespace, relation.tag);
      const pattern = `"${relation.namespace!.replaceAll('"', '""')}"."${relation.tag.replaceAll('"', '""')}"`;
      const dump = (source: string) => dumpText(server, source, ['-t', pattern, '--no-publications']);
      if (leftOut.every(reason => !reason.startsWith('FK CONSTRAINT'))) {
        const isView = relation.desc === 'VIEW';
        if (isView) assert.equal(rowCount(database, name), '0');
        assertSameText(dump(database), dump('source'));
      }
      if (
        ['TABLE', 'MATERIALIZED VIEW'].includes(relation.desc) &&
        !['never', 'base'].includes(relation.tag)
      ) {
        assert.equal(rowCount(database, name), rowCount('source', name), name);
      }
    }
  });

  /** Rows hashed by an enum's OID move from one partition to the other. */
  const isHashedByEnum = (relation: ArchiveEntry) => relation.tag.startsWith('by_mood_');

  test('a partitioned table brings its partitions, a partition the tables above it without their other partitions', async () => {
    const whole = await loadSelection(tables('app.event'));
    assert.equal(rowCount(whole.database, 'app.event'), '300');
    assert.equal(rowCount(whole.database, 'app.event_2023_rest'), rowCount('source', 'app.event_2023_rest'));
    assert.deepEqual(whole.leftOut, [
      'FK CONSTRAINT event event_ref_fkey: it refers to app.item, which is not selected',
    ]);
    const leaf = await loadSelection(tables('event_2023_a'));
    assert.equal(rowCount(leaf.database, 'app.event'), rowCount('source', 'app.event_2023_a'));
    assert.equal(server.sql(leaf.database, "SELECT to_regclass('app.event_2024') IS NULL"), 't');
    const partitions =
      "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent::regclass::text = 'app.event_body'";
    assert.equal(server.sql(leaf.database, partitions), 'app.event_2023_body_idx');
    const valid = 'SELECT bool_and(indisvalid) FROM pg_index';
    assert.equal(server.sql(leaf.database, valid), 't');
    assert.equal(
      server.sql(leaf.database, "SELECT count(*) FROM pg_trigger WHERE tgname = 'touch_event'"),
      '3',
    );
  });

  test('foreign keys come when the rows they refer to do', async () => {
    const alone = await loadSelection(tables('app.item'));
    assert.deepEqual(alone.leftOut, [
      'FK CONSTRAINT item item_orders_fkey: it refers to app.orders, which comes without rows',
    ]);
    const both = await loadSelection(tables('app.(item|orders|customer)'));
    assert.deepEqual(both.leftOut, [
      'PUBLICATION TABLE odd_publication customer: publications are not part of a table',
    ]);
    const keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'";
    assert.equal(server.sql(both.database, keys), '4');
  });

  test('names with spaces: a key belongs to its own table', async () => {
    const first = await loadSelection(tables('"a"'));
    assert.deepEqual(first.leftOut, [
      'FK CONSTRAINT a b c: it refers to public."a b", which is not selected',
    ]);
    const second = await loadSelection(tables('"a b"'));
    assert.deepEqual(second.leftOut, ['FK CONSTRAINT a b c: it refers to public.a, which is not selected']);
  });

  test('a materialized view brings the rows it is made of, a view only the tables', async () => {
    const { database } = await loadSelection(tables('a_top_of_top'));
    assert.equal(server.sql(database, 'SELECT most FROM app.a_top_of_top'), '5');
    const view = await loadSelection(tables('grouped'));
    assert.equal(rowCount(view.database, 'app.orders'), '0');
  });

  test('only the schema, only the data, sections and exceptions', async () => {
    const { entries } = selectEntries(input.archive, { only: 'data' });
    assert.ok(entries.every(entry => !['TABLE', 'INDEX', 'FUNCTION', 'SCHEMA'].includes(entry.desc)));
    const schema = await loadSelection({ only: 'schema' });
    assertSameText(dumpText(server, schema.database, ['-s']), dumpText(server, 'source', ['-s']));
    const data = selectEntries(input.archive, { sections: new Set(['data']) }).entries;
    assert.ok(data.some(entry => entry.desc === 'TABLE DATA'));
    assert.ok(data.every(entry => !['TABLE', 'INDEX', 'FUNCTION', 'SCHEMA'].includes(entry.desc)));
    const without = selectEntries(input.archive, { except: tablePattern('app.*') }).entries;
    assert.ok(without.every(entry => entry.desc !== 'TABLE DATA' || entry.namespace !== 'app'));
  });

  const shuffledSteps = (steps: PlanStep[], preDone: Set<number>) => {
    const left = [...steps];
    const order: PlanStep[] = [];
    while (left.length > 0) {
      const ready = left.filter(step => step.needs.isSubsetOf(preDone));
      assert.ok(ready.length > 0, 'a plan never gets stuck');
      const next = ready[Math.floor(Math.random() * ready.length)]!;
      left.splice(left.indexOf(next), 1);
      preDone.add(next.entry.dumpId);
      order.push(next);
    }
    return order;
  };
  const stepScript = async (entry: ArchiveEntry): Promise<Buffer> => {
    const pieces: Buffer[] = entryStatements(input.archive, entry).map(statement =>
      Buffer.from(`${statement}\n`),
    );
    if (entry.desc === 'BLOBS') {
      for await (const { oid, bytes } of largeObjects(rowsOf(input, entry))) {
        pieces.push(
          Buffer.from(`SELECT lo_put(${oid}, 0, '\\x${(await buffer(bytes)).toString('hex')}');\n`),
        );
      }
    } else if (entry.hasData) {
      pieces.push(Buffer.from(entry.copyStmt!), await buffer(rowsOf(input, entry)), Buffer.from('\\.\n'));
    }
    return Buffer.concat(pieces);
  };

  test('a plan carried out in any order it allows gives the same database', async () => {
    const selected = new Set(
      input.archive.entries.filter(entry => isWanted(entry)).map(entry => entry.dumpId),
    );
    const plan = restorePlan(input.archive, selected);
    const done = new Set<number>();
    const steps = shuffledSteps([...plan.data, ...plan.postData], done).map(step => step.entry);
    const entries = [...plan.preData, ...steps, ...plan.acl, ...plan.postAcl];
    assert.equal(entries.length, selected.size);
    const script: Buffer[] = [Buffer.from(`${sessionPreamble(input.archive).join('\n')}\n`)];
    for (const entry of entries) script.push(await stepScript(entry));
    const database = await load(Buffer.concat(script));
    assertSameText(dumpText(server, database), dumpText(server, 'source'));
    assert.ok(plan.postData.some(step => step.entry.desc === 'FK CONSTRAINT' && step.locks.size === 2));
    const rows = new Set(plan.data.map(step => step.entry.dumpId));
    const index = plan.postData.find(step => step.entry.tag === 'customer_lower')!;
    assert.ok([...index.needs].some(id => rows.has(id)));
    assert.equal(index.locks.size, 0);
  });
});
