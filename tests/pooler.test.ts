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
import { serverAccount } from '../src/postgres/server/account.ts';
import { makeSite } from './support/cli.ts';
import { freshDatabase, query } from './support/databases.ts';
import { server } from './support/servers.ts';

const PGBOUNCER = '/usr/sbin/pgbouncer';

async function pooler(t: TestContext, mode: 'transaction' | 'session'): Promise<string> {
  const shared = await server(15);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-pooler-'));
  const port = await freePort();
  const config = join(folder, 'pgbouncer.ini');
  writeFileSync(
    config,
    `[databases]\n* = host=${shared.socketDir} port=${shared.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
      `unix_socket_dir =\nauth_type = any\npool_mode = ${mode}\nignore_startup_parameters = extra_float_digits,options\nlogfile = ${folder}/log\n`,
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

test('a transaction pooler is refused, with the cure', async t => {
  const database = await freshDatabase(await server(15));
  await query(database.url, 'create table t as select 1 as a');
  const site = await makeSite({ db: (await pooler(t, 'transaction')).replace('%s', database.name) });
  t.after(() => site.remove());
  const ran = await site.run('backup', 'db');
  assert.equal(ran.code, 1, ran.stderr);
  assert.match(ran.stderr, /\[TRANSACTION_POOLER\]/);
  assert.match(ran.stderr, /direct address/);
});

test('a session pooler works', async t => {
  const database = await freshDatabase(await server(15));
  await query(database.url, 'create table t as select 1 as a');
  const site = await makeSite({ db: (await pooler(t, 'session')).replace('%s', database.name) });
  t.after(() => site.remove());
  assert.equal((await site.json('backup', 'db')).rows, 1);
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
