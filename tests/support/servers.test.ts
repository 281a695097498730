import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 30_000;
const CHILD = `
  const { server } = await import(${JSON.stringify(join(import.meta.dirname, 'servers.ts'))});
  const { pid, socketDir } = await server(15);
  console.log(JSON.stringify({ pid, socketDir }));
  setInterval(() => {}, 1000);`;

test('a server ends, and its folder goes, when the process that started it is killed', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { pid, socketDir } = JSON.parse(line) as { pid: number; socketDir: string };
  assert.ok(isRunning(pid) && existsSync(socketDir));
  child.kill('SIGKILL');
  await exited;
  for (const from = performance.now(); isRunning(pid) || existsSync(socketDir); await delay(50))
    assert.ok(performance.now() - from < DEADLINE_MS, `server ${pid} is left`);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
