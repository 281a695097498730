import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../measure.ts';
import { folderBytes, libpqEnvironment, missingProgram, type Tool } from './tool.ts';

/** The well-known deduplicating store, fed by pg_dump: encrypted and compressed, as ours is. */
export const restic: Tool = {
  name: 'restic',
  missing: missingProgram('pg_dump', 'restic'),
  incremental: true,
  async prepare(folder, source) {
    const repository = join(folder, 'repository');
    await mkdir(join(folder, 'cache'));
    const env = {
      ...libpqEnvironment(source),
      HOME: folder,
      RESTIC_REPOSITORY: repository,
      RESTIC_CACHE_DIR: join(folder, 'cache'),
      RESTIC_PASSWORD: 'of no worth',
    };
    const command = (script: string) => ({ script, cwd: folder, env });
    await run(command('restic init --quiet --repository-version 2'));
    return {
      backup: command('pg_dump -Fc -Z0 | restic backup --quiet --stdin --stdin-filename dump'),
      verify: command('exec restic check --quiet --read-data'),
      storedBytes: async () => folderBytes(repository),
    };
  },
};
