import { folderBytes, libpqEnvironment, missingProgram, type Tool } from './tool.ts';

/** What many do by hand: one stream, compressed by zstd on its way to a file. */
export const pgDumpZstd: Tool = {
  name: 'pg_dump | zstd',
  missing: missingProgram('pg_dump', 'zstd'),
  incremental: false,
  async prepare(folder, source) {
    return {
      backup: {
        script: 'pg_dump -Fc -Z0 | zstd -3 -q -f -o dump.zst',
        cwd: folder,
        env: libpqEnvironment(source),
      },
      storedBytes: async () => folderBytes(folder),
    };
  },
};

/** pg_dump's and pg_restore's own parallel way, with two jobs and the default gzip. */
export const pgDumpDirectory: Tool = {
  name: 'pg_dump -Fd',
  missing: missingProgram('pg_dump', 'pg_restore', 'createdb'),
  incremental: false,
  async prepare(folder, source) {
    const env = libpqEnvironment(source);
    return {
      backup: { script: 'rm -rf dump && exec pg_dump -Fd -j2 -f dump', cwd: folder, env },
      restore: name => ({
        script: `createdb -T template0 ${name} && exec pg_restore -e -j2 -d ${name} dump`,
        cwd: folder,
        env,
      }),
      storedBytes: async () => folderBytes(folder),
    };
  },
};
