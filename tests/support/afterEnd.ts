import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Runs a shell script once this process has ended, in whatever way, SIGKILL among them; or earlier, by the function
 * returned, which may be called again.
 *
 * @param args what is `$1`, `$2` … to the script.
 */
export function afterEnd(script: string, ...args: string[]): () => Promise<void> {
  // The other end of its standard input is ours alone: it is closed when we are gone.
  const watcher = spawn('sh', ['-c', `cat >/dev/null\n${script}`, 'afterEnd', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const input = watcher.stdin as Socket;
  watcher.unref();
  input.unref();
  const ended = once(watcher, 'exit');
  return async () => {
    watcher.ref();
    input.end();
    await ended;
  };
}
