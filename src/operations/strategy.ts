import { lendVariables } from '../storage/kinds.ts';
import type { Environment } from '../strategy/environment.ts';
import { type LoadOptions, loadStrategy } from '../strategy/load.ts';
import type { Strategy } from '../strategy/spec.ts';

/** Reads a strategy to carry it out: what its `.env` files say reaches the storages' own chains of credentials too. */
export async function readStrategy(
  file: string,
  environment: Environment,
  options?: LoadOptions,
): Promise<Strategy> {
  const strategy = await loadStrategy(file, environment, options);
  lendVariables(strategy.environment);
  return strategy;
}
