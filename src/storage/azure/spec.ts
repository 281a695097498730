import { usageError } from '../../base/errors.ts';
import {
  type Address,
  checkClass,
  refuseSettings,
  type StorageClass,
  type StorageSettings,
} from '../kind.ts';
import { type AzureCredential, readCredentials } from './credential.ts';

export interface AzureSpec {
  kind: 'azure';
  account: string;
  container: string;
  /** Without slashes at its ends; empty for the container as a whole. */
  prefix: string;
  /** URL of the account's blob service, without a slash at its end. */
  endpoint: string;
  /** Secret. Absent: the variables of the Azure tools, or else the standard chain. */
  credential?: AzureCredential;
  /** The encryption scope that names a key of the customer; absent: the container's own. */
  encryptionScope?: string;
  /** How quickly archived objects are thawed; High costs more. */
  rehydrate: 'Standard' | 'High';
}

/** Access tiers; the days are those of learn.microsoft.com/azure/storage/blobs/access-tiers-overview. */
export const AZURE_CLASSES: Readonly<Record<string, StorageClass>> = {
  Hot: { frozen: false, minimumDays: 0 },
  Cool: { frozen: false, minimumDays: 30 },
  Cold: { frozen: false, minimumDays: 90 },
  Archive: { frozen: true, minimumDays: 180 },
};

const QUERY_KEYS = ['endpoint', 'rehydrate'];
/** The names of blobs have at most 1024 characters; the rest is for our own names. */
const LONGEST_PREFIX = 700;

/** `azure://account/container/folder?endpoint=…&rehydrate=…` and the settings beside it. Pure. */
export function parseAzure(address: Address, settings: StorageSettings): AzureSpec {
  refuseSettings(settings, 'Azure Blob storage', ['storageClass', 'encryption', 'credentials']);
  checkClass(settings.storageClass, AZURE_CLASSES);
  const account = readAccount(address);
  const { container, prefix } = readPath(address.path);
  for (const key of address.query.keys()) {
    if (QUERY_KEYS.includes(key)) continue;
    throw fault(`has ${key} in its address, which means nothing there`, `it takes ${QUERY_KEYS.join(', ')}`);
  }
  const written = address.query.get('endpoint');
  const { credential, endpoint } = readCredentials(settings.credentials, account);
  const own = written === undefined ? undefined : readEndpoint(written);
  if (own !== undefined && endpoint !== undefined && own !== endpoint) {
    throw fault(
      'has another endpoint in its address than in its connection string',
      'remove endpoint from the address',
    );
  }
  return {
    kind: 'azure',
    account,
    container,
    prefix,
    endpoint: own ?? endpoint ?? defaultEndpoint(account),
    credential,
    encryptionScope: readScope(settings),
    rehydrate: readPriority(address.query.get('rehydrate')),
  };
}

/** For people, and equal for specs of the same objects. */
export function locationOfAzure({ account, container, prefix, endpoint }: AzureSpec): string {
  const place = `azure://${account}/${container}${prefix && `/${prefix}`}`;
  return endpoint === defaultEndpoint(account) ? place : `${place}?endpoint=${endpoint}`;
}

function defaultEndpoint(account: string): string {
  return `https://${account}.blob.core.windows.net`;
}

function readAccount({ host, user, port }: Address): string {
  if (user !== undefined || port !== undefined) {
    throw fault('has a user or a port in its address', 'write azure://account/container/folder');
  }
  if (/^[a-z0-9]{3,24}$/.test(host)) return host;
  throw fault(
    host === '' ? 'has no account' : `has ${host} for an account, which can't be the name of one`,
    'write azure://account/container/folder; the names of accounts are 3 to 24 lower-case letters and digits',
  );
}

function readPath(path: string): { container: string; prefix: string } {
  const [container = '', ...folders] = path.split('/');
  if (!/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/.test(container)) {
    throw fault(
      container === ''
        ? 'has no container'
        : `has ${container} for a container, which can't be the name of one`,
      'write azure://account/container/folder; the names of containers are 3 to 63 lower-case letters, digits and single hyphens',
    );
  }
  const prefix = folders.join('/');
  // The service takes dots off the end of a folder's name, and a backslash for a slash.
  if (folders.some(folder => folder.endsWith('.')) || /[\\\x00-\x1f\x7f]/.test(prefix)) {
    throw fault(
      'has a folder whose name ends in a dot or has odd characters',
      'choose another folder in the container',
    );
  }
  if (prefix.length > LONGEST_PREFIX)
    throw fault('has too long a folder', `at most ${LONGEST_PREFIX} characters`);
  return { container, prefix };
}

function readEndpoint(written: string): string {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  const known = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url && known && url.username === '' && url.password === '' && url.search === '' && url.hash === '') {
    return url.href.replace(/\/+$/, '');
  }
  throw fault(
    'has an endpoint that is not the URL of a blob service',
    'write it in full: https://account.blob.core.chinacloudapi.cn, http://127.0.0.1:10000/account',
  );
}

function readScope({ encryption }: StorageSettings): string | undefined {
  if (encryption?.mode !== 'kms') return undefined;
  const scope = encryption.keyId ?? '';
  if (/^[A-Za-z0-9]{3,63}$/.test(scope)) return scope;
  throw usageError(
    'STORAGE_SETTING',
    'has an encryption key that is not the name of an encryption scope',
    'make an encryption scope for the key in the storage account, and write { kms: NAME_OF_THE_SCOPE }',
  );
}

function readPriority(written = 'standard'): AzureSpec['rehydrate'] {
  if (written === 'standard') return 'Standard';
  if (written === 'high') return 'High';
  throw fault(`has rehydrate=${written} in its address`, 'write rehydrate=standard or rehydrate=high');
}

function fault(what: string, hint: string) {
  return usageError('STORAGE_ADDRESS', what, hint);
}
