import { type ErrorKind, TidemarkError } from './errors.ts';

/** The file of a worker thread beside this module: `.ts` when run from source, `.js` when built. */
export function workerFile(name: string, from: string): URL {
  return new URL(`${name}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from);
}

/** An error as it crosses a thread border: structured clones drop all but the message of one. */
export interface PostedError {
  name: string;
  message: string;
  stack?: string;
  /** Its other fields that are text: code, hint and kind of ours, those that a server sent. */
  fields: Record<string, string>;
}

export function postError(error: unknown): PostedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} };
  const { name, message, stack } = error;
  const fields = Object.fromEntries(
    Object.entries(error).filter(([field, value]) => typeof value === 'string' && field !== 'name'),
  );
  return { name, message, stack, fields };
}

/** The error on the other side: one of ours is one of ours again, with its kind; any other has the fields that it had. */
export function receiveError({ name, message, stack, fields }: PostedError): Error {
  if (name === 'TidemarkError') {
    const { code = 'INTERNAL', hint = '', kind } = fields;
    return new TidemarkError(code, message, hint, { kind: kind as ErrorKind, cause: stack });
  }
  return Object.assign(new Error(message), { name, stack }, fields);
}

/** The same error, with where it happened before its message. */
export function errorAt(where: string, error: TidemarkError): TidemarkError {
  const { code, message, hint, kind, retry, cause } = error;
  return new TidemarkError(code, `${where}: ${message}`, hint, { kind, retry, cause });
}
