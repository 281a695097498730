import { TidemarkError, usageError } from '../../../base/errors.ts';
import { loadSdk } from '../../../storage/sdk.ts';
import type { ServiceKey, ServiceName } from './secret.ts';

/** What a sealed text is bound to, where the service can bind. */
export interface SealedFor {
  repositoryId: string;
  slot: string;
}

/** A key in a service, connected to as late as possible. One file a service. */
export interface KeyService {
  /** Encrypts a short text; `key` is how the service names the key, or its version, that can decrypt it. */
  seal(text: string, to: SealedFor): Promise<{ key: string; sealed: Buffer }>;
  /** Undefined where the service says that this is not what it sealed with this key for this place. */
  unseal(sealed: Buffer, key: string, to: SealedFor): Promise<string | undefined>;
}

/** Loads a package that only one kind of slot needs. */
export function loadKeySdk<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  return loadSdk(load, name, what, 'KEY_SDK_MISSING');
}

/** How long a call to a service may take, retries of its SDK apart. */
export const SERVICE_TIMEOUT_MS = 20_000;

export const SERVICE_TITLES: Record<ServiceName, string> = {
  'aws-kms': 'AWS KMS',
  'gcp-kms': 'Google Cloud KMS',
  'azure-kv': 'Azure Key Vault',
};

type Trouble = 'denied' | 'credentials' | 'unknown' | 'disabled' | 'failed';

/** A failure of a service, as all of them tell it. `permission` is what the call needs. */
export function serviceError(
  trouble: Trouble,
  { service, key }: ServiceKey,
  permission: string,
  cause: unknown,
): TidemarkError {
  const title = SERVICE_TITLES[service];
  const said = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
  switch (trouble) {
    case 'denied':
      return usageError(
        'KEY_SERVICE_DENIED',
        `${title} denies ${permission} on ${key}: ${said}`,
        GRANT,
        cause,
      );
    case 'credentials':
      return usageError(
        'KEY_SERVICE_CREDENTIALS',
        `there are no credentials that ${title} takes: ${said}`,
        CREDENTIALS[service],
        cause,
      );
    case 'unknown':
      return usageError('KEY_SERVICE_UNKNOWN', `${title} has no key ${key}: ${said}`, LOOK, cause);
    case 'disabled':
      return usageError('KEY_SERVICE_DISABLED', `${title} does not use ${key} now: ${said}`, ENABLE, cause);
    case 'failed':
      return new TidemarkError('KEY_SERVICE_FAILED', `${title} failed for ${key}: ${said}`, AGAIN, { cause });
  }
}

const GRANT = 'grant it to whom these credentials belong; docs/guides/keys.md lists what is needed';
const LOOK = 'look at the name, the region and the project or vault in it';
const ENABLE =
  'enable the key; a deletion that was scheduled can be cancelled until its day comes. Until then open the repository with another slot';
const AGAIN = 'run the command again; if it persists, open the repository with another slot';
const CREDENTIALS: Record<ServiceName, string> = {
  'aws-kms': 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is given',
  'gcp-kms': "set GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth application-default login'",
  'azure-kv': "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run 'az login'",
};
