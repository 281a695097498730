/** Servers that take connections and say nothing, or a byte now and then: every call ends, and an interruption begins to stop at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '../../src/base/errors.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { parseStorage } from '../../src/storage/address.ts';
import { openStorage } from '../../src/storage/index.ts';
import { kindOf } from '../../src/storage/kinds.ts';
import { DeadlineStorage } from '../../src/storage/wrap/deadline.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/tidemark');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-silent-'));
const sockets = new Set<Socket>();
let over = false;

/** Listens; `talk` is what it does with a connection. */
async function serve(talk: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    if (over) return void socket.destroy();
    sockets.add(socket);
    talk(socket);
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

after(() => {
  over = true;
  for (const socket of sockets) socket.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const silent = await serve(socket => socket.resume());
/** The head of a good answer at once, then a byte five times a second. */
const slow = await serve(socket => {
  socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 100000\r\n\r\n');
    setInterval(() => socket.destroyed || socket.write('x'), 200).unref();
  });
});

const KEY = Buffer.alloc(64, 1).toString('base64');
const PLACES = (port: number) => ({
  s3: {
    address: `s3://bucket?endpoint=http://127.0.0.1:${port}`,
    credentials: { access_key_id: 'x', secret_access_key: 'y' },
  },
  azure: {
    address: `azure://account/container?endpoint=http://127.0.0.1:${port}/account`,
    credentials: { account_key: KEY },
  },
  sftp: { address: `sftp://user@127.0.0.1:${port}/x`, credentials: { password: 'x' } },
});

for (const [kind, { address, credentials }] of Object.entries(PLACES(silent))) {
  test(`${kind}: a call to a server that never answers ends in time, and soon after an interruption`, async () => {
    const spec = parseStorage(address, { credentials });
    const bare = await kindOf(spec).open(spec);
    const timed = new DeadlineStorage(bare, { callMs: 500 });
    const timeout = (error: unknown) =>
      error instanceof TidemarkError && error.code === 'STORAGE_TIMEOUT' && !!error.retry;
    await assert.rejects(timed.get('repository.json'), timeout);
    await assert.rejects(timed.stat('repository.json'), timeout);
    await assert.rejects(timed.put('packs/1', [Buffer.alloc(1000)]), timeout);
    await assert.rejects(Array.fromAsync(timed.list('')), timeout);
    const stop = new AbortController();
    const told: string[] = [];
    const storage = await openStorage({ spec }, { signal: stop.signal, waiting: line => told.push(line) });
    const calls = [storage.get('x'), storage.stat('x'), Array.fromAsync(storage.list(''))].map(each =>
      assert.rejects(each, { name: 'AbortError' }),
    );
    await sleep(200);
    const begun = performance.now();
    stop.abort();
    await Promise.all(calls);
    assert.ok(performance.now() - begun < 10_000);
    await Promise.all([storage.close(), bare.close()]);
  });
}

test('a server that sends a byte now and then is given up too', async () => {
  const { address, credentials } = PLACES(slow).s3;
  const spec = parseStorage(address, { credentials });
  const storage = new DeadlineStorage(await kindOf(spec).open(spec), { callMs: 1500 });
  await assert.rejects(storage.get('snapshots/x'), { code: 'STORAGE_TIMEOUT' });
});

/** A command in a folder with a strategy of two repositories, both on the server that listens there. */
function start(port: number, args: readonly string[]) {
  const { address, credentials } = PLACES(port).s3;
  const at = mkdtempSync(join(folder, 'site-'));
  writeFileSync(join(at, 'k.key'), `${newKeyText()}\n`, { mode: 0o600 });
  const repository = `storage: ${JSON.stringify(address)}, key: { file: ./k.key }, credentials: ${JSON.stringify(credentials)}`;
  writeFileSync(
    join(at, 'tidemark.yaml'),
    `databases:
  shop: { url: "postgresql://127.0.0.1:1/x" }
repositories:
  main: { ${repository} }
  other: { ${repository.replace('bucket', 'second')} }
plans:
  daily: { database: shop, capture: logical, schedule: manual, store: [main], keep: 30d }
`,
  );
  const child = spawn(PROGRAM, args, { cwd: at, stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, told: text(child.stderr) };
}

for (const [signal, ...args] of [
  ['SIGINT', 'list'],
  ['SIGTERM', 'restore', 'shop', '--new', 'x'],
] as const) {
  test(`the first ${signal} ends a command that waits for a silent server, which it has said`, async () => {
    const { child, told } = start(silent, args);
    await sleep(12_000);
    const begun = performance.now();
    child.kill(signal);
    const [code] = await once(child, 'close');
    assert.ok(performance.now() - begun < 10_000, `${performance.now() - begun}`);
    assert.equal(code, 130);
    assert.match(await told, /waiting for s3:.*no answer yet/);
    assert.match(await told, /^tidemark: interrupted \[INTERRUPTED\]/m);
  });
}

/** Each with what it may leave. */
const LONG: [leaves: RegExp, ...args: string[]][] = [
  [/packs that no snapshot refers to.*a lease/, 'backup', 'shop'],
  [/a lease in the repository/, 'verify'],
  [/a lease in the repository/, 'restore', 'shop', '--new', 'x'],
  [/a lease in the repository/, 'restore', 'shop', '--in-place'],
  [/packs that no snapshot refers to.*leases/, 'copy', '--from', 'main', '--to', 'other'],
  [/the next prune takes up/, 'prune', '--yes'],
];

test('a second Ctrl-C ends any command at once, and says what it may have left', async () => {
  await Promise.all(
    LONG.map(async ([leaves, ...args]) => {
      const asked = Promise.withResolvers<void>();
      const port = await serve(socket => void socket.resume().once('data', () => asked.resolve()));
      const { child, told } = start(port, args);
      await Promise.race([asked.promise, once(child, 'close')]);
      child.kill('SIGINT');
      await sleep(600);
      const begun = performance.now();
      child.kill('SIGINT');
      const [code] = await once(child, 'close');
      const stderr = await told;
      assert.ok(performance.now() - begun < 2_000, `${args[0]}: ${performance.now() - begun}`);
      assert.equal(code, 130, stderr);
      const [first, ...second] = stderr.split('\n');
      assert.match(first!, /^stopping; another Ctrl-C stops at once, which may leave: /, args[0]);
      assert.match(first!, leaves);
      assert.match(second.join('\n'), /INTERRUPTED.*\n.*before it had cleaned up\n.*it may have left: /);
      assert.match(second.join('\n'), leaves);
    }),
  );
});
