import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { TidemarkError } from '../../base/errors.ts';
import { mayUse } from './account.ts';
import { embeddedPrograms } from './embedded.ts';
import { startServer } from './throwaway.ts';

const programs = embeddedPrograms()!;
const fast = { fsync: 'off' };

async function ask(url: string, sql: string): Promise<Record<string, unknown>> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows[0];
}

/** A process that has ended but that nobody has asked about yet (a zombie) is not alive. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('a server starts, answers over its socket, and leaves nothing behind', async () => {
  const server = await startServer({ programs, configuration: { ...fast, work_mem: '5MB' } });
  const row = await ask(server.url(), "select current_setting('work_mem') as memory, current_user as me");
  assert.deepEqual(row, { memory: '5MB', me: 'postgres' });
  assert.match(server.log(), /ready to accept connections/);
  assert.notEqual(statSync(server.dataDir).uid, 0, 'a server never runs as root');
  await Promise.all([server.stop(), server.stop()]);
  assert.equal(existsSync(server.socketDir), false);
  assert.equal(alive(server.pid), false);
});

test('with an address to listen on, it takes a free port', async () => {
  const server = await startServer({ programs, configuration: { ...fast, listen_addresses: '127.0.0.1' } });
  const row = await ask(`postgresql://postgres@127.0.0.1:${server.port}/postgres`, 'select 1 as one');
  assert.deepEqual(row, { one: 1 });
  await server.stop();
});

test('a setting that the server refuses comes back with the end of its log', async () => {
  const started = startServer({ programs, configuration: { shared_buffers: 'plenty' } });
  await assert.rejects(started, (error: unknown) => {
    assert.ok(error instanceof TidemarkError);
    assert.equal(error.code, 'SERVER_START_FAILED');
    assert.match(error.message, /invalid value for parameter "shared_buffers"/);
    return true;
  });
});

test('programs that are not there are named', async () => {
  await assert.rejects(startServer({ programs: '/nowhere/bin' }), { code: 'NO_SERVER_PROGRAMS' });
});

test('a start that is given up leaves nothing behind, whatever it was doing', async t => {
  const folder = mkdtempSync(join('/tmp', 'given-up-'));
  chmodSync(folder, 0o755);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(folder, { recursive: true });
  });
  for (const afterMs of [0, 20, 50, 100, 200, 300, 400]) {
    const started = startServer({ programs, configuration: fast, signal: AbortSignal.timeout(afterMs) });
    // A fast machine may have started before; then there is something to stop.
    const server = await started.catch(error => assert.equal(error.name, 'TimeoutError'));
    await server?.stop();
    assert.deepEqual(readdirSync(folder), []);
  }
});

test('programs in a closed folder, installed without their links, are completed and run from a copy', async () => {
  const closed = mkdtempSync(join(tmpdir(), 'closed-'));
  const native = join(closed, 'native');
  await cp(dirname(programs), native, { recursive: true, filter: from => !lstatSync(from).isSymbolicLink() });
  assert.equal(mayUse(native, { name: 'other', uid: 12345, gid: 12345 }), false);
  const server = await startServer({ programs: join(native, 'bin'), configuration: fast });
  assert.deepEqual(await ask(server.url(), 'select 1 as one'), { one: 1 });
  await server.stop();
  rmSync(closed, { recursive: true });
});

for (const ending of [
  'process.exit(0)',
  "process.kill(process.pid, 'SIGTERM')",
  "throw new RangeError('end')",
]) {
  test(`the server is gone when its owner ends by ${ending}`, async () => {
    const source = `
      const { startServer } = await import(${JSON.stringify(join(import.meta.dirname, 'throwaway.ts'))});
      const server = await startServer({ programs: ${JSON.stringify(programs)}, configuration: { fsync: 'off' } });
      process.stdout.write(JSON.stringify({ pid: server.pid, root: server.socketDir }), () => { ${ending} });
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const output: Buffer[] = [];
    owner.stdout.on('data', chunk => output.push(chunk));
    await once(owner, 'close');
    const { pid, root } = JSON.parse(Buffer.concat(output).toString()) as { pid: number; root: string };
    for (let polls = 0; alive(pid) && polls < 200; polls++) await delay(10);
    assert.equal(alive(pid), false);
    assert.equal(existsSync(root), false);
  });
}
