import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where servers that are started afterwards find locales: LOCPATH of this process. */
const FOLDER = join(tmpdir(), 'tidemark-locales');

/** Why a test that needs locales of the C library is skipped, for its option `skip`; false if it is not. */
export const localesLack =
  existsSync('/usr/share/i18n/locales/de_DE') && existsSync('/usr/bin/localedef')
    ? false
    : 'the sources of locales are not here: install the package locales';

/** Compiles locales, such as de_DE, for UTF-8, and shows them to servers that this process starts from now on. */
export function bringLocales(...names: string[]): void {
  mkdirSync(FOLDER, { recursive: true });
  for (const name of names) {
    const target = join(FOLDER, `${name}.UTF-8`);
    if (!existsSync(target))
      execFileSync('localedef', ['-i', name, '-f', 'UTF-8', target], { stdio: 'ignore' });
  }
  process.env.LOCPATH = FOLDER;
}
