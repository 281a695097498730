import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { familyCpuSeconds, reapedCpuSeconds, treeResidentBytes } from './processes.ts';

/** A line of shell; pipelines are one command. */
export interface Command {
  script: string;
  cwd: string;
  env: Record<string, string>;
}

/** What one run took. Client: every process the command started. Server: PostgreSQL, its backends included. */
export interface Measurement {
  seconds: number;
  clientCpuSeconds: number;
  serverCpuSeconds: number;
  peakBytes: number;
}

const SAMPLE_MS = 20;
/** A backend whose client has gone needs a moment to end and be counted. */
const BACKENDS_END_MS = 150;

/** Runs a command and measures it; one that fails throws, with what it wrote on stderr. */
export async function measure(command: Command, serverPid: number): Promise<Measurement> {
  const serverBefore = familyCpuSeconds(serverPid);
  const clientBefore = reapedCpuSeconds();
  const started = performance.now();
  const child = spawn('bash', ['-c', `set -o pipefail; ${command.script}`], {
    cwd: command.cwd,
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TERM: 'dumb', ...command.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let peakBytes = 0;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, treeResidentBytes(child.pid!));
  }, SAMPLE_MS);
  let seconds = 0;
  child.once('exit', () => {
    seconds = (performance.now() - started) / 1000;
  });
  const [complaint, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]).finally(() =>
    clearInterval(sampler),
  );
  if (code !== 0) throw new Error(`${command.script}\nended with ${code}: ${complaint.slice(-2000)}`);
  await delay(BACKENDS_END_MS);
  return {
    seconds,
    clientCpuSeconds: reapedCpuSeconds() - clientBefore,
    serverCpuSeconds: familyCpuSeconds(serverPid) - serverBefore,
    peakBytes,
  };
}

/** Runs a command that is not measured. */
export async function run(command: Command): Promise<void> {
  await measure(command, process.pid);
}
