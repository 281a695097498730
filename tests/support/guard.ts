import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Reads process ids until this process ends or closes the pipe; then kills those that are still about the folder (a number
 * may have gone to somebody else) and removes it.
 */
const SCRIPT = `
trap '' INT TERM HUP
while read -r pid; do pids="$pids $pid"; done
for pid in $pids; do
  if grep -qsF "$1" "/proc/$pid/cmdline"; then kill -9 "$pid" 2>/dev/null; fi
done
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && break; sleep 0.1; done`;

/**
 * Sees to it that servers and their folder are gone when this process is, even where it was killed without a chance to
 * clean up: a shell of its own process group waits at the other end of a pipe. Linux only.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor(folder: string) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', folder], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.unref();
    (this.#shell.stdin as unknown as { unref(): void }).unref();
  }

  /** The process, whose arguments name the folder, is killed when this one ends. */
  watch(child: ChildProcess): void {
    if (child.pid !== undefined) this.#shell.stdin!.write(`${child.pid}\n`);
  }

  /** Kills and removes now. */
  async end(): Promise<void> {
    if (this.#shell.exitCode !== null) return;
    const gone = once(this.#shell, 'exit');
    this.#shell.ref();
    this.#shell.stdin!.end();
    await gone;
  }
}
