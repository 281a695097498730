import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { locationOf } from '../storage/kinds.ts';
import { load } from './sample.ts';
import { renderStrategy, type TemplateOptions } from './template.ts';

const OPTIONS: TemplateOptions = {
  databaseName: 'shop',
  url: '$' + '{DATABASE_URL}',
  storage: './backups',
  keyFile: '~/.config/tidemark/shop.key',
};

async function loaded(options: TemplateOptions) {
  return load(renderStrategy(options), { DATABASE_URL: 'postgresql://u@h/shop', HOME: '/people/ann' });
}

test('what init writes loads without faults', async () => {
  const strategy = await loaded(OPTIONS);
  assert.equal(strategy.databases.get('shop')?.connection.url, 'postgresql://u@h/shop');
  assert.deepEqual(strategy.repositories.get('primary')?.storage, {
    kind: 'local',
    path: path.join(strategy.folder, 'backups'),
  });
  assert.deepEqual(strategy.repositories.get('primary')?.key, {
    kind: 'file',
    path: '/people/ann/.config/tidemark/shop.key',
  });
  assert.deepEqual([...strategy.plans.keys()], ['daily', 'before-deploy']);
  assert.equal(strategy.plans.get('daily')?.keep.get('primary')?.daily, 30);
});

test('so it does with names, paths and facts that YAML could take for something else', async () => {
  const awkward = { storage: '/mnt/a: b #c', keyFile: '- key "x"', url: OPTIONS.url };
  for (const databaseName of [
    '2024',
    'true',
    'a: b',
    '"',
    "it's",
    '#x',
    '*',
    'a/b',
    '- x',
    ' x ',
    'größe',
    '<<',
    '__proto__',
    '$' + '{X}',
    '-x',
  ]) {
    const strategy = await loaded({
      ...awkward,
      databaseName,
      facts: {
        serverVersion: '17.5',
        sizeBytes: 1_234_567_890,
        provider: 'Neon',
        privileges: ['two\nlines: [', 'no \u0085 break'],
      },
    });
    assert.deepEqual([...strategy.databases.keys()], [databaseName.replace('/', '-')]);
    assert.equal(locationOf(strategy.repositories.get('primary')!.storage), '/mnt/a: b #c');
  }
});

test('in place of a url, other keys may stand', async () => {
  const strategy = await loaded({ ...OPTIONS, url: { host: '/tmp', dbname: 'my db' } });
  assert.deepEqual({ ...strategy.databases.get('shop')?.connection }, { host: '/tmp', dbname: 'my db' });
});

test('it says what was found', () => {
  const text = renderStrategy({
    ...OPTIONS,
    facts: {
      serverVersion: '17.5',
      sizeBytes: 1_234_567_890,
      provider: 'Neon',
      privileges: ['Roles can be read.'],
    },
  });
  assert.match(
    text,
    /# Found by tidemark init: PostgreSQL 17\.5, 1\.2 GB, at Neon\.\n {4}# Roles can be read\./,
  );
  assert.ok(text.split('\n').every(line => line.length <= 120));
});
