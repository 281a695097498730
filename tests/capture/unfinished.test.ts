/** A backup or copy that is cut off: what it has stored is not stored again by the next, and nothing of it is listed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../src/base/errors.ts';
import { type Reporter, SILENT } from '../../src/base/progress.ts';
import { backup } from '../../src/operations/backup/capture.ts';
import { openSnapshot } from '../../src/operations/open/openSnapshot.ts';
import type { ConnectionSettings } from '../../src/postgres/settings/connectionSettings.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { Repository } from '../../src/repository/repository.ts';
import { findUnfinished, listUnfinished } from '../../src/repository/write/unfinished.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

/** A folder whose disk is pulled once so many bytes of packs are on it and a checkpoint was written after. */
class Pulled extends LocalStorage {
  pullAfterBytes = Number.POSITIVE_INFINITY;
  #bytes = 0;
  #gone = false;

  override async put(
    name: string,
    data: readonly Uint8Array[],
    options?: { ifAbsent?: boolean },
  ): Promise<void> {
    if (this.#gone) throw new TidemarkError('STORAGE', 'the disk is gone', 'put it back');
    // A slow disk, so that there is time for checkpoints.
    if (name.startsWith('packs/')) await sleep(60);
    await super.put(name, data, options);
    if (name.startsWith('packs/')) this.#bytes += data.reduce((sum, each) => sum + each.length, 0);
    if (name.startsWith('unfinished/') && this.#bytes > this.pullAfterBytes) this.#gone = true;
  }

  override async remove(name: string): Promise<void> {
    if (this.#gone) throw new TidemarkError('STORAGE', 'the disk is gone', 'put it back');
    await super.remove(name);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'tidemark-unfinished-'));
const key = { kind: 'key', text: newKeyText(), where: 'the test' } as const;
let database: Database;
let settings: ConnectionSettings;

before(async () => {
  database = await freshDatabase(await server(15));
  // Rows that don't compress well, in many parts.
  for (const table of 'abcdefghij') {
    await query(
      database.url,
      `create table ${table} (id int, note text);
       insert into ${table} select i, (select string_agg(md5(i::text || j::text || '${table}'), '') from generate_series(1, 30) j)
         from generate_series(1, 12000) i`,
    );
  }
  settings = await resolveSettings({ url: database.url }, {}, homedir());
  await Repository.create(new LocalStorage(folder), key, new Date());
});

after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await database.drop();
});

function backUp(
  repository: Repository,
  { signal = new AbortController().signal, reporter = SILENT } = {},
): Promise<Manifest> {
  return backup({
    ...{ repository, settings, database: 'db', plan: null, jobs: 2, level: 1, version: 'test' },
    scope: { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false, rolePasswords: null },
    ...{ reporter, signal, checkpointMs: 20 },
  });
}

const open = (storage = new LocalStorage(folder)) => Repository.open(storage, key);

test('the next run stores only what was not stored', async () => {
  const pulled = new Pulled(folder);
  pulled.pullAfterBytes = 10e6;
  await assert.rejects(
    open(pulled).then(repository => backUp(repository)),
    { message: 'the disk is gone' },
  );
  const repository = await open();
  assert.deepEqual(await repository.snapshotNames(), []);
  const [unfinished] = await findUnfinished(repository, 'db', 'the next');
  const stored = unfinished!.parts.length;
  assert.ok(stored > 0 && stored < 10, `${stored} of 10 tables were stored`);

  const manifest = await backUp(repository);
  const { bytesRead, bytesAdded } = manifest.counts;
  assert.ok(bytesRead > 100e6, `${bytesRead} bytes were read`);
  const whole = bytesRead * 0.6; // hexadecimal digits take half
  assert.ok(bytesAdded < whole * 0.8, `${bytesAdded} bytes were added of some ${whole}`);
  const snapshot = await openSnapshot(repository, manifest.snapshot);
  for (const part of snapshot.parts) {
    const bytes = await snapshot.reader.whole(part, part.table);
    assert.equal(bytes.length, part.bytes);
  }
  assert.deepEqual(
    (await listUnfinished(repository)).map(each => each.session === manifest.snapshot),
    [false],
    'its own is gone; the other goes with prune',
  );
});

test('an interrupted run says what it has stored', async () => {
  const stop = new AbortController();
  let read = 0;
  const reporter: Reporter = {
    ...SILENT,
    advance(bytes) {
      read += bytes;
      if (read > 80e6)
        stop.abort(new TidemarkError('INTERRUPTED', 'interrupted', 'again', { kind: 'interrupted' }));
    },
  };
  const repository = await open();
  const before = (await listUnfinished(repository)).length;
  await assert.rejects(backUp(repository, { signal: stop.signal, reporter }), { code: 'INTERRUPTED' });
  assert.equal((await listUnfinished(repository)).length, before + 1);
});
