import { rmSync } from 'node:fs';

/**
 * What must be gone when this process is: child processes, temporary files and folders. A disposer is synchronous, since an
 * exit hook can't wait, and may run when its thing is gone already.
 */
type Disposer = () => void;

const FATAL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const disposers = new Set<Disposer>();
let hooked = false;

/** Removes a temporary file or folder when the process ends; the function returned takes it off the list. */
export function removeAtExit(path: string): () => void {
  return atExit(() => rmSync(path, { recursive: true, force: true }));
}

/** Runs the disposer when the process ends; the function returned takes it off the list. */
export function atExit(dispose: Disposer): () => void {
  hook();
  disposers.add(dispose);
  return () => {
    disposers.delete(dispose);
  };
}

function hook(): void {
  if (hooked) return;
  hooked = true;
  process.on('exit', disposeAll);
  for (const signal of FATAL_SIGNALS) process.once(signal, () => endBy(signal));
}

/** Whoever else listens decides how the process ends, and the exit hook still runs; nobody else: we end it as usual. */
function endBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 0) return;
  disposeAll();
  process.kill(process.pid, signal);
}

function disposeAll(): void {
  for (const dispose of disposers) {
    try {
      dispose();
    } catch {
      // The process is ending: the others still have to go.
    }
  }
  disposers.clear();
}
