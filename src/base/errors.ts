import { systemTrouble } from './errno.ts';
import { withoutSecrets } from './secretText.ts';

/**
 * The one error type. Rules:
 * - `message` says what failed, in lower case, without a full stop, and names the object it failed on.
 * - `hint` says what to do; it is printed on a line of its own.
 * - `code` is stable, UPPER_SNAKE, and is what scripts and tests look at.
 * - `kind` alone decides the exit code (cli/exit.ts).
 * - Never put a secret in any of them: connection strings are named by host and database only. What has a secret's form
 *   is left out here all the same, since a path or a name that somebody gave may be one.
 */
export type ErrorKind = 'failed' | 'usage' | 'fault' | 'interrupted';

export class TidemarkError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly hint: string;
  /** There where the same call may succeed later; `afterMs` is the server's word on when. */
  readonly retry: { afterMs?: number } | undefined;

  constructor(
    code: string,
    message: string,
    hint: string,
    options: { kind?: ErrorKind; cause?: unknown; retry?: { afterMs?: number } } = {},
  ) {
    super(withoutSecrets(message), { cause: options.cause });
    this.name = 'TidemarkError';
    this.code = code;
    this.kind = options.kind ?? 'failed';
    this.hint = withoutSecrets(hint);
    this.retry = options.retry;
  }

  toJSON(): { code: string; message: string; hint: string } {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** What the user asked for can't be done as asked: exit code 2. */
export function usageError(code: string, message: string, hint: string, cause?: unknown): TidemarkError {
  return new TidemarkError(code, message, hint, { kind: 'usage', cause });
}

/** A check read stored bytes and found them wrong: exit code 3. */
export function faultError(code: string, message: string, hint: string, cause?: unknown): TidemarkError {
  return new TidemarkError(code, message, hint, { kind: 'fault', cause });
}

/** An error of another kind that knows what it says to a person. */
export interface Explainable {
  explained(): TidemarkError;
}

/** An error from anywhere as a TidemarkError, so that whatever is printed has a code and a hint. */
export function asTidemarkError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  if (isExplainable(error)) return error.explained();
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = (cause as NodeJS.ErrnoException).code;
  if (cause.name === 'AbortError' || code === 'ABORT_ERR') {
    return new TidemarkError('INTERRUPTED', 'interrupted', 'run the same command again to start over', {
      kind: 'interrupted',
      cause,
    });
  }
  const trouble = systemTrouble(cause);
  if (trouble) return new TidemarkError(trouble.code, trouble.message, trouble.hint, { cause });
  return new TidemarkError(
    typeof code === 'string' ? code : 'INTERNAL',
    cause.message || cause.name,
    'this is a defect in tidemark: run again with TIDEMARK_DEBUG=1 and report the trace',
    { cause },
  );
}

/** The error of one of several things, of which the others are still tried. @throws it, where it is an interruption. */
export function failureOf(error: unknown): TidemarkError {
  const known = asTidemarkError(error);
  if (known.kind === 'interrupted') throw error;
  return known;
}

function isExplainable(error: unknown): error is Explainable {
  return typeof (error as Explainable | undefined)?.explained === 'function';
}

/** A broken invariant: a defect of ours, never an operating error. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition)
    throw new TidemarkError(
      'INTERNAL',
      `broken invariant: ${what}`,
      'this is a defect in tidemark; please report it',
    );
}
