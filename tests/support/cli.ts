import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/tidemark');
/** Not in HOME, whose contents tests look at; and not made anew for every folder. */
export const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/tidemark');

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program as a user would. */
export async function tidemark(cwd: string, args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(PROGRAM, args, {
    cwd,
    env: {
      ...{ PATH: process.env.PATH, HOME: cwd, LC_ALL: 'C.UTF-8', TERM: 'dumb' },
      ...{ NODE_COMPILE_CACHE: COMPILED, ...env },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: code as number | null, stdout, stderr };
}

export interface Site {
  folder: string;
  /** Runs a command that must succeed and returns its JSON. */
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>;
  run(...args: string[]): Promise<Ran>;
  remove(): Promise<void>;
}

/**
 * A folder with a strategy for these databases (name → URL), the repository `main` in `repository/` with the key
 * `tidemark.key`, and others, each in the folder of its name with the key `NAME.key`. `env` is set for every command.
 */
export async function makeSite(
  databases: Record<string, string>,
  more = '',
  others: string[] = [],
  env: Record<string, string> = {},
): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-site-'));
  const lines = Object.entries(databases).map(
    ([name, url]) => `  ${JSON.stringify(name)}: { url: ${JSON.stringify(url)} }`,
  );
  const repositories = [
    '  main: { storage: ./repository, key: { file: ./tidemark.key } }',
    ...others.map(name => `  ${name}: { storage: ./${name}, key: { file: ./${name}.key } }`),
  ];
  const strategy = `databases:\n${lines.join('\n')}\nrepositories:\n${repositories.join('\n')}\n${more}`;
  await writeFile(join(folder, 'tidemark.yaml'), strategy);
  const run = (...args: string[]) => tidemark(folder, args, env);
  await makeRepository(join(folder, 'repository'), join(folder, 'tidemark.key'));
  for (const name of others) await makeRepository(join(folder, name), join(folder, `${name}.key`));
  return {
    folder,
    run,
    async json<T>(...args: string[]) {
      const ran = await run(...args, '--json');
      if (ran.code !== 0)
        throw new Error(`tidemark ${args.join(' ')} ended with ${ran.code}: ${ran.stdout}${ran.stderr}`);
      return JSON.parse(ran.stdout) as T;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A repository in a folder, and a new key for it in a file. */
export async function makeRepository(folder: string, keyFile: string): Promise<void> {
  const text = newKeyText();
  await writeFile(keyFile, `${text}\n`, { mode: 0o600 });
  await Repository.create(new LocalStorage(folder), { kind: 'key', text, where: 'the test' }, new Date());
}
