import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { failureOf, faultError } from '../../base/errors.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { parseKeyText } from '../../repository/keys/keyText.ts';
import { recipientsOf } from '../../repository/keys/secrets/age.ts';
import { SERVICE_TITLES } from '../../repository/keys/secrets/service.ts';
import { PackCatalog } from '../../repository/packs/packCatalog.ts';
import { folderOf } from '../../storage/kinds.ts';
import type { Storage } from '../../storage/storage.ts';
import type { DatabaseSpec, PlanSpec, RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { type Finding, Findings } from '../finding.ts';
import { inspectDatabase } from '../inspect/inspect.ts';
import { judge, type Wanted } from '../inspect/judge.ts';
import { connectionOf, openRepository, PASSPHRASE_LENGTH_MIN, readSecret } from '../open/open.ts';
import { openPlaces } from '../open/snapshots.ts';
import { capacityWarning } from './capacity.ts';
import { checkNewest, checkRule } from './checkCopies.ts';

export interface CheckResult {
  /** No finding is a fault. */
  ok: boolean;
  findings: Finding[];
}

/** docs/format.md, "Objects": what stands under leases/ and is left behind is cleared away by prune. */
const PROBE_FOLDER = 'leases/check';

/**
 * Checks what a strategy names: connection settings and keys; with `online`, also each server (rights, pooler, policies,
 * client tool) and each repository (its key opens it, it can be written). Nothing is thrown but for an interruption.
 */
export async function check(strategy: Strategy, online: boolean, signal: AbortSignal): Promise<CheckResult> {
  const { databases, repositories, plans } = strategy;
  const head = new Findings('strategy');
  head.ok('file', `databases: ${databases.size}, repositories: ${repositories.size}, plans: ${plans.size}`);
  const ofDatabases = [...databases.values()].map(each => checkDatabase(strategy, each, online, signal));
  const ofRepositories = [...repositories.values()].map(each => checkRepository(strategy, each, online));
  const found = await Promise.all([...ofDatabases, ...ofRepositories]);
  signal.throwIfAborted();
  const newest = online ? await checkStored(strategy) : [];
  const findings = [...head.all, ...found.flat(), ...newest];
  return { ok: findings.every(each => each.level !== 'fault'), findings };
}

async function checkDatabase(
  strategy: Strategy,
  database: DatabaseSpec,
  online: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  const subject = `database ${database.name}`;
  const findings = new Findings(subject);
  const plans = [...strategy.plans.values()].filter(plan => plan.database === database.name);
  if (plans.length === 0) findings.warning('plans', 'no plan captures it', 'add one to plans');
  else findings.ok('plans', plans.map(plan => plan.name).join(', '));
  try {
    const settings = await connectionOf(strategy, database);
    for (const each of await checkRule(strategy, database, settings)) findings.add(each);
    if (online) {
      const found = await inspectDatabase(settings, strategy.environment, signal);
      return [...findings.all, ...judge(subject, found, wantedBy(plans))];
    }
    findings.ok(
      'connection',
      `${describeSettings(settings)} as ${settings.user}, not tried (--online tries it)`,
    );
    for (const warning of settings.warnings ?? []) findings.warning('connection', warning, 'see the message');
  } catch (error) {
    findings.failure('connection', failureOf(error));
  }
  return findings.all;
}

/** What is really stored; repositories that can't be opened are findings of their own. */
async function checkStored(strategy: Strategy): Promise<Finding[]> {
  try {
    const places = await openPlaces(strategy).catch(() => ({ places: [], failures: [] }));
    return await checkNewest(strategy, places);
  } catch (error) {
    const findings = new Findings('strategy');
    findings.failure('newest', failureOf(error));
    return findings.all;
  }
}

/** What the plans of a database read, all together; everything where there is none. */
function wantedBy(plans: readonly PlanSpec[]): Wanted {
  const scopes = plans.map(({ tables }) => ({
    included: tables.include.length === 0 ? () => true : anyPattern(tables.include),
    excluded: tables.exclude.length === 0 ? () => false : anyPattern(tables.exclude),
  }));
  return {
    table: (schema, name) =>
      scopes.length === 0 || scopes.some(each => each.included(schema, name) && !each.excluded(schema, name)),
    rolePasswords: plans.some(plan => plan.rolePasswords === true),
  };
}

async function checkRepository(
  strategy: Strategy,
  spec: RepositorySpec,
  online: boolean,
): Promise<Finding[]> {
  const findings = new Findings(`repository ${spec.name}`);
  try {
    await checkKey(strategy, spec, findings);
  } catch (error) {
    findings.failure('key', failureOf(error));
    return findings.all;
  }
  if (!online) return findings.all;
  try {
    const repository = await openRepository(strategy, spec.name);
    const { length } = await repository.snapshotNames();
    findings.ok('repository', `${repository.id} in ${repository.storage.place}, snapshots: ${length}`);
    if (spec.capacityBytes !== null) {
      const { bytes } = await PackCatalog.list(repository.storage);
      const warning = capacityWarning(spec, bytes);
      if (warning) findings.warning('capacity', warning, 'prune, keep less, or give it more room');
      else findings.ok('capacity', `${(bytes / 1e9).toFixed(1)} GB are used`);
    }
    await probe(repository.storage);
    findings.ok('storage', 'an object could be written, read back and removed');
  } catch (error) {
    const found = failureOf(error);
    const opened = findings.all.some(each => each.check === 'repository');
    findings.failure(opened ? 'storage' : 'repository', found);
  }
  return findings.all;
}

async function checkKey(strategy: Strategy, spec: RepositorySpec, findings: Findings): Promise<void> {
  const secret = await readSecret(spec.key, strategy.environment);
  if (secret.kind === 'key') parseKeyText(secret.text, secret.where);
  else if (secret.kind === 'age') await recipientsOf(secret.text, secret.where);
  else if (secret.kind === 'service') {
    findings.ok('key', `in ${SERVICE_TITLES[secret.service]}, not tried (--online tries it)`);
    return;
  } else if (secret.text === '') {
    const hint = 'put the passphrase of the repository into it';
    findings.fault('key', `the passphrase in ${secret.where} is empty`, hint);
    return;
  } else if ([...secret.text].length < PASSPHRASE_LENGTH_MIN) {
    const hint = `use at least ${PASSPHRASE_LENGTH_MIN} characters, such as five words, for the next repository`;
    findings.warning('key', `the passphrase in ${secret.where} is short`, hint);
  }
  if ('path' in spec.key) await checkKeyFile(spec.key.path, folderOf(spec.storage), findings);
  findings.ok('key', secret.kind === 'key' ? `the key in ${secret.where} is whole` : `from ${secret.where}`);
}

async function checkKeyFile(file: string, folder: string | null, findings: Findings): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    findings.warning(
      'key file',
      `others on this machine can use ${file} (mode ${octal})`,
      `chmod 600 ${file}`,
    );
  }
  if (folder !== null && !path.relative(folder, file).startsWith('..')) {
    const hint = 'move it elsewhere, and keep a copy away from this machine';
    findings.fault('key file', `${file} lies in the storage that it protects`, hint);
  }
}

/** Writes, reads and removes an object that means nothing to anybody. */
async function probe(storage: Storage): Promise<void> {
  const name = `${PROBE_FOLDER}/${randomBytes(8).toString('hex')}`;
  const content = randomBytes(64);
  await storage.put(name, [content], { ifAbsent: true });
  try {
    if (!(await storage.get(name)).equals(content)) {
      const hint = 'look at the disk or share; nothing on it can be relied on';
      throw faultError('STORAGE_WRONG', `${storage.place} gives back other bytes than were written`, hint);
    }
  } finally {
    await storage.remove(name);
  }
}
