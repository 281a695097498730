import { usageError } from '../base/errors.ts';
import type { Lifecycle, LifecycleWishes } from './lifecycle.ts';
import type { Storage } from './storage.ts';

/** What a strategy says of a repository's storage, beside its address. Each kind refuses what it has no use for. */
export interface StorageSettings {
  region?: string;
  /** The class that data is stored in, as the provider calls it. */
  storageClass?: string;
  encryption?: Encryption;
  /** Names and secrets by the kind's own keys, such as `access_key_id`; absent: the provider's standard chain. */
  credentials?: Readonly<Record<string, string>>;
}

/** Encryption by the provider, besides ours. `keyId` is the provider's name of a key; absent: its default key. */
export type Encryption = { mode: 'provider' } | { mode: 'kms'; keyId?: string };

/** `scheme://user@host:port/path?query`, taken apart and decoded. A password in it is refused before it comes here. */
export interface Address {
  scheme: string;
  user?: string;
  /** The part after `//`: a host, a bucket, an account. */
  host: string;
  port?: number;
  /** Without slashes at its ends. */
  path: string;
  query: ReadonlyMap<string, string>;
}

/** What one class of a storage is like. */
export interface StorageClass {
  /** An object in it can't be read until it has been thawed. */
  frozen: boolean;
  /** Removing an object earlier than this costs as if it had stayed. */
  minimumDays: number;
}

/** A kind of storage: how it is written down, and how it is opened. One file a kind; `kinds.ts` lists them. */
export interface StorageKind<Spec extends { kind: string }> {
  readonly kind: Spec['kind'];
  /** Of addresses, in lower case, without `://`. */
  readonly schemes: readonly string[];
  /** Classes that data may be stored in, by the provider's names; none where there are no classes. */
  readonly classes: Readonly<Record<string, StorageClass>>;
  /** How the names of the variables begin that the provider's standard chain of credentials reads. */
  readonly variables: readonly string[];
  /**
   * From what is written to a spec. Pure: touches neither network nor files, loads no SDK.
   *
   * @throws TidemarkError of kind usage whose message goes on after "storage of repository x": `has no bucket`.
   */
  parse(address: Address, settings: StorageSettings): Spec;
  /** Two specs of the same location lie on the same objects. No secrets; for people too. */
  location(spec: Spec): string;
  /** The host that keeps the bytes, a name or an address; null: this machine. */
  host(spec: Spec): string | null;
  /** Loads the SDK, connects as late as possible: a wrong credential may show at the first call. */
  open(spec: Spec): Promise<Storage>;
  /** Rules for the provider to carry out. Pure. Absent where there is nobody who could. */
  lifecycle?(spec: Spec, wishes: LifecycleWishes): Lifecycle;
}

/**
 * Refuses what a strategy sets and a kind has no use for: a setting that does nothing is a promise that is not kept.
 *
 * @param what what the kind is called in messages: `a folder`.
 */
export function refuseSettings(
  settings: StorageSettings,
  what: string,
  usable: readonly (keyof StorageSettings)[],
): void {
  for (const [key, written] of Object.entries(WRITTEN) as [keyof StorageSettings, string][]) {
    if (settings[key] === undefined || usable.includes(key)) continue;
    throw usageError('STORAGE_SETTING', `is ${what}, which has no ${written}`, `remove ${written}`);
  }
}

/** What settings are called in the strategy. */
const WRITTEN: Record<keyof StorageSettings, string> = {
  region: 'region',
  storageClass: 'class',
  encryption: 'encryption',
  credentials: 'credentials',
};

/** Refuses a class that the kind does not have. */
export function checkClass(storageClass: string | undefined, classes: StorageKind<never>['classes']): void {
  if (storageClass === undefined || Object.hasOwn(classes, storageClass)) return;
  throw usageError(
    'STORAGE_CLASS_UNKNOWN',
    `has no class ${storageClass}`,
    `it has ${Object.keys(classes).join(', ')}`,
  );
}
