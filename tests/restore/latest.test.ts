/** What is meant where only a database is named: its newest whole snapshot, and the same in every command. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSite, type Ran, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main], tables: { exclude: [public.sessions] } }
  some: { database: shop, schedule: manual, store: [main], tables: { include: [public.a] } }
`;

interface Listed {
  snapshots: { snapshot: string; part: string | null }[];
}

type Target = (...args: string[]) => Promise<Ran>;

const READING = [['show'], ['export', '--format', 'plain', '-o', 'out.sql'], ['thaw']] as const;

test('neither a safety snapshot nor a part of a database is its latest snapshot, in any command', async t => {
  const postgres = await server(15);
  const database = await freshDatabase(postgres);
  await query(
    database.url,
    'create table a (n int); create table b (n int); create table sessions (n int); insert into a values (1); insert into b values (1)',
  );
  const site = await makeSite({ shop: database.url }, PLANS);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  const backup = async (...args: string[]) => String((await site.json('backup', 'shop', ...args)).snapshot);
  const target = async (...args: string[]) => {
    const into = await freshDatabase(postgres);
    const ran = await site.run('restore', ...args, '--to', into.url);
    await into.drop();
    return ran;
  };

  const onlyA = await backup('--plan', 'some');
  await nothingWhole(site, target, onlyA);
  const whole = await backup('--plan', 'daily');
  const parts = {
    [await backup('--plan', 'daily', '--table', 'a')]: 'only a, without public.sessions',
    [await backup('--plan', 'daily', '--exclude-table', 'b')]: 'without b',
    [await backup('--plan', 'daily', '--schema-only')]: 'without public.sessions, definitions only',
    [await backup('--plan', 'daily', '--data-only')]: 'without public.sessions, rows only',
  };
  const inPlace = ['restore', 'shop', '--in-place', '--table', 'a', '--yes'];
  const { safetySnapshot } = await site.json<{ safetySnapshot: string }>(...inPlace);
  parts[safetySnapshot] = 'safety snapshot';

  const { snapshots } = await site.json<Listed>('list', 'shop');
  const listed = Object.fromEntries(snapshots.map(each => [each.snapshot, each.part]));
  assert.deepEqual(listed, { [onlyA]: 'only public.a', [whole]: null, ...parts });
  const text = (await site.run('list')).stdout;
  for (const [snapshot, part] of Object.entries(parts))
    assert.match(text, new RegExp(`${snapshot}.* ${part}`));
  await wholeChosen(site, target, whole, safetySnapshot);
});

async function nothingWhole(site: Site, target: Target, onlyA: string): Promise<void> {
  const none = await target('shop');
  assert.equal(none.code, 2, none.stderr);
  assert.match(none.stderr, /NO_WHOLE_SNAPSHOT.*\n.*tidemark backup shop/);
  assert.match(none.stderr, new RegExp(`${onlyA} \\(only public\\.a\\)`));
  for (const [name, ...args] of [...READING, ['verify']]) {
    const ran = await site.run(name, 'shop', ...args);
    assert.match(ran.stderr, /NO_WHOLE_SNAPSHOT/, name);
    assert.equal(ran.code, 2);
  }
  assert.equal((await site.run('verify')).code, 0, 'what there is is verified');
  assert.equal((await target(onlyA)).code, 0, 'it can be named');
}

async function wholeChosen(site: Site, target: Target, whole: string, safety: string): Promise<void> {
  const restored = await target('shop');
  assert.equal(restored.code, 0, restored.stderr);
  const [first] = restored.stderr.split('\n');
  assert.match(
    first!,
    new RegExp(`snapshot ${whole} of shop.*the newest whole one; newer ones are passed over`),
  );
  assert.match(first!, new RegExp(`${safety} \\(safety snapshot\\)`));
  assert.match((await target('shop', '--snapshot', 'latest')).stderr, new RegExp(`snapshot ${whole}`));
  const named = await target('shop', '--snapshot', safety);
  assert.match(named.stderr, new RegExp(`snapshot ${safety}.*not a whole one: safety snapshot`));
  assert.match((await target(whole, '--snapshot', whole)).stderr, /SNAPSHOT_TWICE/);

  for (const [name, ...args] of READING) {
    const ran = await site.run(name, 'shop', ...args);
    assert.equal(ran.code, 0, name + ran.stderr);
    assert.match(ran.stderr, new RegExp(`${whole} is the newest whole snapshot; newer ones are passed over`));
    assert.match(ran.stdout, new RegExp(whole));
  }
  for (const args of [['verify'], ['verify', 'shop']])
    assert.match((await site.run(...args)).stdout, new RegExp(`ok +${whole} of shop`));

  // A strategy that has lost its plans, as the one of the recovery kit has.
  const strategy = join(site.folder, 'tidemark.yaml');
  await writeFile(strategy, (await readFile(strategy, 'utf8')).replace(PLANS, ''));
  assert.match((await target('shop')).stderr, new RegExp(`snapshot ${whole}`));
}

test('what is asked for by hand goes together with what the plan captures', async t => {
  const plans = `plans:
  schema: { database: shop, schedule: manual, store: [main], schema_only: true }
  rows: { database: shop, schedule: manual, store: [main], data_only: true }
`;
  const site = await makeSite({ shop: 'postgresql://nobody@localhost/none' }, plans);
  t.after(() => site.remove());
  for (const [plan, option] of [
    ['schema', '--data-only'],
    ['rows', '--schema-only'],
  ] as const) {
    const { code, stderr } = await site.run('backup', 'shop', '--plan', plan, option);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /OPTIONS_CONTRADICT/);
  }
});

test('a snapshot is not named by next to nothing', async t => {
  const site = await makeSite({ shop: 'postgresql://nobody@localhost/none' });
  t.after(() => site.remove());
  for (const args of [['forget'], ['show'], ['hold', '--reason', 'x'], ['release'], ['verify'], ['heal']])
    for (const short of ['2', '20', '202'])
      assert.match((await site.run(...args, short)).stderr, /SNAPSHOT_SHORT/, args.join(' '));
  for (const args of [
    ['verify', 'shap'],
    ['restore', 'shap', '--new', 'x'],
    ['export', 'shap', '--format', 'plain'],
  ]) {
    const { code, stderr } = await site.run(...args);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /a snapshot shap, nor is it a database \[SNAPSHOT_UNKNOWN\]\n.*databases of the strategy: shop/,
    );
  }
});
