import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const GIT_TIMEOUT_MS = 10_000;
const run = promisify(execFile);
const TOP = fileURLToPath(new URL('../../..', import.meta.url));

/** Where this program came from: it is in no package registry. Null where that is not known. */
export interface ProgramSource {
  /** What git clones it from, without a user's name or password. */
  url: string | null;
  commit: string | null;
}

/** Asks git about the folder that this program runs from. */
export async function programSource(): Promise<ProgramSource> {
  // A package within another project's folder is not that project.
  if ((await git('rev-parse', '--show-prefix')) !== '') return { url: null, commit: null };
  const url = await git('remote', 'get-url', 'origin');
  return { url: url && publicUrl(url), commit: await git('rev-parse', 'HEAD') };
}

async function git(...args: string[]): Promise<string | null> {
  return run('git', ['-C', TOP, ...args], { timeout: GIT_TIMEOUT_MS }).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
}

/** A path of this machine helps nobody elsewhere; what stands before the host may be a password. */
function publicUrl(url: string): string | null {
  if (/^[a-z+]+:\/\//i.test(url) && !url.startsWith('file:'))
    return url.replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1');
  return /^[\w.-]+@[\w.-]+:[^\s]+$/.test(url) ? url : null;
}
