/** The file of a worker thread beside this module: `.ts` when run from source, `.js` when built. */
export function workerFile(name: string, from: string): URL {
  return new URL(`${name}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from);
}

/** An error as it crosses a thread border. */
export interface PostedError {
  name: string;
  message: string;
  code?: string;
  hint?: string;
  kind?: string;
  detail?: string;
  stack?: string;
}

export function postError(error: unknown): PostedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { code, hint, kind, detail } = error as Error & PostedError;
  return { name: error.name, message: error.message, code, hint, kind, detail, stack: error.stack };
}
