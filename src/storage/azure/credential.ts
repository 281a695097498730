import { usageError } from '../../base/errors.ts';
import type { StorageSettings } from '../kind.ts';

/** Secret: never to be printed. */
export type AzureCredential = { accountKey: string } | { sasToken: string };

export interface ReadCredentials {
  credential?: AzureCredential;
  /** The blob service that a connection string names. */
  endpoint?: string;
}

const KEYS = ['account_key', 'sas_token', 'connection_string'];

/** What a strategy says under `credentials`, for that account. Pure. */
export function readCredentials(written: StorageSettings['credentials'], account: string): ReadCredentials {
  if (!written) return {};
  const keys = Object.keys(written);
  const odd = keys.find(key => !KEYS.includes(key));
  if (odd !== undefined || keys.length !== 1) {
    throw fault(
      odd === undefined
        ? `has ${keys.length === 0 ? 'no' : 'several'} credentials`
        : `has no credential ${odd}`,
      `write one of ${KEYS.join(', ')}; or none for the standard chain of Azure`,
    );
  }
  const { account_key, sas_token, connection_string } = written;
  if (account_key !== undefined) return { credential: { accountKey: checkedKey(account_key) } };
  if (sas_token !== undefined) return { credential: { sasToken: checkedToken(sas_token) } };
  const { account: named, ...read } = readConnectionString(connection_string!);
  if (named === account) return read;
  throw fault(
    `has a connection string of the account ${named ?? 'that it does not name'}`,
    `use the one of ${account}, or that account in the address`,
  );
}

/**
 * The credential in the variables that the Azure command line uses too, where they are about this account: variables
 * of another one are often set for other programs.
 */
export function credentialOfEnvironment(
  { account, endpoint }: { account: string; endpoint: string },
  environment: NodeJS.ProcessEnv,
): AzureCredential | undefined {
  const { AZURE_STORAGE_CONNECTION_STRING: text, AZURE_STORAGE_ACCOUNT: named } = environment;
  if (text) {
    const read = readConnectionString(text);
    if (read.account === account && read.endpoint === endpoint) return read.credential;
  }
  if (named !== account) return undefined;
  const { AZURE_STORAGE_KEY: key, AZURE_STORAGE_SAS_TOKEN: token } = environment;
  if (key) return { accountKey: checkedKey(key) };
  return token ? { sasToken: checkedToken(token) } : undefined;
}

/** `Key=value;Key=value`, as the portal shows it (learn.microsoft.com/azure/storage/common/storage-configure-connection-string). */
function readConnectionString(text: string): ReadCredentials & { account?: string } {
  const values = new Map(
    text.split(';').map(pair => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at).trim().toLowerCase(), pair.slice(at + 1).trim()];
    }),
  );
  const key = values.get('accountkey');
  const token = values.get('sharedaccesssignature');
  if (!key && !token) {
    throw fault(
      'has a connection string without an account key or a shared access signature',
      'copy it as a whole from the access keys of the storage account',
    );
  }
  const credential = key ? { accountKey: checkedKey(key) } : { sasToken: checkedToken(token!) };
  const endpoint = values.get('blobendpoint')?.replace(/\/+$/, '');
  const account = values.get('accountname') ?? /^https?:\/\/([a-z0-9]+)\.blob\./.exec(endpoint ?? '')?.[1];
  if (endpoint !== undefined || account === undefined) return { account, credential, endpoint };
  const protocol = values.get('defaultendpointsprotocol') ?? 'https';
  const suffix = values.get('endpointsuffix') ?? 'core.windows.net';
  return { account, credential, endpoint: `${protocol}://${account}.blob.${suffix}` };
}

function checkedKey(key: string): string {
  if (/^[A-Za-z0-9+/]{16,}={0,2}$/.test(key)) return key;
  throw fault(
    'has an account key that is not base64',
    'copy it as a whole from the access keys of the storage account',
  );
}

function checkedToken(token: string): string {
  const plain = token.replace(/^\?/, '');
  const parameters = new URLSearchParams(plain);
  if (parameters.has('sig') && parameters.has('sv')) return plain;
  throw fault(
    'has a SAS token that is none',
    'copy the token as a whole, from sv= on; of a SAS URL what follows the question mark',
  );
}

function fault(what: string, hint: string) {
  return usageError('STORAGE_SETTING', what, hint);
}
