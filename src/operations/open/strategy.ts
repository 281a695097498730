import { lendVariables } from '../../storage/kinds.ts';
import type { Environment } from '../../strategy/environment.ts';
import { type LoadOptions, loadStrategy } from '../../strategy/load.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { openSecretFiles } from './secretFiles.ts';

/**
 * Reads a strategy to carry it out: what its `.env` files say reaches the storages' own chains of credentials too.
 *
 * @param warn told of files with secrets that others can read.
 */
export async function readStrategy(
  file: string,
  environment: Environment,
  options: LoadOptions | undefined,
  warn: (line: string) => void,
): Promise<Strategy> {
  const strategy = await loadStrategy(file, environment, options);
  for (const line of await openSecretFiles(strategy)) warn(line);
  lendVariables(strategy.environment);
  return strategy;
}
