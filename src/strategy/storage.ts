import { TidemarkError } from '../base/errors.ts';
import { parseStorage, schemeOf } from '../storage/address.ts';
import { refuseSettings, type StorageSettings } from '../storage/kind.ts';
import type { StorageSpec } from '../storage/kinds.ts';
import { absolutePath, type Environment, isOthersHome } from './environment.ts';

/** What a storage's text means, or what is wrong with it. A URL can hold a password, so neither part ever shows it. */
export type StorageReading = { spec: StorageSpec } | { fault: string; hint: string };

/** Reads where a repository lies: a folder (relative to `folder`, or from `~`), or an address with a scheme. */
export function readStorage(
  written: string,
  settings: StorageSettings,
  folder: string,
  environment: Environment,
): StorageReading {
  try {
    if (schemeOf(written) !== undefined) return { spec: parseStorage(written, settings) };
    refuseSettings(settings, 'a folder', []);
    if (isOthersHome(written))
      return {
        fault: "names another user's home directory, which is not looked up",
        hint: 'write the whole path',
      };
    return { spec: { kind: 'local', path: absolutePath(written, folder, environment) } };
  } catch (error) {
    if (error instanceof TidemarkError && error.kind === 'usage')
      return { fault: error.message, hint: error.hint };
    throw error;
  }
}
