/** What a strategy means, once it has been read: durations in milliseconds, paths absolute, defaults filled in. */
import type { StorageSpec } from '../storage/kinds.ts';
import type { Cron } from './cron.ts';
import type { Environment } from './environment.ts';
import type { KeepRules } from './keep.ts';
import type { ServiceKeyAddress } from './kms.ts';

export interface Strategy {
  /** Absolute, as `folder` is, where the file lies and relative paths start. */
  file: string;
  folder: string;
  /** The variables of `.env`, `.env.local` and the process: holds secrets, never print it. */
  environment: Environment;
  databases: Map<string, DatabaseSpec>;
  repositories: Map<string, RepositorySpec>;
  plans: Map<string, PlanSpec>;
}

export interface DatabaseSpec {
  name: string;
  connection: ConnectionSpec;
  objectives: { rpoMs: number | null; rtoMs: number | null };
  /** Of snapshots that are taken before a restore in place; null: nothing is ever forgotten. The newest stays anyhow. */
  safetyKeep: KeepRules | null;
  /** Variables that the connection needs and that are missing; always empty where secrets were required. */
  missing: string[];
}

/**
 * Where a database is: exactly one of `url`, `urlFile`, `service` or `host` (with `dbname`, `user` …) is there. A password
 * or a TLS setting that stands beside a URL or a service wins over what those say. Files are absolute paths and not yet
 * read. What hangs on a missing variable is left out.
 */
export interface ConnectionSpec {
  url?: string;
  urlFile?: string;
  service?: string;
  /** A name, an address, or the folder of a Unix socket. */
  host?: string;
  port?: number;
  user?: string;
  password?: string;
  passwordFile?: string;
  dbname?: string;
  sslmode?: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** A PEM file, or `system`. */
  sslrootcert?: string;
  sslcert?: string;
  sslkey?: string;
}

export interface RepositorySpec {
  name: string;
  storage: StorageSpec;
  /** The storage's address as it was written, and the region beside it: no secrets, for people. */
  address: string;
  region: string | null;
  key: KeySource;
  /** Null: the storage's own. */
  limits: { connections: number | null; bytesPerSecond: number | null };
  /** The class that rows are stored in; null: the one that is read at once. Chunk lists and manifests always are in that. */
  storageClass: string | null;
  /** Every object that a kept snapshot needs can't be removed for at least half of this time, and at most all of it. */
  lock: { mode: 'governance' | 'compliance'; forMs: number } | null;
  /** Regions, or areas such as `eu`, that it may lie in; null: anywhere. */
  residency: string[] | null;
  /** Whether it lies where what destroys the database does not reach; null: told by the hosts. */
  offsite: boolean | null;
  /** Null: unbounded. */
  capacityBytes: number | null;
  /** Variables that the credentials need and that are missing; always empty where secrets were required. */
  missing: string[];
}

/** Where the secret that opens a repository is; nothing of it has been read but that the variables are set. */
export type KeySource =
  | { kind: 'file'; path: string }
  | { kind: 'env'; variable: string }
  | { kind: 'passphraseFile'; path: string }
  | { kind: 'passphraseEnv'; variable: string }
  | { kind: 'ageFile'; path: string }
  | { kind: 'ageEnv'; variable: string }
  | ({ kind: 'kms' } & ServiceKeyAddress);

/** What snapshots that are taken before a restore in place have in the place of a plan's name; no plan may have it. */
export const SAFETY_PLAN = 'safety';

export interface PlanSpec {
  name: string;
  /** A key of `databases`. */
  database: string;
  capture: 'logical';
  /** Null: only when asked for. */
  schedule: ScheduleSpec | null;
  /** Keys of `repositories`, at least one. */
  store: string[];
  /** Instead of the repositories' own class. */
  storageClass: string | null;
  /** What stays in each of `store`; null: nothing is ever forgotten there. */
  keep: Map<string, KeepRules | null>;
  /** Patterns as written; an empty `include` means every table. */
  tables: { include: string[]; exclude: string[] };
  schemaOnly: boolean;
  dataOnly: boolean;
  /** Null: as many as suit the machine. */
  jobs: number | null;
  /** How long a backup waits for tables that others keep locked; null: ten minutes. */
  lockWaitMs: number | null;
  /** zstd level. */
  compression: number;
  /** Null: where the server permits it. */
  rolePasswords: boolean | null;
}

export interface ScheduleSpec {
  cron: Cron;
  /** The longest time between two fires. */
  intervalMs: number;
}
