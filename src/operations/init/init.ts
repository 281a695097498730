import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { usageError } from '../../base/errors.ts';
import { shellCommand } from '../../base/shell.ts';
import { folderOf } from '../../storage/kinds.ts';
import { type Environment, readEnvironment } from '../../strategy/environment.ts';
import { nameSchema } from '../../strategy/schema.ts';
import type { RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { readStorage } from '../../strategy/storage.ts';
import { entryName, literal, renderStrategy } from '../../strategy/template.ts';
import type { Finding } from '../finding.ts';
import { type Inspection, inspectDatabase } from '../inspect/inspect.ts';
import { judge } from '../inspect/judge.ts';
import { Undo } from '../key/undo.ts';
import { planOf } from '../open/open.ts';
import { readStrategy } from '../open/strategy.ts';
import { addVariable } from './envFile.ts';
import { ignoreInGit, isTracked } from './gitIgnore.ts';
import { lockFolder } from './lock.ts';
import { type MadeRepository, openOrMakeRepository } from './repositories.ts';
import { type DatabaseSource, findSource } from './source.ts';
import { StrategyFile } from './strategyFile.ts';

const DEFAULT_STORAGE = './tidemark-backups';

export interface InitRequest {
  /** Path of the strategy file as given. */
  config: string;
  environment: Environment;
  url?: string;
  name?: string;
  /** A folder of its own beside the strategy where it is left out. */
  storage?: string;
  keyFile?: string;
  signal: AbortSignal;
  /** Shows what was found and what will be written; false ends the call with NOT_CONFIRMED. */
  confirm(found: Inspection, findings: Finding[], plan: string[]): Promise<boolean>;
}

export interface InitResult {
  strategy: string;
  /** False where there was a strategy already. */
  strategyMade: boolean;
  databases: string[];
  /** The database that was looked at; null where there was a strategy already. */
  found: Inspection | null;
  findings: Finding[];
  /** The variable that was added to .env, if one was. */
  variable: string | null;
  ignored: string[];
  notes: string[];
  repositories: MadeRepository[];
  /** Command lines to run next. */
  next: string[];
}

/**
 * Writes a strategy for one database, and makes its key and its repository. Where there is a strategy already, makes the
 * keys and repositories that it names and that are missing. Overwrites nothing; whatever fails, what was made is removed
 * again.
 */
export async function init(request: InitRequest): Promise<InitResult> {
  const undo = new Undo();
  const folder = path.dirname(path.resolve(request.config));
  if (!existsSync(folder)) {
    throw usageError('FOLDER_MISSING', `there is no folder ${folder}`, 'make it, then run init again');
  }
  const unlock = await lockFolder(folder);
  try {
    return existsSync(request.config) ? await complete(request, undo) : await start(request, folder, undo);
  } catch (error) {
    await undo.run();
    request.signal.throwIfAborted();
    throw error;
  } finally {
    await unlock();
  }
}

/** There is a strategy: only what it lacks is made. */
async function complete(request: InitRequest, undo: Undo): Promise<InitResult> {
  const { config, environment, signal, url } = request;
  refuseForNew(request);
  const notes: string[] = [];
  const strategy = await readStrategy(config, environment, { secrets: 'optional' }, line => notes.push(line));
  const repositories: MadeRepository[] = [];
  for (const spec of strategy.repositories.values()) {
    signal.throwIfAborted();
    repositories.push(await openOrMakeRepository(spec, strategy.environment, undo));
  }
  if (url !== undefined) notes.push(`${config} is there already, so the URL given was not used`);
  return {
    ...{ strategy: config, strategyMade: false, found: null, findings: [], variable: null, ignored: [] },
    databases: [...strategy.databases.keys()],
    notes,
    repositories,
    next: nextCommands(strategy, config),
  };
}

/** What says how a new strategy is to be says nothing to one that is there. */
function refuseForNew({ config, name, storage, keyFile }: InitRequest): void {
  const given = Object.entries({ '--name': name, '--storage': storage, '--key-file': keyFile })
    .filter(([, value]) => value !== undefined)
    .map(([option]) => option);
  if (given.length === 0) return;
  throw usageError(
    'STRATEGY_EXISTS',
    `${config} is there already, and ${given.join(', ')} ${given.length === 1 ? 'is' : 'are'} for a new one`,
    `leave ${given.length === 1 ? 'it' : 'them'} out to make the keys and repositories that it names and that are missing; or name a new strategy with --config`,
  );
}

async function start(request: InitRequest, folder: string, undo: Undo): Promise<InitResult> {
  const { config, signal } = request;
  const environment = await readEnvironment(folder, request.environment);
  const source = await findSource(request.url, environment, environment.HOME || homedir());
  checkNames(request, folder, environment);
  const found = await inspectDatabase(source.settings, environment, signal);
  const plan = makePlan(request, source, found, folder);
  const findings = judge(`database ${plan.name}`, found);
  if (!(await request.confirm(found, findings, plan.lines))) {
    throw usageError(
      'NOT_CONFIRMED',
      'init was not confirmed',
      'nothing was written; confirm it, or say --yes',
    );
  }
  signal.throwIfAborted();
  const notes = await protectUrl(plan, undo);
  const file = new StrategyFile(config, undo);
  const strategy = await file.write(strategyText(plan, found, findings), request.environment);
  const spec = strategy.repositories.get('primary')!;
  const made = await openOrMakeRepository(spec, strategy.environment, undo);
  const ignored = await ignoreInGit(folder, secretsInFolder(plan, folder, foldersOf(spec)), undo);
  if (made.key.source.kind === 'file') {
    ignored.push(...(await ignoreInGit(folder, inFolder(folder, made.key.source.path), undo)));
  }
  signal.throwIfAborted();
  await file.publish();
  return {
    ...{ strategy: config, strategyMade: true, found, findings, ignored, notes },
    databases: [plan.name],
    variable: plan.variable?.name ?? null,
    repositories: [made],
    next: nextCommands(strategy, config),
  };
}

/** Keeps a page out of git, should it lie in the strategy's folder. */
export async function ignorePage(config: string, file: string): Promise<string[]> {
  const folder = path.dirname(path.resolve(config));
  return ignoreInGit(folder, inFolder(folder, file), new Undo());
}

interface Plan {
  name: string;
  folder: string;
  url: string | Record<string, string>;
  variable: { name: string; value: string } | null;
  storage: string;
  keyFile: string;
  /** What will be written, for people. */
  lines: string[];
}

function makePlan(request: InitRequest, source: DatabaseSource, found: Inspection, folder: string): Plan {
  const name = request.name ?? entryName(found.database);
  const { url, variable } = source.written(name);
  const storage = writtenPath(request.storage ?? DEFAULT_STORAGE, folder);
  const keyFile =
    request.keyFile === undefined
      ? literal(`~/.config/tidemark/${name}.key`)
      : writtenPath(request.keyFile, folder);
  const lines = [
    `${request.config}: the strategy of database ${name}`,
    ...(variable ? [`${path.join(folder, '.env')}: ${variable.name}, the URL`] : []),
    `${keyFile}: the key, unless it is there`,
    `${storage}: the repository`,
  ];
  return { name, folder, url, variable, storage, keyFile, lines };
}

/** A path of the command line, as it has to stand in a strategy in `folder`. */
function writtenPath(given: string, folder: string): string {
  const asGiven = path.isAbsolute(given) || /^(~(\/|$)|[a-z][a-z0-9+.-]*:\/\/)/i.test(given);
  return literal(asGiven || path.resolve(folder) === process.cwd() ? given : path.resolve(given));
}

/** The storage's folder, where it is one on this machine. */
function foldersOf(spec: RepositorySpec): string[] {
  const folder = folderOf(spec.storage);
  return folder === null ? [] : [folder];
}

/** Faults of the command line, before anything is connected to. */
function checkNames({ name, storage }: InitRequest, folder: string, environment: Environment): void {
  const named = name === undefined ? null : nameSchema.safeParse(name);
  if (named && !named.success) {
    throw usageError('NAME_INVALID', `a database can't be called ${name}`, named.error.issues[0]!.message);
  }
  const place = readStorage(storage ?? DEFAULT_STORAGE, {}, folder, environment);
  if ('fault' in place) throw usageError('STORAGE_INVALID', `the storage ${place.fault}`, place.hint);
}

/** Puts the URL into .env, where git won't take it. */
async function protectUrl({ variable, folder }: Plan, undo: Undo): Promise<string[]> {
  if (!variable) return [];
  const file = path.join(folder, '.env');
  const { wasOpen } = await addVariable(file, variable.name, variable.value, undo);
  return [
    ...(wasOpen ? [`${file} could be read by others; only its owner can now (mode 0600)`] : []),
    ...((await isTracked(folder, '.env')) ? [`${file} is under version control: git rm --cached .env`] : []),
  ];
}

function strategyText(plan: Plan, found: Inspection, findings: Finding[]): string {
  return renderStrategy({
    databaseName: plan.name,
    url: plan.url,
    storage: plan.storage,
    keyFile: plan.keyFile,
    facts: {
      serverVersion: found.serverVersion.split(' ')[0],
      sizeBytes: found.sizeBytes,
      provider: found.provider.id === 'selfHosted' ? undefined : found.provider.name,
      privileges: findings.filter(each => each.level !== 'ok').map(each => `${each.level}: ${each.message}.`),
    },
  });
}

function secretsInFolder({ variable }: Plan, folder: string, paths: string[]): string[] {
  return [
    ...(variable ? ['.env'] : []),
    ...paths.flatMap(each => inFolder(folder, each).map(name => `${name}/`)),
  ];
}

/** The path within the folder, or none where it lies elsewhere. */
function inFolder(folder: string, absolute: string): string[] {
  const relative = path.relative(folder, absolute);
  return relative === '' || relative.startsWith('..') || path.isAbsolute(relative) ? [] : [relative];
}

function nextCommands(strategy: Strategy, config: string): string[] {
  const options = config === './tidemark.yaml' ? [] : ['--config', config];
  const backups = [...strategy.databases.keys()].map(name =>
    shellCommand(['tidemark', 'backup', ...planOption(strategy, name), ...options], [name]),
  );
  return [shellCommand(['tidemark', 'check', '--online', ...options]), ...backups];
}

/** Where a database has several plans, the one with a schedule. */
function planOption(strategy: Strategy, database: string): string[] {
  try {
    planOf(strategy, database, undefined);
    return [];
  } catch {
    const plans = [...strategy.plans.values()].filter(plan => plan.database === database);
    return ['--plan', (plans.find(plan => plan.schedule) ?? plans[0]!).name];
  }
}
