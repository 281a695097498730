/** From what is written to what is meant. Every function expects an entry whose shape and rules have been checked. */

import { readSize } from '../base/size.ts';
import type { StorageSettings } from '../storage/kind.ts';
import type { StorageSpec } from '../storage/kinds.ts';
import { intervalMs, parseCron } from './cron.ts';
import { parseDuration } from './duration.ts';
import { absolutePath, type Environment } from './environment.ts';
import { DEFAULT_SAFETY_KEEP, type KeepRules } from './keep.ts';
import { parseServiceKey } from './kms.ts';
import {
  type DatabaseEntry,
  FOREVER,
  type KeepEntry,
  type PlanEntry,
  type RepositoryEntry,
} from './schema.ts';
import { keyOf, type Source } from './source.ts';
import { readSpan, type Span } from './span.ts';
import type {
  ConnectionSpec,
  DatabaseSpec,
  KeySource,
  PlanSpec,
  RepositorySpec,
  ScheduleSpec,
} from './spec.ts';

const DEFAULT_COMPRESSION_LEVEL = 3;

export interface Surroundings {
  folder: string;
  environment: Environment;
}

type ConnectionKey = Exclude<keyof DatabaseEntry, 'objectives' | 'safety'>;

/** The keys of a database that say how to reach it, with what each is called in a `ConnectionSpec`. */
export const CONNECTION_KEYS: Readonly<Record<ConnectionKey, keyof ConnectionSpec>> = {
  url: 'url',
  url_file: 'urlFile',
  host: 'host',
  port: 'port',
  user: 'user',
  password: 'password',
  password_file: 'passwordFile',
  dbname: 'dbname',
  sslmode: 'sslmode',
  sslrootcert: 'sslrootcert',
  sslcert: 'sslcert',
  sslkey: 'sslkey',
  service: 'service',
};

const FILE_KEYS: readonly string[] = ['url_file', 'password_file', 'sslrootcert', 'sslcert', 'sslkey'];

export function resolveDatabase(
  name: string,
  entry: DatabaseEntry,
  source: Source,
  around: Surroundings,
): DatabaseSpec {
  const connection: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const [key, field] of Object.entries(CONNECTION_KEYS)) {
    const value = entry[key as ConnectionKey];
    const names = source.missing.get(keyOf(['databases', name, key]));
    if (names) missing.push(...names);
    else if (value !== undefined) connection[field] = connectionValue(key, String(value), around);
  }
  const { rpo, rto } = entry.objectives ?? {};
  return {
    name,
    connection: connection as ConnectionSpec,
    objectives: { rpoMs: rpo ? parseDuration(rpo) : null, rtoMs: rto ? parseDuration(rto) : null },
    safetyKeep: resolveSafetyKeep(entry.safety?.keep),
    missing: [...new Set(missing)],
  };
}

function connectionValue(key: string, text: string, { folder, environment }: Surroundings): string | number {
  if (key === 'port') return Number(text);
  const isFile = FILE_KEYS.includes(key) && !(key === 'sslrootcert' && text === 'system');
  return isFile ? absolutePath(text, folder, environment) : text;
}

export function resolveKey(key: RepositoryEntry['key'], { folder, environment }: Surroundings): KeySource {
  if (key.env !== undefined) return { kind: 'env', variable: key.env };
  if (key.passphrase_env !== undefined) return { kind: 'passphraseEnv', variable: key.passphrase_env };
  if (key.age_identity_env !== undefined) return { kind: 'ageEnv', variable: key.age_identity_env };
  const service = key.kms === undefined ? undefined : parseServiceKey(key.kms);
  if (service) return { kind: 'kms', ...service };
  const file = (path: string) => absolutePath(path, folder, environment);
  if (key.age_identity_file !== undefined) return { kind: 'ageFile', path: file(key.age_identity_file) };
  if (key.passphrase_file !== undefined) return { kind: 'passphraseFile', path: file(key.passphrase_file) };
  return { kind: 'file', path: file(key.file ?? '') };
}

/** What the storage has to know of a repository's entry. */
export function storageSettings({
  region,
  encryption,
  credentials,
  ...entry
}: RepositoryEntry): StorageSettings {
  const settings: StorageSettings = { region, storageClass: entry.class, credentials };
  if (encryption === 'provider') settings.encryption = { mode: 'provider' };
  else if (encryption) settings.encryption = { mode: 'kms', keyId: encryption.kms };
  return settings;
}

export function repositorySpec(
  name: string,
  entry: RepositoryEntry,
  storage: StorageSpec,
  missing: string[],
  around: Surroundings,
): RepositorySpec {
  const { lock, limit, capacity, residency, offsite } = entry;
  return {
    name,
    storage,
    address: entry.storage,
    region: entry.region ?? null,
    key: resolveKey(entry.key, around),
    limits: {
      connections: count(entry.connections) ?? null,
      bytesPerSecond: limit === undefined ? null : (readSize(limit.replace(/\/s$/, '')) ?? null),
    },
    storageClass: entry.class ?? null,
    lock: lock ? { mode: lock.mode, forMs: parseDuration(lock.for) } : null,
    residency: residency ? [...residency] : null,
    offsite: offsite === undefined ? null : isYes(offsite),
    capacityBytes: capacity === undefined ? null : (readSize(capacity) ?? null),
    missing,
  };
}

export function resolvePlan(name: string, entry: PlanEntry): PlanSpec {
  return {
    name,
    database: entry.database,
    capture: entry.capture ?? 'logical',
    schedule: resolveSchedule(entry.schedule),
    store: entry.store.map(storeName),
    storageClass: entry.class ?? null,
    keep: new Map(entry.store.map(each => [storeName(each), resolveKeep(ownKeep(each) ?? entry.keep)])),
    tables: { include: entry.tables?.include ?? [], exclude: entry.tables?.exclude ?? [] },
    schemaOnly: isYes(entry.schema_only),
    dataOnly: isYes(entry.data_only),
    jobs: count(entry.jobs) ?? null,
    lockWaitMs: entry.lock_wait === undefined ? null : parseDuration(entry.lock_wait),
    compression: count(entry.compression) ?? DEFAULT_COMPRESSION_LEVEL,
    rolePasswords: entry.role_passwords === undefined ? null : isYes(entry.role_passwords),
  };
}

function resolveSchedule(written: string): ScheduleSpec | null {
  if (written === 'manual') return null;
  const cron = parseCron(written);
  return { cron, intervalMs: intervalMs(cron) };
}

type StoreEntry = PlanEntry['store'][number];

export function storeName(entry: StoreEntry): string {
  return typeof entry === 'string' ? entry : entry.repository;
}

function ownKeep(entry: StoreEntry): KeepEntry | undefined {
  return typeof entry === 'string' ? undefined : entry.keep;
}

/** Rules that keep nothing (a count of 0) are left out; null keeps everything. */
export function resolveKeep(keep: KeepEntry | undefined): KeepRules | null {
  if (keep === undefined || keep === FOREVER) return null;
  if (typeof keep === 'string') return { within: spanOf(keep) };
  const { within, count: alsoLast, last, min, ...tiers } = keep;
  const rules: KeepRules = {};
  if (within !== undefined) rules.within = spanOf(within);
  for (const [rule, written] of Object.entries({ last: last ?? alsoLast, ...tiers, min })) {
    const limit = typeof written === 'string' ? (readSpan(written) ?? Number(written)) : written;
    if (limit) Object.assign(rules, { [rule]: limit });
  }
  return rules;
}

/** The newest safety snapshot always stays: it may be all that is left of what a restore replaced. */
function resolveSafetyKeep(keep: KeepEntry | undefined): KeepRules | null {
  if (keep === undefined) return DEFAULT_SAFETY_KEEP;
  const rules = resolveKeep(keep);
  return rules && { ...rules, min: Math.max(1, rules.min ?? 0) };
}

/** Of a text that the schema has found to be one. */
function spanOf(text: string): Span {
  return readSpan(text) ?? { months: 0, ms: 0 };
}

/** What came out of a variable is text, even where it is a number. */
function count(written: number | string | undefined): number | undefined {
  return written === undefined ? undefined : Number(written);
}

export function isYes(written: boolean | string | undefined): boolean {
  return written === true || written === 'true';
}
