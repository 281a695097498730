import type { KeySlot } from '../../repository/keys/slots.ts';
import type { StorageSpec } from '../../storage/kinds.ts';

/** What a recovery kit says of providers: what opens the storage, and when to call whom. */
export interface Advice {
  /** What has to be brought or set before the commands run. */
  storage: string[];
  /** What a provider's support, or an administrator there, can still do. */
  support: string[];
}

/** By kind of storage; of one that isn't here, what holds for any. */
const STORAGES: Record<string, Advice> = {
  local: {
    storage: [
      'Bring the folder to the machine, or mount it there. Another path than this one has',
      'to be changed below.',
    ],
    support: ['A disk that does not mount: stop writing to it and ask a recovery service.'],
  },
  s3: {
    storage: ['Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of someone who may read the bucket.'],
    support: [
      'Bucket or account locked: the support of the storage, with proof of ownership.',
      'Objects deleted: if the bucket has versions, its administrator can bring them back.',
    ],
  },
  azure: {
    storage: ['Log in with az login, or set AZURE_STORAGE_CONNECTION_STRING or the account key.'],
    support: [
      'Blobs or the account deleted: soft delete keeps them for the days that were set; an',
      'administrator undeletes them in the portal. Account disabled: Azure support.',
    ],
  },
  gcs: {
    storage: ['Run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS.'],
    support: [
      'Objects or the bucket deleted: soft delete keeps them for 7 days unless set otherwise;',
      'gcloud storage restore brings them back. Project shut down: 30 days, by its owner.',
    ],
  },
  sftp: {
    storage: ['Bring the SSH key or password of the server.'],
    support: ['Server gone: ask its provider for the disk, or for the newest image of it.'],
  },
};
const ANY: Advice = {
  storage: ['Bring the credentials that may read the storage.'],
  support: ['Storage locked or deleted: its provider can often undo that for some days.'],
};

export function storageAdvice({ kind }: StorageSpec): Advice {
  return STORAGES[kind] ?? ANY;
}

const SERVICES: Partial<Record<KeySlot['kind'], string[]>> = {
  'aws-kms': [
    'KMS key disabled or scheduled for deletion: its administrator can enable it, or',
    'cancel the deletion, for 7 to 30 days. After that nobody can, AWS included.',
  ],
  'gcp-kms': [
    'KMS key version disabled or scheduled for destruction: its administrator can restore',
    'it for the days that were set (30 unless changed). After that nobody can.',
  ],
  'azure-kv': [
    'Key Vault or key deleted: its administrator can recover it for 7 to 90 days (soft',
    'delete). After that nobody can, Azure included.',
  ],
};

/** Of the services in which slots have their keys. */
export function serviceAdvice(kinds: readonly KeySlot['kind'][]): string[] {
  return [...new Set(kinds)].flatMap(kind => SERVICES[kind] ?? []);
}
