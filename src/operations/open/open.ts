import { homedir } from 'node:os';
import { fileTrouble } from '../../base/errno.ts';
import { failureOf, TidemarkError, usageError } from '../../base/errors.ts';
import { shellCommand } from '../../base/shell.ts';
import { isWorldWritable, octal, readSmallFile, type SmallFile } from '../../base/smallFile.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { resolveNamed } from '../../postgres/settings/named.ts';
import { resolveSettings, type SettingsSource } from '../../postgres/settings/settings.ts';
import type { Secret } from '../../repository/keys/slots.ts';
import { Repository } from '../../repository/repository.ts';
import { openStorage, type StoragePlace } from '../../storage/index.ts';
import { kindOf } from '../../storage/kinds.ts';
import { BlamedStorage } from '../../storage/wrap/blame.ts';
import { formatServiceKey } from '../../strategy/kms.ts';
import type { DatabaseSpec, KeySource, PlanSpec, RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { requireResidency } from './residency.ts';

/** From what a strategy says to open repositories and connection settings. */

/** @throws TidemarkError SECRET_MISSING where a variable of its credentials is not set. */
export function storagePlace({ name, storage, limits, missing }: RepositorySpec): StoragePlace {
  if (missing.length > 0) throw secretMissing(missing, `repository ${name}`);
  const { connections, bytesPerSecond } = limits;
  return {
    spec: storage,
    limits: { connections: connections ?? undefined, bytesPerSecond: bytesPerSecond ?? undefined },
  };
}

export async function openRepository(
  strategy: Strategy,
  name: string,
  signal?: AbortSignal,
): Promise<Repository> {
  const spec = repositoryOf(strategy, name);
  const storage = await openStorage(storagePlace(spec), { signal });
  try {
    await requireResidency(storage, spec);
    const repository = await Repository.open(storage, await readSecret(spec.key, strategy.environment));
    repository.policy = { storageClass: spec.storageClass, lock: spec.lock };
    return repository;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** An open repository, and what a worker thread needs to open it too. */
export interface OpenPlace {
  name: string;
  repository: Repository;
  storage: StoragePlace;
  /** Whether an error came from its storage, or from having been cut off from it for too long. */
  failed(error: unknown): boolean;
}

export async function openPlace(strategy: Strategy, name: string, signal?: AbortSignal): Promise<OpenPlace> {
  return placeOf(strategy, name, await openRepository(strategy, name, signal));
}

/** A repository that was opened, by what the strategy says of it. */
export function placeOf(strategy: Strategy, name: string, opened: Repository): OpenPlace {
  const blamed = new BlamedStorage(opened.storage);
  const repository = new Repository(blamed, opened.keys);
  repository.policy = opened.policy;
  return {
    name,
    repository,
    storage: storagePlace(repositoryOf(strategy, name)),
    failed: error => blamed.gave(error) || (error instanceof TidemarkError && error.code === 'LEASE_LOST'),
  };
}

/** Repositories of a strategy that can be opened, and why the others can't. */
export interface OpenedRepositories {
  opened: OpenPlace[];
  failures: { repository: string; error: TidemarkError }[];
}

export async function openAll(
  strategy: Strategy,
  names: Iterable<string> = strategy.repositories.keys(),
): Promise<OpenedRepositories> {
  const all: OpenedRepositories = { opened: [], failures: [] };
  for (const name of names) {
    try {
      all.opened.push(await openPlace(strategy, name));
    } catch (error) {
      all.failures.push({ repository: name, error: failureOf(error) });
    }
  }
  return all;
}

/** Whether rows that are stored in this class can't be read before they have been thawed. */
export function isFrozen({ storage }: RepositorySpec, storageClass: string | null): boolean {
  return storageClass !== null && (kindOf(storage).classes[storageClass]?.frozen ?? false);
}

export function repositoryOf(strategy: Strategy, name: string): RepositorySpec {
  return known(strategy.repositories, name, 'repository', 'repositories');
}

export function databaseOf(strategy: Strategy, name: string): DatabaseSpec {
  return known(strategy.databases, name, 'database', 'databases');
}

function known<T>(map: Map<string, T>, name: string, what: string, section: string): T {
  const found = map.get(name);
  if (found !== undefined) return found;
  const names = [...map.keys()].join(', ') || 'none';
  throw usageError(
    `${what.toUpperCase()}_UNKNOWN`,
    `the strategy has no ${what} ${JSON.stringify(name)}`,
    `it has: ${names}; see ${section} in the strategy file`,
  );
}

/** The plan to run: the named one, the database's only one, its only scheduled one, or none where it has no plan. */
export function planOf(strategy: Strategy, database: string, name: string | undefined): PlanSpec | null {
  const plans = [...strategy.plans.values()].filter(plan => plan.database === database);
  if (name !== undefined) {
    const plan = known(strategy.plans, name, 'plan', 'plans');
    if (plan.database === database) return plan;
    throw usageError(
      'PLAN_OTHER_DATABASE',
      `plan ${name} is for ${plan.database}, not ${database}`,
      `plans of ${database}: ${plans.map(p => p.name).join(', ') || 'none'}`,
    );
  }
  if (plans.length <= 1) return plans[0] ?? null;
  const scheduled = plans.filter(plan => plan.schedule !== null);
  if (scheduled.length === 1) return scheduled[0]!;
  throw usageError(
    'PLAN_NEEDED',
    `${database} has ${plans.length} plans`,
    `say which: --plan ${plans.map(plan => plan.name).join(' | ')}`,
  );
}

/** Repositories a plan stores to; without a plan the only one there is. */
export function storesOf(strategy: Strategy, plan: PlanSpec | null): string[] {
  if (plan) return plan.store;
  const names = [...strategy.repositories.keys()];
  if (names.length === 1) return names;
  throw usageError(
    'PLAN_NEEDED',
    `there are ${names.length} repositories and no plan says which to use`,
    'add a plan for the database to the strategy',
  );
}

/** A passphrase that is shorter can be guessed, whatever scrypt costs. */
export const PASSPHRASE_LENGTH_MIN = 12;

export async function readSecret(key: KeySource, environment: Strategy['environment']): Promise<Secret> {
  switch (key.kind) {
    case 'file':
      return { kind: 'key', text: await readKeyFile(key.path), where: key.path };
    case 'env':
      return { kind: 'key', text: variable(environment, key.variable), where: `$${key.variable}` };
    case 'passphraseFile':
      return {
        kind: 'passphrase',
        text: (await readKeyFile(key.path)).replace(/\r?\n$/, ''),
        where: key.path,
      };
    case 'passphraseEnv':
      return { kind: 'passphrase', text: variable(environment, key.variable), where: `$${key.variable}` };
    case 'ageFile':
      return { kind: 'age', text: await readKeyFile(key.path), where: key.path };
    case 'ageEnv':
      return { kind: 'age', text: variable(environment, key.variable), where: `$${key.variable}` };
    case 'kms':
      return {
        kind: 'service',
        service: key.service,
        key: key.key,
        environment,
        where: formatServiceKey(key),
      };
  }
}

function variable(environment: Strategy['environment'], name: string): string {
  const value = environment[name];
  if (value) return value;
  throw usageError(
    'KEY_MISSING',
    `the variable ${name}, which holds the key, is not set`,
    'set it, or put it in .env beside the strategy',
  );
}

async function readKeyFile(path: string): Promise<string> {
  let file: SmallFile;
  try {
    file = await readSmallFile(path);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw usageError(
      missing ? 'KEY_MISSING' : 'KEY_UNREADABLE',
      missing ? `there is no key file ${path}` : `the key file ${path} can't be read: ${fileTrouble(cause)}`,
      missing
        ? "bring it from where you keep the recovery kit; a new repository gets one from 'tidemark init'"
        : 'name a file that the user who runs tidemark may read (mode 0600)',
      cause,
    );
  }
  requireOwn(path, file);
  return file.bytes.toString('utf8');
}

/** Whoever may write a key file decides what opens the repository, or where a password goes. */
export function requireOwn(path: string, file: SmallFile): void {
  if (!isWorldWritable(file)) return;
  throw usageError(
    'FILE_WRITABLE',
    `${path} can be changed by everybody on this machine (mode ${octal(file.mode)})`,
    `see that it is as you left it, then: ${shellCommand(['chmod', '600', path])}`,
  );
}

function secretMissing(missing: readonly string[], what: string): TidemarkError {
  return usageError(
    'SECRET_MISSING',
    `${missing.join(', ')} is not set, which ${what} needs`,
    'set it, or put it in .env beside the strategy',
  );
}

export async function connectionOf(strategy: Strategy, database: DatabaseSpec): Promise<ConnectionSettings> {
  const source = await connectionSource(database);
  return resolveSettings(source, strategy.environment as NodeJS.ProcessEnv, homedir());
}

/** As `connectionOf`, for a database that will be overwritten: the strategy itself names its host and database. */
export async function targetConnectionOf(
  strategy: Strategy,
  database: DatabaseSpec,
): Promise<ConnectionSettings> {
  const source = await connectionSource(database);
  const what = `the connection of ${database.name} in the strategy`;
  return resolveNamed(source, strategy.environment as NodeJS.ProcessEnv, homedir(), what);
}

async function connectionSource({ name, connection, missing }: DatabaseSpec): Promise<SettingsSource> {
  if (missing.length > 0) throw secretMissing(missing, `database ${name}`);
  const { urlFile, passwordFile, port, ...given } = connection;
  return {
    ...given,
    ...(urlFile ? { url: (await readKeyFile(urlFile)).trim() } : {}),
    ...(passwordFile ? { password: (await readKeyFile(passwordFile)).replace(/\r?\n$/, '') } : {}),
    ...(port === undefined ? {} : { port: String(port) }),
  };
}
