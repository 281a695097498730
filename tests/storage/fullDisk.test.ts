/** Disks that are full: where an export goes, and where a repository is. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeSite, type Site, tidemark } from '../support/cli.ts';
import { freshDatabase, psql } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-full-'));
const mounted: string[] = [];
let site: Site;

/** A disk of so many kilobytes. */
function mountDisk(name: string, sizeKb: number): string {
  const path = join(folder, name);
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKb}k`, 'tmpfs', path]);
  mounted.push(path);
  return path;
}

const lacks = (() => {
  if (process.getuid?.() !== 0) return 'only root may mount a small disk';
  const probe = mkdtempSync(join(folder, 'probe-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe]).status !== 0)
    return 'mounting a small disk is not permitted here';
  execFileSync('umount', [probe]);
  return false;
})();

before(async () => {
  const database = await freshDatabase(await server(17));
  await psql(
    database.url,
    [],
    `create table public.noise as select g id, md5(g::text) || md5((g + 1)::text) text from generate_series(1, 60000) g`,
  );
  site = await makeSite({ shop: database.url });
  await site.json('backup', 'shop');
});

after(async () => {
  for (const path of mounted) spawnSync('umount', ['-l', path]);
  rmSync(folder, { recursive: true, force: true });
  await site?.remove();
});

test('prune and forget free space on a disk that is full to its last byte', { skip: lacks }, async t => {
  const disk = mountDisk('pruned', 16 * 1024);
  const database = await freshDatabase(await server(17));
  t.after(() => database.drop());
  const own = await makeSite({ shop: database.url });
  t.after(() => own.remove());
  renameSync(join(own.folder, 'repository'), join(own.folder, 'made'));
  execFileSync('cp', ['-r', join(own.folder, 'made'), join(disk, 'repository')]);
  symlinkSync(join(disk, 'repository'), join(own.folder, 'repository'));
  const noise =
    'select g id, md5(random()::text) || md5(random()::text) text from generate_series(1, 60000) g';
  await psql(database.url, [], `create table public.noise as ${noise}`);
  const { snapshot: first } = await own.json<{ snapshot: string }>('backup', 'shop');
  await psql(database.url, [], `drop table public.noise; create table public.noise as ${noise}`);
  const { snapshot: second } = await own.json<{ snapshot: string }>('backup', 'shop');
  const fill = () =>
    spawnSync('dd', ['if=/dev/zero', `of=${join(disk, `fill-${Math.random()}`)}`, 'bs=4096']);
  fill();
  await psql(database.url, [], `drop table public.noise; create table public.noise as ${noise}`);
  const failed = await own.run('backup', 'shop');
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /STORAGE_FULL/);
  fill();
  const forgot = await own.run('forget', first, '--yes');
  assert.equal(forgot.code, 0, forgot.stderr);
  const condemned = await own.run('prune', '--yes');
  assert.equal(condemned.code, 0, condemned.stderr);
  const folder = join(disk, 'repository/condemned');
  const then = new Date(Date.now() - 2 * 86_400_000);
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), then, then);
  const pruned = await own.json<{ repositories: { freed: { bytes: number } }[] }>('prune', '--yes');
  assert.ok(pruned.repositories[0]!.freed.bytes > 1_000_000, JSON.stringify(pruned));
  assert.equal(
    (await own.json<{ snapshots: { snapshot: string }[] }>('list')).snapshots[0]!.snapshot,
    second,
  );
  await own.json('backup', 'shop');
  await own.json('verify', '--all');
});

test('init on a full disk leaves nothing, and can be run again', { skip: lacks }, async () => {
  const disk = mountDisk('init', 64);
  spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'fill')}`, 'bs=1024']);
  for (const _ of [1, 2]) {
    const ran = await tidemark(disk, ['init', (await server(17)).url()]);
    assert.equal(ran.code, 2, ran.stdout);
    assert.match(ran.stderr, /can't be written: no space is left on the device \[ENV_FILE_UNWRITABLE\]/);
    assert.deepEqual(readdirSync(disk), ['fill']);
  }
});

test('prune says what to do where not even its own room is left', { skip: lacks }, async t => {
  const disk = mountDisk('bare', 1024);
  const database = await freshDatabase(await server(17));
  t.after(() => database.drop());
  const own = await makeSite({ shop: database.url });
  t.after(() => own.remove());
  execFileSync('cp', ['-r', join(own.folder, 'repository'), join(disk, 'repository')]);
  rmSync(join(own.folder, 'repository'), { recursive: true });
  symlinkSync(join(disk, 'repository'), join(own.folder, 'repository'));
  spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'fill')}`, 'bs=4096']);
  const ran = await own.run('prune', '--yes');
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /STORAGE_FULL/);
  assert.doesNotMatch(ran.stderr, /tidemark prune/);
});

for (const format of ['custom', 'directory', 'csv', 'plain']) {
  test(`export ${format} on a full disk names the path, and leaves nothing there`, {
    skip: lacks,
  }, async () => {
    const disk = mountDisk(format, 256);
    const target = join(disk, 'shop');
    const ran = await site.run('export', 'shop', '--format', format, '--output', target);
    assert.equal(ran.code, 1, ran.stdout + ran.stderr);
    assert.match(ran.stderr, new RegExp(`can't write ${target}`));
    assert.match(ran.stderr, /disk is full/);
    assert.match(ran.stderr, /EXPORT_FULL/);
    assert.doesNotMatch(ran.stderr, /defect/);
    assert.deepEqual(readdirSync(disk), []);
  });
}
