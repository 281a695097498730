/** Disks that are full: where an export goes, and where a repository is. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeSite, type Site } from './support/cli.ts';
import { freshDatabase, psql } from './support/databases.ts';
import { server } from './support/servers.ts';

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
