import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { COMPILED } from '../../support/cli.ts';

const PROGRAM = join(import.meta.dirname, '../../../bin/tidemark');

export interface Killed {
  killed: boolean;
  code: number | null;
  tookMs: number;
}

/** Runs a command in a process group of its own and kills the group, unless it has ended by then. */
export async function killedAt(folder: string, args: string[], momentMs: number): Promise<Killed> {
  const started = performance.now();
  const child = spawn(PROGRAM, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', NODE_COMPILE_CACHE: COMPILED },
    stdio: 'ignore',
    detached: true,
  });
  const exited = once(child, 'exit').then(([code, signal]) => ({
    killed: signal === 'SIGKILL',
    code: code as number | null,
    tookMs: performance.now() - started,
  }));
  await Promise.race([delay(momentMs), exited]);
  if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
  return exited;
}
