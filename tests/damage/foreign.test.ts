/** What lies about in a repository that Tidemark has not made, what is missing from it, and clocks that are wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ODD_NAMES } from '../../src/storage/laws.ts';
import { makeSite, type Site, tidemark } from '../support/cli.ts';
import { freshDatabase, psql } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PLANS =
  'plans:\n  daily: { database: shop, capture: logical, schedule: manual, store: [main, other] }\n';

interface Checked {
  ok: boolean;
  findings: { subject: string; check: string; level: string; message: string }[];
}

async function makeShop(t: TestContext) {
  const database = await freshDatabase(await server(17));
  await psql(database.url, [], 'create table public.a as select g id from generate_series(1, 100) g');
  const site = await makeSite({ shop: database.url }, PLANS, ['other']);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  const backup = async () => (await site.json<{ snapshot: string }>('backup', 'shop')).snapshot;
  return { site, backup };
}

async function check(site: Site): Promise<{ code: number | null; findings: Checked['findings'] }> {
  const ran = await site.run('check', '--online', '--json');
  return { code: ran.code, findings: (JSON.parse(ran.stdout) as Checked).findings };
}

const levels = (findings: Checked['findings'], subject: string, name: string) =>
  findings.filter(each => each.subject === subject && each.check === name).map(each => each.level);

test('check, list and show say right only of what they looked at', async t => {
  const { site, backup } = await makeShop(t);
  const first = await backup();
  const second = await backup();
  const sound = await check(site);
  for (const name of ['main', 'other'])
    assert.deepEqual(levels(sound.findings, `repository ${name}`, 'packs'), ['ok']);
  assert.equal((await site.run('list')).code, 0);
  assert.equal((await site.run('show', second)).code, 0);

  // All packs gone from one of the two repositories, which is not the nearest.
  renameSync(join(site.folder, 'other/packs'), join(site.folder, 'kept-packs'));
  const gone = await check(site);
  assert.equal(gone.code, 3);
  assert.deepEqual(levels(gone.findings, 'repository main', 'packs'), ['ok']);
  assert.deepEqual(levels(gone.findings, 'repository other', 'packs'), ['fault', 'fault']);
  const listed = await site.run('list', '--json');
  assert.equal(listed.code, 3);
  const { snapshots } = JSON.parse(listed.stdout) as { snapshots: { damagedIn: string[] }[] };
  assert.deepEqual(
    snapshots.map(each => each.damagedIn),
    [['other'], ['other']],
  );
  const shown = await site.run('show', second);
  assert.equal(shown.code, 3, shown.stdout);
  assert.match(shown.stdout, /DAMAGED +in other/);
  assert.equal((await site.run('show', second, '--repository', 'other')).code, 3);
  renameSync(join(site.folder, 'kept-packs'), join(site.folder, 'other/packs'));
  assert.equal((await check(site)).code, 0);

  // One pack cut short, in the nearest.
  const folder = join(site.folder, 'main-pack');
  mkdirSync(folder);
  const session = join(site.folder, 'repository/packs', first);
  const [pack] = readdirSync(session);
  renameSync(join(session, pack!), join(folder, pack!));
  writeFileSync(join(session, pack!), 'short');
  const short = await check(site);
  assert.equal(short.code, 3);
  assert.ok(levels(short.findings, 'repository main', 'packs').includes('fault'));
  assert.equal((await site.run('list')).code, 3);
  renameSync(join(folder, pack!), join(session, pack!));

  // The newest manifest broken in the repository that is asked second.
  const manifest = readdirSync(join(site.folder, 'other/snapshots')).find(name => name.startsWith(second))!;
  writeFileSync(join(site.folder, 'other/snapshots', manifest), 'broken');
  const broken = await check(site);
  assert.equal(broken.code, 3);
  assert.match(
    broken.findings.find(each => each.check === 'manifests')?.message ?? '',
    new RegExp(`snapshots/${manifest}`),
  );
  const list = await site.run('list');
  assert.equal(list.code, 3);
  assert.match(list.stderr, new RegExp(`other: .*${manifest}`));
  assert.equal((await site.run('show', second)).code, 3);
});

test('a copy that lags behind, or is not there at all, is told; so is what is left of a repository', async t => {
  const { site, backup } = await makeShop(t);
  await backup();
  const second = await backup();
  const manifest = readdirSync(join(site.folder, 'other/snapshots')).find(name => name.startsWith(second))!;
  rmSync(join(site.folder, 'other/snapshots', manifest));
  const behind = await check(site);
  assert.match(
    behind.findings.map(each => each.message).join('\n'),
    new RegExp(`other lacks ${second}, which main has; plan daily stores in both`),
  );
  rmSync(join(site.folder, 'other/snapshots'), { recursive: true });
  for (const command of [
    ['verify', 'shop'],
    ['verify', '--budget', '1GB'],
  ]) {
    const ran = await site.run(...command);
    assert.equal(ran.code, 3, command.join(' '));
    assert.match(
      ran.stdout,
      /there is no snapshot of shop in other, where its plans store it \[SNAPSHOTS_ABSENT/,
    );
    assert.match(ran.stdout, /tidemark copy --from main --to other --database shop/);
  }

  // What is left of a repository says what it was, and nobody is told to make another there.
  rmSync(join(site.folder, 'repository/repository.json'));
  const headless = await site.run('list', '--repository', 'main');
  assert.match(headless.stderr, /repository.json is not in .*, where other objects of a repository are/);
  assert.match(headless.stderr, /tidemark repair REPOSITORY --id ID/);
});

test('what others leave in any folder of a repository stops nothing, is kept, and is named by check', async t => {
  const { site, backup } = await makeShop(t);
  const first = await backup();
  await site.json('hold', first, '--reason', 'case 17');
  await site.json('verify', '--all');
  const repository = join(site.folder, 'repository');
  const names = [...ODD_NAMES, 'Thumbs.db', 'notes', 'manifest-conflict'];
  const folders = [
    '',
    ...FOLDERS,
    `packs/${first}`,
    `holds/${first}`,
    `leases/${first}`,
    `unfinished/${first}`,
  ];
  const planted: string[] = [];
  for (const folder of folders) {
    mkdirSync(join(repository, folder), { recursive: true });
    for (const name of names) {
      planted.push(join(folder, name));
      writeFileSync(join(repository, folder, name), 'theirs');
    }
    writeFileSync(
      Buffer.concat([Buffer.from(join(repository, folder)), Buffer.from('/not-utf8-\xff', 'latin1')]),
      'x',
    );
    // A folder where a file belongs.
    mkdirSync(join(repository, folder, 'a folder', 'deep'), { recursive: true });
  }
  mkdirSync(join(repository, 'snapshots/20200101-000000000-00000000'));
  mkdirSync(join(repository, `packs/${first}/00000099`));
  const found = await check(site);
  assert.equal(found.code, 0, JSON.stringify(found.findings.filter(each => each.level === 'fault')));
  assert.deepEqual(levels(found.findings, 'repository main', 'names'), ['warning']);
  assert.deepEqual(levels(found.findings, 'repository other', 'names'), []);
  const second = await backup();
  const listed = await site.json<{ snapshots: { snapshot: string }[] }>('list');
  assert.deepEqual(
    listed.snapshots.map(each => each.snapshot),
    [first, second],
  );
  for (const command of [
    ['show', second],
    ['verify', '--all'],
    ['prune', '--yes'],
    ['copy', '--from', 'main', '--to', 'other', '--database', 'shop'],
    ['heal', '--all', '--yes'],
    ['repair', 'main', '--yes'],
    ['doctor', 'storage', 'main'],
    ['key', 'list', 'main'],
    ['release', first],
    ['forget', first, '--yes'],
  ]) {
    const ran = await site.run(...command);
    assert.equal(ran.code, 0, `${command.join(' ')}: ${ran.stdout}${ran.stderr}`);
  }
  const target = await freshDatabase(await server(17));
  await site.json('restore', 'shop', '--to', target.url, '--repository', 'main', '--yes');
  assert.equal((await psql(target.url, ['-At'], 'select count(*) from public.a')).trim(), '100');
  await target.drop();
  for (const each of planted) assert.ok(statSync(join(repository, each)).isFile(), each);
});

const FOLDERS = [
  ...['keys', 'epochs', 'packs', 'snapshots', 'forgotten', 'leases', 'leases/prune', 'leases/keys', 'holds'],
  ...['unfinished', 'locked', 'condemned', 'revisions', 'checks', 'compactions', 'doctor', '.unfinished'],
];

test('a folder or an object that is a link elsewhere is an error, and nothing behind it is touched', async t => {
  const { site, backup } = await makeShop(t);
  const first = await backup();
  const repository = join(site.folder, 'repository');
  const elsewhere = join(site.folder, 'elsewhere');
  for (const folder of ['packs', 'snapshots', 'leases', 'forgotten', 'holds', 'condemned']) {
    const own = join(repository, folder);
    rmSync(elsewhere, { recursive: true, force: true });
    mkdirSync(join(elsewhere, 'precious'), { recursive: true });
    writeFileSync(join(elsewhere, 'precious/000001'), 'theirs');
    rmSync(join(site.folder, 'kept'), { recursive: true, force: true });
    try {
      renameSync(own, join(site.folder, 'kept'));
    } catch {
      mkdirSync(join(site.folder, 'kept')); // there was none
    }
    symlinkSync(elsewhere, own);
    assert.equal((await check(site)).code, 3, folder);
    const ran = await site.run('prune', '--yes');
    assert.notEqual(ran.code, 0, `${folder}: ${ran.stdout}`);
    assert.deepEqual(
      readdirSync(elsewhere, { recursive: true }).sort(),
      ['precious', 'precious/000001'],
      folder,
    );
    rmSync(own);
    renameSync(join(site.folder, 'kept'), own);
  }
  assert.equal((await check(site)).code, 0);
  assert.equal((await site.run('show', first)).code, 0);
});

test('what stands in the place of an object is damage: nothing is taken for a repository without it', async t => {
  const { site, backup } = await makeShop(t);
  const first = await backup();
  const second = await backup();
  await site.json('hold', first, '--reason', 'case 17');
  const repository = join(site.folder, 'repository');
  const [hold] = readdirSync(join(repository, 'holds', first));
  const elsewhere = join(site.folder, 'elsewhere');
  const link = (path: string) => symlinkSync(elsewhere, path);
  const fifo = (path: string) => void execFileSync('mkfifo', [path]);
  const endless = (path: string) => symlinkSync('/dev/zero', path);
  const places: [string, (path: string) => void, string[][]][] = [
    [`snapshots/${second}`, link, [['list'], ['verify'], ['prune', '--yes']]],
    [`snapshots/${second}`, fifo, [['show', second]]],
    [`holds/${first}/${hold}`, link, [['verify']]],
    [`holds/${first}`, link, [['prune', '--yes']]],
    [`revisions/${second}`, link, [['verify'], ['prune', '--yes']]],
    [`leases/${second}/000001`, fifo, [['prune', '--yes']]],
    ['epochs/1.json', link, [['backup', 'shop']]],
    ['keys/other.json', fifo, [['verify']]],
    ['repository.json', endless, [['list']]],
  ];
  for (const [name, plant, commands] of places) {
    const path = join(repository, name);
    rmSync(elsewhere, { recursive: true, force: true });
    mkdirSync(dirname(path), { recursive: true });
    const there = existsSync(path);
    if (there) renameSync(path, elsewhere);
    else mkdirSync(elsewhere);
    plant(path);
    for (const command of commands) {
      const ran = await site.run(...command);
      const said = ran.stdout + ran.stderr;
      assert.ok(
        ran.code === 1 || ran.code === 2 || ran.code === 3,
        `${name}: ${command}: ${ran.code} ${said}`,
      );
      assert.doesNotMatch(said, /INTERNAL|tidemark init/, `${name}: ${command}`);
    }
    rmSync(path);
    if (there) renameSync(elsewhere, path);
    assert.ok(!existsSync(join(repository, 'condemned')), name);
    assert.equal((await site.json<{ holds: unknown[] }>('show', first)).holds.length, 2, name);
  }
  assert.equal((await site.run('verify', '--all')).code, 0);
});

/** Environment of a program whose machine's clock, and that of its file systems if wished, is so far ahead. */
function shifted(ms: number, files = false): Record<string, string> {
  const clock = `const real = Date; globalThis.Date = class extends real {
    constructor(...a) { if (a.length > 0) super(...a); else super(real.now() + ${ms}); }
    static now() { return real.now() + ${ms}; } };`;
  const stats = `import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
    const lstat = fs.promises.lstat; fs.promises.lstat = async (...a) => { const found = await lstat(...a);
    Object.defineProperty(found, 'mtime', { value: new Date(found.mtimeMs + ${ms}) }); return found; }; syncBuiltinESMExports();`;
  const program = encodeURIComponent(clock + (files ? stats : '')).replaceAll("'", '%27');
  return { NODE_OPTIONS: `--import="data:text/javascript,${program}"` };
}

test('a machine whose clock is off makes no snapshot, and one dated in the future is never the latest', async t => {
  const { site, backup } = await makeShop(t);
  const first = await backup();
  const dayMs = 86_400_000;
  for (const days of [365, -365, 0.01]) {
    const ran = await tidemark(site.folder, ['backup', 'shop'], shifted(days * dayMs));
    assert.equal(ran.code, 1, ran.stdout + ran.stderr);
    assert.match(ran.stderr, /CLOCK_WRONG/);
    const looked = await tidemark(site.folder, ['check', '--online'], shifted(days * dayMs));
    assert.equal(looked.code, 3, looked.stdout);
    assert.match(looked.stdout, /the clock of this machine is .* (ahead of|behind)/);
  }
  // As a machine leaves it whose storage has the same wrong clock.
  const ran = await tidemark(site.folder, ['backup', 'shop', '--json'], shifted(365 * dayMs, true));
  assert.equal(ran.code, 0, ran.stderr);
  const { snapshot: future } = JSON.parse(ran.stdout) as { snapshot: string };
  assert.ok(future > first.replace(/^\d{4}/, year => String(Number(year) + 1)));
  const listed = await site.json<{ snapshots: { snapshot: string; ahead: boolean }[] }>('list');
  assert.deepEqual(
    listed.snapshots.map(each => [each.snapshot, each.ahead]),
    [
      [first, false],
      [future, true],
    ],
  );
  assert.equal((await site.json<{ snapshot: string }>('show', 'shop')).snapshot, first);
  const found = await check(site);
  assert.equal(found.code, 3);
  assert.deepEqual(levels(found.findings, 'repository main', 'dates'), ['fault']);
  const ages = found.findings.filter(each => each.check === 'newest').map(each => each.message);
  assert.ok(ages.length > 0 && ages.every(message => !message.includes(future)), ages.join('\n'));
  const pruned = await site.json<{ repositories: { forgotten: string[] }[] }>('prune', '--yes');
  for (const { forgotten } of pruned.repositories) assert.deepEqual(forgotten, []);
});
