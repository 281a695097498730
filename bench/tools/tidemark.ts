import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { folderBytes, type Place, type Source, type Tool } from './tool.ts';

const TOP = resolve(import.meta.dirname, '../..');

/** Our program as a user runs it: a strategy with one local repository. `label` tells builds apart. */
export function tidemark(label?: string, top = TOP, jobs?: number): Tool {
  return {
    name: label === undefined ? 'tidemark' : `tidemark ${label}`,
    missing: undefined,
    incremental: true,
    async prepare(folder, source) {
      const repository = join(folder, 'repository');
      const written = { storage: './repository' };
      const site = { folder, source, written, top, jobs };
      const storedBytes = async () => folderBytes(repository);
      return { ...(await placeOf(site, new LocalStorage(repository))), storedBytes };
    },
  };
}

export interface Site {
  folder: string;
  source: Source;
  /** Of the repository in the strategy: `storage`, and what stands beside it. */
  written: Record<string, unknown>;
  top?: string;
  jobs?: number;
}

/** A strategy, its key and its repository, and the commands to work with them. */
export async function placeOf(
  { folder, source, written, top = TOP, jobs }: Site,
  storage: Storage,
): Promise<Omit<Place, 'storedBytes'>> {
  const { server, database } = source;
  const key = newKeyText();
  const strategy = {
    databases: { [database]: { url: server.url(database) } },
    repositories: { main: { ...written, key: { file: './tidemark.key' } } },
  };
  await writeFile(join(folder, 'tidemark.yaml'), JSON.stringify(strategy)); // which is YAML too
  await writeFile(join(folder, 'tidemark.key'), `${key}\n`, { mode: 0o600 });
  const secret = { kind: 'key', text: key, where: 'the benchmark' } as const;
  await Repository.create(storage, secret, new Date());
  const program = join(top, 'bin/tidemark');
  const parallel = jobs === undefined ? '' : ` --jobs ${jobs}`;
  const command = (script: string) => ({
    script: `exec ${program} ${script}`,
    cwd: folder,
    env: { HOME: folder, ...profiling() },
  });
  return {
    backup: command(`backup ${database}${parallel}`),
    restore: name => command(`restore ${database} --new ${name}${parallel}`),
    verify: command('verify --all'),
  };
}

/** What was asked of Node for our program alone: `TIDEMARK_BENCH_NODE_OPTIONS=--cpu-prof` and the like. */
function profiling(): Record<string, string> {
  const options = process.env.TIDEMARK_BENCH_NODE_OPTIONS;
  return options ? { NODE_OPTIONS: options } : {};
}
