import { TidemarkError } from '../base/errors.ts';

/**
 * Loads a package that only some storages need and that an installation may lack.
 *
 * @param load the import itself, written out so that the compiler sees it: `() => import('x')`.
 * @param what what needs it, for messages: `s3:// storages`.
 * @throws TidemarkError STORAGE_SDK_MISSING where it is not installed.
 */
export async function loadSdk<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new TidemarkError(
      'STORAGE_SDK_MISSING',
      `${what} need the package ${name}, which is not installed`,
      `install it beside tidemark: npm install ${name}; npm leaves it out with --omit=optional`,
      { cause },
    );
  }
}
