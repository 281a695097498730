/** Through a pooler: refused where it would break the snapshot, fine where it keeps the session. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { serverAccount } from '../../src/postgres/server/account.ts';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const PGBOUNCER = '/usr/sbin/pgbouncer';

/** `options`: what it does about those of the start-up packet. */
async function pooler(
  t: TestContext,
  mode: 'transaction' | 'session',
  options: 'ignores' | 'refuses' = 'ignores',
): Promise<string> {
  const shared = await server(15);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-pooler-'));
  const port = await freePort();
  const config = join(folder, 'pgbouncer.ini');
  writeFileSync(
    config,
    `[databases]\n* = host=${shared.socketDir} port=${shared.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
      `unix_socket_dir =\nauth_type = any\npool_mode = ${mode}\nignore_startup_parameters = extra_float_digits${options === 'ignores' ? ',options' : ''}\nlogfile = ${folder}/log\n`,
  );
  const account = serverAccount();
  if (account) for (const path of [folder, config]) chownSync(path, account.uid, account.gid);
  const child = spawn(PGBOUNCER, [config], {
    stdio: 'ignore',
    ...(account ? { uid: account.uid, gid: account.gid } : {}),
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const url = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  for (let i = 0; i < 100; i++) {
    if (
      await query(url('postgres'), 'select 1').then(
        () => true,
        () => false,
      )
    )
      return url('%s');
    await delay(50);
  }
  throw new Error('pgbouncer did not start');
}

for (const options of ['ignores', 'refuses'] as const) {
  test(`a transaction pooler that ${options} options is refused, with the cure, and left as it is`, async t => {
    const database = await freshDatabase(await server(15));
    await query(
      database.url,
      `create table t as select 1 as a; alter database ${database.name} set search_path = public, pg_catalog`,
    );
    const url = (await pooler(t, 'transaction', options)).replace('%s', database.name);
    const site = await makeSite({ db: url, direct: database.url });
    t.after(() => site.remove());
    const ran = await site.run('backup', 'db');
    assert.equal(ran.code, 1, ran.stderr);
    assert.match(ran.stderr, /\[TRANSACTION_POOLER\]/);
    assert.match(ran.stderr, /direct address/);
    const checked = await site.run('check', '--online');
    assert.match(checked.stdout, /pooler in transaction mode/);
    await site.json('backup', 'direct');
    const restored = await site.run('restore', 'direct', '--to', url, '--clean', '--yes');
    assert.match(restored.stderr, /\[TRANSACTION_POOLER\]/);
    // The application gets the same server session afterwards.
    const [shown] = await query(url, 'show search_path');
    assert.deepEqual({ ...shown }, { search_path: 'public, pg_catalog' });
  });

  test(`a session pooler that ${options} options works, whatever the database says`, async t => {
    const database = await freshDatabase(await server(15));
    await query(
      database.url,
      `create table t as select 1 as a; create schema evil;
       create function evil.current_setting(text) returns text language plpgsql as $$ begin raise 'called'; end $$;
       alter database ${database.name} set search_path = evil, pg_catalog;
       alter database ${database.name} set default_transaction_read_only = on;
       alter database ${database.name} set quote_all_identifiers = on`,
    );
    const url = (await pooler(t, 'session', options)).replace('%s', database.name);
    const site = await makeSite({ db: url });
    t.after(() => site.remove());
    assert.equal((await site.json('backup', 'db')).rows, 1);
    const target = await freshDatabase(await server(15));
    await query(target.url, `alter database ${target.name} set default_transaction_read_only = on`);
    await site.json('restore', 'db', '--to', url.replace(database.name, target.name));
    assert.equal((await query(target.url, 'select * from public.t')).length, 1);
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
