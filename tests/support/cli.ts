import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { newKeyText } from '../../src/repository/keys.ts';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage } from '../../src/storage/local.ts';

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

/** A folder with a strategy for these databases (name → URL), one repository and its key. */
export async function makeSite(databases: Record<string, string>, more = ''): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-site-'));
  const lines = Object.entries(databases).map(
    ([name, url]) => `  ${JSON.stringify(name)}: { url: ${JSON.stringify(url)} }`,
  );
  const strategy = `databases:\n${lines.join('\n')}\nrepositories:\n  main: { storage: ./repository, key: { file: ./tidemark.key } }\n${more}`;
  await writeFile(join(folder, 'tidemark.yaml'), strategy);
  const run = (...args: string[]) => tidemark(folder, args);
  const key = newKeyText();
  await writeFile(join(folder, 'tidemark.key'), `${key}\n`, { mode: 0o600 });
  const storage = new LocalStorage(join(folder, 'repository'));
  await Repository.create(storage, { kind: 'key', text: key, where: 'the test' }, new Date());
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
