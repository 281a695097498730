import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeRepository } from '../../tests/support/cli.ts';
import { smallBackup } from '../../tests/support/smallBackup.ts';
import { Repository } from '../repository/repository.ts';
import { LocalStorage } from '../storage/local/storage.ts';
import { loadStrategy } from '../strategy/load.ts';
import { type ListOptions, listSnapshots } from './list.ts';

test('snapshots of several repositories are listed once, and with a count the newest of all', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-list-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const open = async (name: string) => {
    await makeRepository(join(folder, name), join(folder, `${name}.key`));
    const text = await readFile(join(folder, `${name}.key`), 'utf8');
    return Repository.open(new LocalStorage(join(folder, name)), { kind: 'key', text, where: name });
  };
  const [main, archive] = [await open('main'), await open('archive')];
  const repositories = ['main', 'archive'].map(
    name => `{ storage: ./${name}, key: { file: ./${name}.key } }`,
  );
  const text = `databases: {}\nrepositories:\n  main: ${repositories[0]}\n  archive: ${repositories[1]}\n`;
  writeFileSync(join(folder, 'tidemark.yaml'), text);
  const strategy = await loadStrategy(join(folder, 'tidemark.yaml'), {}, { secrets: 'optional' });

  const made = [];
  for (const [i, where] of [archive, main, main, archive, main].entries())
    made.push((await smallBackup(where, { block: `${i}` })).snapshot);
  const [first, second, third, fourth, fifth] = made as [string, string, string, string, string];
  await smallBackup(archive, { block: '1' }, {}, second);
  const listed = async (options: ListOptions) => {
    const { snapshots, failures } = await listSnapshots(strategy, options);
    assert.deepEqual(failures, []);
    return snapshots.map(each => [each.snapshot, ...each.repositories]);
  };
  const all = [
    [first, 'archive'],
    [second, 'main', 'archive'],
    [third, 'main'],
    [fourth, 'archive'],
    [fifth, 'main'],
  ];
  assert.deepEqual(await listed({}), all);
  for (const last of [1, 2, 3, 4, 5, 6]) assert.deepEqual(await listed({ last }), all.slice(-last));
  assert.deepEqual(await listed({ last: 2, repository: 'archive' }), [[second, 'archive'], all[3]]);
  assert.deepEqual(await listed({ database: 'small', last: 1 }), all.slice(-1));
  assert.deepEqual(await listed({ database: 'other' }), []);
  assert.deepEqual(await listed({ database: 'other', last: 1 }), []);
});
