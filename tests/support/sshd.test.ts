import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSshd } from './sshd.ts';

/** Whether an SSH server says hello there: another test's server may have got the port since. */
const isThere = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(2000, () => answer(false));
    socket.on('error', () => answer(false));
    socket.on('close', () => answer(false));
    socket.on('data', hello => answer(hello.toString('latin1').startsWith('SSH-')));
  });

test('a server ends when it is stopped, and leaves nothing', async () => {
  const sshd = await startSshd();
  assert.ok(await isThere(sshd.port));
  await sshd.stop();
  await sshd.stop();
  assert.equal(await isThere(sshd.port), false);
  assert.equal(existsSync(sshd.folder), false);
});

test('a server ends with the process that started it, killed or not', async () => {
  const program = `
    const { startSshd } = await import(${JSON.stringify(join(import.meta.dirname, 'sshd.ts'))});
    const { port, folder } = await startSshd();
    console.log(JSON.stringify({ port, folder }));
    if (process.argv[1] === 'stay') setInterval(() => {}, 1000);`;
  for (const way of ['stay', 'go']) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, way], { stdio: 'pipe' });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const { port, folder } = JSON.parse(line.toString());
    if (way === 'stay') {
      assert.ok(await isThere(port));
      child.kill('SIGKILL');
    }
    await once(child, 'exit');
    for (let waits = 0; (await isThere(port)) || existsSync(folder); waits++) {
      assert.ok(waits < 200, 'it is gone within ten seconds');
      await sleep(50);
    }
  }
});
