import { open, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileTrouble } from '../../base/errno.ts';
import { TidemarkError, usageError } from '../../base/errors.ts';
import { makeFolders } from '../../base/makeFolders.ts';
import { locationOf } from '../../storage/kinds.ts';
import type { KeySource, Strategy } from '../../strategy/spec.ts';
import { readSecret, repositoryOf } from '../open/open.ts';
import { listKeys } from './list.ts';
import { programSource } from './programSource.ts';
import { recoveryKit } from './recoveryKit.ts';

export interface KitRequest {
  strategy: Strategy;
  repository: string;
  /** Whether the text of the key stands on the page. */
  withKey: boolean;
  version: string;
}

export interface Kit {
  repository: string;
  id: string;
  storage: string;
  epoch: number;
  slots: { slot: string; kind: string | null }[];
  /** The page, lines without their ends. The key is on it only where it was asked for. */
  page: string[];
}

/** The page that brings a repository back without this machine. It is made only where the strategy's key opens it. */
export async function makeKit({ strategy, repository: name, withKey, version }: KitRequest): Promise<Kit> {
  const spec = repositoryOf(strategy, name);
  const { id, epoch, slots, trouble } = await listKeys(strategy, name);
  if (trouble) throw usageError(trouble.code, trouble.message, trouble.hint);
  const secret = await readSecret(spec.key, strategy.environment);
  if (withKey && secret.kind !== 'key') {
    throw usageError(
      'KIT_WITHOUT_KEY',
      `${name} is not opened by a key that could be printed, but by ${secret.where}`,
      'print the page without --with-key, and keep the secret elsewhere; or add a key for the kit: tidemark key add',
    );
  }
  const usable = slots.filter(each => each.state === 'current');
  const page = recoveryKit({
    databases: databasesOf(strategy, name),
    repository: name,
    repositoryId: id,
    storage: spec.storage,
    address: spec.address,
    region: spec.region,
    key: spec.key,
    keyText: withKey && secret.kind === 'key' ? secret.text : null,
    slots: usable.flatMap(({ slot, kind, for: whom }) => (kind ? { slot, kind, for: whom } : [])),
    epoch,
    date: new Date().toISOString(),
    version,
    source: await programSource(),
  });
  return {
    repository: name,
    id,
    storage: locationOf(spec.storage),
    epoch,
    slots: usable.map(({ slot, kind }) => ({ slot, kind })),
    page,
  };
}

/** Databases that a plan stores there; where no plan does, all. */
function databasesOf(strategy: Strategy, name: string): string[] {
  const stored = [...strategy.plans.values()]
    .filter(plan => plan.store.includes(name))
    .map(plan => plan.database);
  return stored.length > 0 ? [...new Set(stored)] : [...strategy.databases.keys()];
}

/** Tried before giving up: a kit that is there stays. */
const KITS_MAX = 100;

/**
 * Writes the page into a file that is not there yet, for its owner's eyes only: beside the key file, or where key files are.
 *
 * @returns its path.
 */
export async function keepKit(
  page: readonly string[],
  repository: string,
  key: KeySource,
  environment: Strategy['environment'],
): Promise<string> {
  const folder = path.join(environment.HOME || homedir(), '.config/tidemark');
  const name = repository.replace(/[^\p{L}\p{N}_.-]/gu, '-');
  const base = key.kind === 'file' ? key.path.replace(/\.key$/, '') : path.join(folder, name);
  await makeFolders(path.dirname(base), 0o700);
  for (let i = 1; ; i++) {
    const file = `${base}.kit${i === 1 ? '' : `-${i}`}.txt`;
    try {
      await writeKit(page, file, true);
      return file;
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === 'KIT_EXISTS') || i === KITS_MAX) throw error;
    }
  }
}

/** Writes the page to a file that is not there yet; with the key, for its owner's eyes only. */
export async function writeKit(page: readonly string[], file: string, withKey: boolean): Promise<void> {
  try {
    const handle = await open(file, 'wx', withKey ? 0o600 : 0o644);
    try {
      await handle.writeFile(`${page.join('\n')}\n`);
      await handle.sync();
    } catch (error) {
      await rm(file, { force: true }); // half a kit looks like a whole one
      throw error;
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const there = code === 'EEXIST';
    throw usageError(
      there ? 'KIT_EXISTS' : 'KIT_UNWRITABLE',
      there ? `there is a file ${file} already` : `${file} can't be written: ${fileTrouble(cause)}`,
      'name another file with -o',
      cause,
    );
  }
}
