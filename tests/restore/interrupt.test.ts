/** Signals: a command that is stopped cleans up, and says truthfully what is there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import pg from 'pg';
import { COMPILED, makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/tidemark');

/** A snapshot that takes some seconds to restore. */
async function stage(t: TestContext): Promise<{ site: Site; name: string }> {
  const database = await freshDatabase(await server(18));
  await query(
    database.url,
    'create table big as select g as id, repeat(md5(g::text), 12) as filler from generate_series(1, 200000) g; create index on big (md5(filler || id)); create index on big (md5(id || filler))',
  );
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  return { site, name: database.name };
}

/** `again`: the same signal is sent once more before it has cleaned up. */
async function stopped(
  site: Site,
  args: string[],
  signal: NodeJS.Signals,
  when: () => Promise<boolean>,
  again = false,
) {
  const child = spawn(PROGRAM, args, {
    cwd: site.folder,
    env: { PATH: process.env.PATH, HOME: site.folder, NODE_COMPILE_CACHE: COMPILED, LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([text(child.stderr), once(child, 'close')]);
  while (child.exitCode === null && !(await when())) await new Promise(resolve => setTimeout(resolve, 20));
  child.kill(signal);
  if (again) {
    await new Promise(resolve => setTimeout(resolve, 600));
    assert.equal(child.exitCode, null);
    child.kill(signal);
  }
  const [stderr, [code]] = await ended;
  return { stderr, code: code as number };
}

async function workingOnes(name: string): Promise<string[]> {
  const rows = await query<{ datname: string }>((await server(18)).url(), 'select datname from pg_database');
  return rows.map(row => row.datname).filter(each => each.startsWith(`${name.slice(0, 12)}_tidemark_`));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} during restore --to says that the target is filled in part`, async t => {
    const { site } = await stage(t);
    const target = await freshDatabase(await server(18));
    const begun = async () =>
      (await query(target.url, "select from pg_class where relname = 'big'")).length > 0;
    const { stderr, code } = await stopped(site, ['restore', 'shop', '--to', target.url], signal, begun);
    assert.equal(code, 130, stderr);
    assert.match(stderr, /INTERRUPTED/);
    assert.match(stderr, /is filled in part; run this again with --clean/);
    await site.json('restore', 'shop', '--to', target.url, '--clean', '--yes');
  });
}

test('SIGHUP during restore --new and --in-place leaves nothing', async t => {
  const { site, name } = await stage(t);
  const begun = async () => (await workingOnes(name)).length > 0;
  const created = await stopped(
    site,
    ['restore', 'shop', '--new', `${name}_n`],
    'SIGHUP',
    async () => (await workingOnes(`${name}_n`)).length > 0,
  );
  assert.equal(created.code, 130, created.stderr);
  const replaced = await stopped(site, ['restore', 'shop', '--in-place', '--yes'], 'SIGHUP', begun);
  assert.equal(replaced.code, 130, replaced.stderr);
  assert.match(replaced.stderr, new RegExp(`the database ${name} is as it was before`));
  assert.deepEqual(await workingOnes(name), []);
});

test('a second SIGINT during restore --new ends it at once; what it names as left is there', async t => {
  const { site, name } = await stage(t);
  const lock = new pg.Client((await server(18)).url());
  await lock.connect();
  t.after(() => lock.end());
  // Nothing can be dropped meanwhile.
  const begun = async () => {
    if ((await workingOnes(`${name}_n`)).length === 0) return false;
    await lock.query('begin; lock table pg_catalog.pg_database in share mode');
    return true;
  };
  const { stderr, code } = await stopped(
    site,
    ['restore', 'shop', '--new', `${name}_n`],
    'SIGINT',
    begun,
    true,
  );
  const [left] = await workingOnes(`${name}_n`);
  await lock.query('rollback');
  assert.equal(code, 130, stderr);
  assert.match(
    stderr,
    /^stopping; another Ctrl-C stops at once, which may leave: the half-restored database /m,
  );
  const drop = `DROP DATABASE "${left}"`;
  assert.match(stderr, new RegExp(`it may have left: the half-restored database ${left}: ${drop}`));
  // The server may carry out by now what it was asked before.
  await query((await server(18)).url(), drop.replace('DATABASE', 'DATABASE IF EXISTS'));
});
