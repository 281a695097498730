import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { newKeyText } from '../../src/repository/keys.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local.ts';
import { folderBytes, type Tool } from './tool.ts';

const TOP = resolve(import.meta.dirname, '../..');

/** Our program as a user runs it: a strategy with one local repository. `label` tells builds apart. */
export function tidemark(label?: string, top = TOP, jobs?: number): Tool {
  const program = join(top, 'bin/tidemark');
  const parallel = jobs === undefined ? '' : ` --jobs ${jobs}`;
  return {
    name: label === undefined ? 'tidemark' : `tidemark ${label}`,
    missing: undefined,
    incremental: true,
    async prepare(folder, { server, database }) {
      const repository = join(folder, 'repository');
      const key = newKeyText();
      const strategy = `databases:\n  ${database}: { url: ${JSON.stringify(server.url(database))} }\nrepositories:\n  main: { storage: ./repository, key: { file: ./tidemark.key } }\n`;
      await writeFile(join(folder, 'tidemark.yaml'), strategy);
      await writeFile(join(folder, 'tidemark.key'), `${key}\n`, { mode: 0o600 });
      const secret = { kind: 'key', text: key, where: 'the benchmark' } as const;
      await Repository.create(new LocalStorage(repository), secret, new Date());
      const command = (script: string) => ({
        script: `exec ${program} ${script}`,
        cwd: folder,
        env: { HOME: folder, ...profiling() },
      });
      return {
        backup: command(`backup ${database}${parallel}`),
        restore: name => command(`restore ${database} --new ${name}${parallel}`),
        verify: command('verify --all'),
        storedBytes: () => folderBytes(repository),
      };
    },
  };
}

/** What was asked of Node for our program alone: `TIDEMARK_BENCH_NODE_OPTIONS=--cpu-prof` and the like. */
function profiling(): Record<string, string> {
  const options = process.env.TIDEMARK_BENCH_NODE_OPTIONS;
  return options ? { NODE_OPTIONS: options } : {};
}
