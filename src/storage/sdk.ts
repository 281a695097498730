import { TidemarkError } from '../base/errors.ts';

/**
 * Loads a package that only some storages, or slots of keys, need and that an installation may lack.
 *
 * @param load the import itself, written out so that the compiler sees it: `() => import('x')`.
 * @param what what needs it, for messages: `s3:// storages`.
 * @throws TidemarkError with `code` where it is not installed.
 */
export async function loadSdk<T>(
  load: () => Promise<T>,
  name: string,
  what: string,
  code = 'STORAGE_SDK_MISSING',
): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new TidemarkError(
      code,
      `${what} need the package ${name}, which is not installed`,
      `install it beside tidemark: npm install ${name}; npm leaves it out with --omit=optional`,
      { cause },
    );
  }
}
