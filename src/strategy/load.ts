/** Reads a strategy file and says everything that is wrong with it at once. */
import path from 'node:path';
import type * as z from 'zod';
import { fileTrouble } from '../base/errno.ts';
import { usageError } from '../base/errors.ts';
import { readSmallFile } from '../base/smallFile.ts';
import {
  checkClasses,
  checkLocations,
  checkObjectives,
  checkReferences,
  checkRetention,
} from './contradictions.ts';
import { type Environment, invalidAt, readEnvironment } from './environment.ts';
import { type Path, pathText, StrategyError, sortedFaults } from './faults.ts';
import {
  CONNECTION_KEYS,
  repositorySpec,
  resolveDatabase,
  resolvePlan,
  type Surroundings,
  storageSettings,
} from './resolve.ts';
import { databaseRules, planRules, type Rule, repositoryRules } from './rules.ts';
import {
  type DatabaseEntry,
  databaseSchema,
  nameSchema,
  type PlanEntry,
  planSchema,
  type RepositoryEntry,
  repositorySchema,
} from './schema.ts';
import { checkShape, reportUnknownKey } from './shape.ts';
import { isMapping, type Mapping, readSource, type Source } from './source.ts';
import type { RepositorySpec, Strategy } from './spec.ts';
import { readStorage } from './storage.ts';

const SECTIONS = ['databases', 'repositories', 'plans'] as const;

type Section = (typeof SECTIONS)[number];

const ENTRIES: Record<Section, { schema: z.ZodType; rules: Rule }> = {
  databases: { schema: databaseSchema, rules: databaseRules },
  repositories: { schema: repositorySchema, rules: repositoryRules },
  plans: { schema: planSchema, rules: planRules },
};

export interface LoadOptions {
  /**
   * `required` (the default): every variable that the file names must be set. `optional`, for what touches no database:
   * variables of database connections and of repositories' credentials may be missing (`missing` of their specs names
   * them), and so may those of keys.
   */
  secrets?: 'required' | 'optional';
  /** Where secrets are required, only those of these databases and repositories are; without it, all. */
  uses?: { databases?: readonly string[]; repositories?: readonly string[] };
}

/**
 * Reads and checks a strategy file.
 *
 * @param file its path; faults name it as given.
 * @param environment the variables of the process; `.env.local` and `.env` beside the file add to them.
 * @throws TidemarkError STRATEGY_MISSING or STRATEGY_UNREADABLE; StrategyError (STRATEGY_INVALID) with all `faults`;
 *   ENV_FILE_UNREADABLE. All are of kind usage.
 */
export async function loadStrategy(
  file: string,
  environment: Environment,
  options: LoadOptions = {},
): Promise<Strategy> {
  const text = await readStrategyFile(file);
  const absolute = path.resolve(file);
  const folder = path.dirname(absolute);
  const merged = await readEnvironment(folder, environment);
  const source = readSource(text, merged);
  const strategy = check(source, { folder, environment: merged }, options);
  if (source.faults.length > 0) throw new StrategyError(file, sortedFaults(source.faults));
  return { file: absolute, folder, environment: merged, ...strategy };
}

async function readStrategyFile(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = (await readSmallFile(file)).bytes;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw usageError(
        'STRATEGY_MISSING',
        `there is no strategy file ${file}`,
        "'tidemark init' writes one; where there is one elsewhere, --config FILE names it",
        cause,
      );
    const hint = 'let this user read it, or name another file with --config FILE';
    throw usageError('STRATEGY_UNREADABLE', `${file} can't be read: ${fileTrouble(cause)}`, hint, cause);
  }
  const bad = invalidAt(bytes);
  if (bad) {
    const { line, column, what } = bad;
    const hint = 'write the file as UTF-8 text';
    throw new StrategyError(file, [{ line, column, path: '', message: what, hint }]);
  }
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}

type Sections = Pick<Strategy, Section>;

/** Reports into `source`; what it returns is whole only where nothing was reported. */
function check(source: Source, around: Surroundings, options: LoadOptions): Sections {
  const result: Sections = { databases: new Map(), repositories: new Map(), plans: new Map() };
  if (source.value === undefined) return result;
  const written = readSections(source);
  if (!written) return result;
  const usable = checkEntries(written, source);
  checkVariables(source, around.environment, options);
  checkReferences(written.plans, written.databases, written.repositories, source);

  for (const [name, entry] of usable.databases) {
    result.databases.set(name, resolveDatabase(name, entry as DatabaseEntry, source, around));
  }
  for (const [name, entry] of usable.repositories) {
    const repository = resolveRepository(name, entry as RepositoryEntry, source, around);
    if (!repository) continue;
    result.repositories.set(name, repository);
    checkKeyVariable(repository, source, around.environment, options);
  }
  for (const [name, entry] of usable.plans) result.plans.set(name, resolvePlan(name, entry as PlanEntry));

  checkLocations(result.repositories.values(), source);
  checkClasses(result.plans.values(), result.repositories, source);
  checkRetention(result.plans.values(), written.plans, source);
  // A plan that can't be read might be the one that meets the objective.
  if (usable.plans.size === Object.keys(written.plans).length) {
    checkObjectives(result.databases.values(), [...result.plans.values()], source);
  }
  return result;
}

function readSections(source: Source): Record<Section, Mapping> | null {
  const { value, report } = source;
  if (!isMapping(value)) {
    const fault = value === null ? 'the strategy is empty' : 'the strategy must be a mapping';
    report([], 'value', fault, 'give it databases, repositories and plans; tidemark init writes one');
    return null;
  }
  for (const key of Object.keys(value)) {
    if (!(SECTIONS as readonly string[]).includes(key)) reportUnknownKey([key], SECTIONS, report);
  }
  const section = (key: Section): Mapping => {
    const entries = value[key];
    if (isMapping(entries)) return entries;
    if (entries === undefined && key !== 'plans')
      report([], 'key', `the strategy lacks ${key}`, `add ${key}: with one entry`);
    else if (entries !== undefined && entries !== null)
      report([key], 'value', `${key} must be a mapping`, 'write one name a line, each followed by a colon');
    else if (entries === null && key !== 'plans')
      report([key], 'key', `${key} is empty`, `give it one entry`);
    return Object.create(null);
  };
  return { databases: section('databases'), repositories: section('repositories'), plans: section('plans') };
}

/** The entries that can be used, by section and name; all others have been reported. */
function checkEntries(
  written: Record<Section, Mapping>,
  source: Source,
): Record<Section, Map<string, unknown>> {
  const usable = { databases: new Map(), repositories: new Map(), plans: new Map() };
  for (const section of SECTIONS) {
    const { schema, rules } = ENTRIES[section];
    for (const [name, entry] of Object.entries(written[section])) {
      const at = [section, name];
      const named = nameSchema.safeParse(name);
      if (!named.success)
        source.report(
          at,
          'key',
          `a ${SINGULAR[section]} can't be called that`,
          named.error.issues[0]!.message,
        );
      const shaped = checkShape(schema, entry, at, source);
      const lawful = !isMapping(entry) || rules(entry, at, source);
      if (named.success && shaped && lawful && !waits(at, source)) usable[section].set(name, entry);
    }
  }
  return usable;
}

const SINGULAR: Record<Section, string> = {
  databases: 'database',
  repositories: 'repository',
  plans: 'plan',
};

/** Whether an entry hangs on a missing variable in anything but what is needed only to connect. */
function waits(at: Path, source: Source): boolean {
  return missingPaths(source).some(path => path[0] === at[0] && path[1] === at[1] && !isToConnect(path));
}

/** A database's connection, a repository's credentials. */
function isToConnect(path: Path): boolean {
  if (path[0] === 'repositories') return path.length === 4 && path[2] === 'credentials';
  return path.length === 3 && path[0] === 'databases' && Object.hasOwn(CONNECTION_KEYS, path[2]!);
}

function missingPaths(source: Source): Path[] {
  return [...source.missing.keys()].map(key => JSON.parse(key) as Path);
}

/** Variables that the file puts in and that are missing. */
function checkVariables(source: Source, environment: Environment, options: LoadOptions): void {
  for (const path of missingPaths(source)) {
    const used = !isToConnect(path) || isRequired(path[0] as 'databases', String(path[1]), options);
    if (!used || path.includes('<<')) continue;
    for (const name of source.missing.get(JSON.stringify(path)) ?? [])
      reportVariable(name, path, source, environment);
  }
}

function checkKeyVariable(
  repository: RepositorySpec,
  source: Source,
  environment: Environment,
  options: LoadOptions,
): void {
  const { key, name } = repository;
  if (!('variable' in key) || environment[key.variable] || !isRequired('repositories', name, options)) return;
  const field = VARIABLE_FIELDS[key.kind];
  reportVariable(key.variable, ['repositories', name, 'key', field], source, environment);
}

const VARIABLE_FIELDS = { env: 'env', passphraseEnv: 'passphrase_env', ageEnv: 'age_identity_env' } as const;

function isRequired(
  section: 'databases' | 'repositories',
  name: string,
  { secrets, uses }: LoadOptions,
): boolean {
  if (secrets === 'optional') return false;
  return uses?.[section]?.includes(name) ?? true;
}

function reportVariable(name: string, path: Path, source: Source, environment: Environment): void {
  const state = environment[name] === undefined ? 'not set' : 'empty';
  const hint = `set it, or write it into .env beside the strategy file`;
  source.report(
    path,
    'value',
    `${pathText(path)} needs the environment variable ${name}, which is ${state}`,
    hint,
  );
}

function resolveRepository(
  name: string,
  entry: RepositoryEntry,
  source: Source,
  around: Surroundings,
): RepositorySpec | null {
  const missing = missingPaths(source)
    .filter(path => path[0] === 'repositories' && path[1] === name && isToConnect(path))
    .flatMap(path => source.missing.get(JSON.stringify(path)) ?? []);
  const settings = storageSettings(missing.length === 0 ? entry : { ...entry, credentials: undefined });
  const storage = readStorage(entry.storage, settings, around.folder, around.environment);
  if ('spec' in storage) return repositorySpec(name, entry, storage.spec, [...new Set(missing)], around);
  source.report(
    ['repositories', name, 'storage'],
    'value',
    `repositories.${name}: storage ${storage.fault}`,
    storage.hint,
  );
  return null;
}
