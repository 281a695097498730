import type { ErrorKind } from '../base/errors.ts';

/** The one table of exit codes. */
export const EXIT: Record<'done' | ErrorKind, number> = {
  done: 0,
  failed: 1,
  usage: 2,
  fault: 3,
  interrupted: 130,
};
