import type { TidemarkError } from '../base/errors.ts';
import { paint } from './output.ts';

/** One repository in which something failed, while it may have been done in others. */
export function* failureLines({
  repository,
  error,
}: {
  repository: string;
  error: TidemarkError;
}): Iterable<string> {
  yield `${paint('red', 'failed:')} ${repository}: ${error.message} [${error.code}]`;
  for (const hint of error.hint.split('\n')) yield `  ${hint}`;
}
