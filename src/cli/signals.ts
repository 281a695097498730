import { asTidemarkError, TidemarkError } from '../base/errors.ts';
import { EXIT } from './exit.ts';
import { reportError } from './output.ts';
import type { ProgressLine } from './progress.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A terminal, a shell and a wrapper may each send one of the same. */
const SAME_MS = 250;

export interface Interrupt {
  /** Aborted by Ctrl-C, SIGTERM, and the end of the terminal. */
  signal: AbortSignal;
  /** `leaves` is what the command may leave where it is ended at once; `progress` knows what there is just now. */
  watch(progress: ProgressLine, leaves: string | undefined): void;
  /** What ended the command, where it may have been a signal. */
  explain(error: unknown): TidemarkError;
  end(): void;
}

/** The first signal stops the command, which cleans up, and says so; another Ctrl-C or SIGTERM ends the process at once. */
export function watchSignals(json: boolean): Interrupt {
  const controller = new AbortController();
  let progress: ProgressLine | undefined;
  let leaves: string | undefined;
  let first = 0;
  const remains = () => [progress?.remains, leaves].filter(Boolean).join('; ');
  const received = (name: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      first = performance.now();
      controller.abort(interrupted('run the command again'));
      const may = remains();
      progress?.note(`stopping; another Ctrl-C stops at once${may && `, which may leave: ${may}`}`);
      return;
    }
    // A terminal that is gone asks for nothing more.
    if (name === 'SIGHUP' || performance.now() - first < SAME_MS) return;
    progress?.end();
    const stays = remains();
    const left = stays ? `it may have left: ${stays}` : 'it left nothing';
    reportError(interrupted(`it was ended before it had cleaned up\n${left}`), json);
    process.exit(EXIT.interrupted);
  };
  for (const name of SIGNALS) process.on(name, received);
  return {
    signal: controller.signal,
    watch(line, left) {
      progress = line;
      leaves = left;
    },
    explain(error) {
      const known = asTidemarkError(error);
      // Whoever was interrupted says best what is there now.
      if (!controller.signal.aborted || known.kind === 'interrupted') return known;
      return asTidemarkError(controller.signal.reason);
    },
    end() {
      for (const name of SIGNALS) process.off(name, received);
    },
  };
}

function interrupted(hint: string): TidemarkError {
  return new TidemarkError('INTERRUPTED', 'interrupted', hint, { kind: 'interrupted' });
}
