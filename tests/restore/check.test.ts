/**
 * Each kind of loss is caught by the check of a restore alone: a database is restored, one thing in it is changed behind the
 * restore's back, and the check is asked. Nothing but that one thing may be reported, and nothing of the unchanged database.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SILENT } from '../../src/base/progress.ts';
import { openSnapshot } from '../../src/operations/open/openSnapshot.ts';
import { beginCheck, withAccess } from '../../src/operations/restore/check.ts';
import type { RestoreRequest } from '../../src/operations/restore/request.ts';
import type { Archive } from '../../src/postgres/archive/entry.ts';
import { selectEntries } from '../../src/postgres/archive/select.ts';
import { Session } from '../../src/postgres/session.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { Repository } from '../../src/repository/repository.ts';
import type { CheckLevel, CheckResult } from '../../src/restore/check/result.ts';
import { type DatabaseStatement, databaseDefinition } from '../../src/restore/database/definition.ts';
import type { Deviation } from '../../src/restore/deviation.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { CHECKED_OBJECTS, CHECKED_PROPERTIES, LOSSES } from '../support/losses.ts';
import { type Major, server } from '../support/servers.ts';

const ROLES = ['check_owner', 'check_reader', 'check_writer'];

interface Stage {
  site: Site;
  run(database: string, sql: string): Promise<void>;
  /** A copy of the restored database; its name. */
  copy(): Promise<string>;
  drop(database: string): Promise<void>;
  archive: Archive;
  check(database: string, level: CheckLevel, deviations?: Deviation[]): Promise<CheckResult>;
}

for (const major of [15, 18] as const) {
  describe(`PostgreSQL ${major}`, () => {
    let stage: Stage;
    before(async () => {
      stage = await makeStage(major);
    });
    after(() => stage.site.remove());

    test('an unchanged database has no difference', async () => {
      const check = await stage.check(await stage.copy(), 'exact');
      assert.deepEqual(check.differences, []);
      assert.deepEqual(check.unchecked, []);
      assert.ok(check.objects > 80, String(check.objects));
      assert.equal(check.tables, 8);
    });

    test('what the restore said that it leaves out is no difference, whatever its words are; anything else is', async () => {
      const database = await stage.copy();
      await stage.run(
        database,
        `alter database ${database} reset work_mem; alter database ${database} reset app.secret; drop index app.people_lower; drop index app.orders_open; alter database ${database} connection limit -1`,
      );
      const { entries } = stage.archive;
      const index = (tag: string) => entries.find(entry => entry.desc === 'INDEX' && entry.tag === tag)!;
      const [limit, setting] = ['CONNECTION LIMIT = 50', 'setting work_mem'].map(
        what => databaseDefinition(stage.archive).statements.find(each => each.what === what)!,
      ) as [DatabaseStatement, DatabaseStatement];
      const reason =
        'INDEX app.orders_open is left out: setting app.secret, setting work_mem, CONNECTION LIMIT';
      const objects = async (deviations: Deviation[]) =>
        (await stage.check(database, 'definitions', deviations)).differences
          .map(({ object }) => object)
          .sort();
      const others = [
        'COMMENT app.INDEX orders_open',
        'DATABASE setting app.secret',
        'INDEX app.orders_open',
      ];
      const told: Deviation[] = [
        { kind: 'refused', entry: index('people_lower'), reason },
        { kind: 'property', statement: setting, reason },
        { kind: 'property', statement: limit, reason },
      ];
      assert.deepEqual(await objects(told), others);
      const like = { ...setting, after: setting.after!.replace('work_mem', 'maintenance_work_mem') };
      const beside: Deviation[] = [
        { kind: 'refused', entry: index('orders_open'), reason },
        { kind: 'property', statement: like, reason },
      ];
      assert.deepEqual(await objects(beside), [
        'COMMENT app.INDEX orders_open',
        'DATABASE connection limit',
        'DATABASE setting app.secret',
        'DATABASE setting work_mem',
        'INDEX app.people_lower',
      ]);
      await stage.drop(database);
    });

    // What is compared is the same on every version: once is enough.
    for (const [name, loss] of Object.entries(major === 15 ? LOSSES : {})) {
      test(`is caught: ${name}`, async () => {
        const database = await stage.copy();
        await stage.run(loss.from ?? database, loss.sql.replaceAll('%NAME%', database));
        const { differences } = await stage.check(database, loss.level ?? 'definitions');
        await stage.drop(database);
        assert.ok(differences.length > 0, 'nothing was reported');
        for (const { object } of differences) assert.match(object, loss.object);
        if (loss.kind) assert.equal(differences[0]!.kind, loss.kind);
        const said = differences.map(each => each.expected ?? each.found ?? '');
        if (loss.says)
          assert.ok(
            said.some(text => loss.says!.test(text)),
            said.join('\n'),
          );
        assert.ok(
          said.every(text => text !== '' && !text.includes('secret')),
          said.join('\n'),
        );
      });
    }
  });
}

async function makeStage(major: Major): Promise<Stage> {
  const shared = await server(major);
  const run = async (database: string, sql: string): Promise<void> => {
    await query(shared.url(database), sql);
  };
  for (const role of ROLES) await run('postgres', `create role ${role}`);
  const session = await Session.open(await resolveSettings({ url: shared.url() }, {}, homedir()));
  await session.run('set allow_in_place_tablespaces = on');
  await session.run("create tablespace check_space location ''");
  await session.close();
  const source = await freshDatabase(shared, 'check_source', { encoding: 'UTF8', locale: 'C' });
  await run(source.name, CHECKED_OBJECTS);
  await run(source.name, CHECKED_PROPERTIES.replaceAll('%NAME%', source.name));
  const site = await makeSite({ shop: source.url });
  await site.json('backup', 'shop');
  const { check } = await site.json<{ check: CheckResult }>('restore', 'shop', '--new', 'check_restored');
  assert.equal(check.level, 'definitions');
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list');
  const storage = new LocalStorage(join(site.folder, 'repository'));
  const secret = readFileSync(join(site.folder, 'tidemark.key'), 'utf8').trim();
  const repository = await Repository.open(storage, { kind: 'key', text: secret, where: 'the test' });
  const snapshot = await openSnapshot(repository, snapshots[0]!.snapshot);
  let copies = 0;
  return {
    site,
    run,
    async copy() {
      const name = `check_copy_${++copies}`;
      await run('postgres', `create database ${name} template check_restored`);
      await run('postgres', CHECKED_PROPERTIES.replaceAll('%NAME%', name));
      return name;
    },
    drop: name => run('postgres', `drop database ${name} with (force)`),
    archive: snapshot.archive,
    async check(database, level, deviations = []) {
      const settings = await resolveSettings({ url: shared.url(database) }, {}, homedir());
      const request: RestoreRequest = {
        snapshot,
        storage: { spec: { kind: 'local', path: join(site.folder, 'repository') } },
        target: { kind: 'new', name: database, server: settings },
        ...{ tables: [], only: undefined, roles: false, owner: true, privileges: true, tablespaces: true },
        ...{ jobs: 1, check: level, deviations, reporter: SILENT, signal: new AbortController().signal },
        confirm: async () => true,
      };
      const begun = await beginCheck(request, selectEntries(snapshot.archive), settings);
      return withAccess(request, await begun.finish(), settings);
    },
  };
}
