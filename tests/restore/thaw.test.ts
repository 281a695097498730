/** A snapshot whose rows lie in a class that must be thawed: everything but rows is read at once, rows after an order. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TidemarkError } from '../../src/base/errors.ts';
import { SILENT } from '../../src/base/progress.ts';
import { backup } from '../../src/operations/backup/capture.ts';
import { openSnapshot } from '../../src/operations/open/openSnapshot.ts';
import { requireReadable, type ThawOptions, thaw } from '../../src/operations/thaw.ts';
import type { ConnectionSettings } from '../../src/postgres/settings/connectionSettings.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import type { Freezer, PutOptions } from '../../src/storage/storage.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

/** A folder that behaves as a cold class does: an object can be read once it was ordered and asked for often enough. */
class ColdStorage extends LocalStorage {
  readonly looksLeft = new Map<string, number>();
  readonly orders: string[] = [];

  override async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    await super.put(name, data, { ifAbsent: options.ifAbsent });
    if (options.storageClass === 'COLD') this.looksLeft.set(name, Number.POSITIVE_INFINITY);
  }

  override async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    if ((this.looksLeft.get(name) ?? 0) > 0)
      throw new TidemarkError('OBJECT_FROZEN', `${name} is frozen`, 'thaw it');
    return super.get(name, range);
  }

  readonly freezer: Freezer = {
    state: async name => {
      const left = this.looksLeft.get(name) ?? 0;
      if (left === Number.POSITIVE_INFINITY) return 'frozen';
      if (left > 0) this.looksLeft.set(name, left - 1);
      return left > 0 ? 'thawing' : 'readable';
    },
    thaw: async name => {
      this.orders.push(name);
      this.looksLeft.set(name, 2);
    },
  };
}

const folder = mkdtempSync(join(tmpdir(), 'tidemark-thaw-'));
const storage = new ColdStorage(folder);
const key = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
const { signal } = new AbortController();
let database: Database;
let settings: ConnectionSettings;
let repository: Repository;

before(async () => {
  database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table small (id int); insert into small values (1), (2);
     create table large (id int, note text);
     insert into large select i, md5(i::text) || md5((-i)::text) from generate_series(1, 60000) i`,
  );
  settings = await resolveSettings({ url: database.url }, {}, homedir());
  repository = await Repository.create(storage, key, new Date());
  repository.policy = { storageClass: 'COLD', lock: null };
});

after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await database.drop();
});

const backUp = (): Promise<Manifest> =>
  backup({
    ...{ repository, settings, database: 'db', plan: null, jobs: 2, level: 3, version: 'test' },
    scope: { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false, rolePasswords: null },
    ...{ reporter: SILENT, signal },
  });

const OPTIONS: ThawOptions = {
  ...{ tables: [], days: 3, wait: false, reporter: SILENT, signal, lookAgainMs: 5 },
};

const codeOf = (code: string) => (error: unknown) => error instanceof TidemarkError && error.code === code;

test('only what is needed is thawed, and what is described is never frozen', async () => {
  await backUp();
  const again = await backUp();
  assert.ok(again.counts.chunksAdded <= 1, 'deduplication does not need what is frozen');
  const snapshot = await openSnapshot(repository, again.snapshot);
  await assert.rejects(requireReadable(snapshot, OPTIONS, false), codeOf('SNAPSHOT_FROZEN'));
  assert.deepEqual(storage.orders, []);

  await assert.rejects(requireReadable(snapshot, OPTIONS, true), codeOf('SNAPSHOT_THAWING'));
  const ordered = [...storage.orders];
  assert.ok(ordered.length > 0 && ordered.every(name => storage.looksLeft.has(name)));
  const impatient = thaw(snapshot, { ...OPTIONS, wait: true, waitMaxMs: -1 });
  await assert.rejects(impatient, codeOf('SNAPSHOT_THAWING'), 'no wait is for ever');
  const waited = await thaw(snapshot, { ...OPTIONS, wait: true });
  assert.deepEqual([waited.readable, waited.ordered, waited.thawing], [true, 0, 0]);
  assert.deepEqual(storage.orders, ordered, 'nothing is ordered twice');

  await requireReadable(snapshot, OPTIONS, false);
  for (const part of snapshot.parts) {
    const bytes = await snapshot.reader.whole(part, part.table);
    assert.equal(bytes.length, part.bytes);
  }
});

test('nothing is asked of a storage that freezes nothing', async () => {
  const plain = await Repository.open(new LocalStorage(folder), key);
  const [name] = await plain.snapshotNames();
  const snapshot = await openSnapshot(plain, name!);
  await requireReadable(snapshot, OPTIONS, false);
  assert.equal((await thaw(snapshot, OPTIONS)).readable, true);
});
