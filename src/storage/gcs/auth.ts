import { homedir } from 'node:os';
import type { AuthClient } from 'google-auth-library';
import { TidemarkError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import { loadSdk } from '../sdk.ts';
import { type GcsCredentials, parseCredentials } from './credentials.ts';
import { networkFailure } from './failure.ts';

/** Carries a request out as gaxios does, through the proxy that HTTPS_PROXY names. */
export type Transport = AuthClient['transporter'];

/** Who asks: gives each request its `authorization`, renewing tokens before they end. */
export interface Auth {
  /** @throws TidemarkError STORAGE_AUTHENTICATION, or a temporary one where no token could be fetched. */
  sign(): Promise<{ headers: Headers; transport: Transport }>;
  /** The token is accepted no more. */
  forget(): void;
}

const SCOPE = 'https://www.googleapis.com/auth/devstorage.full_control';

/**
 * The credentials of the strategy, or what the machine has (GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default
 * login`, the service account of a machine at Google). Nothing is read or asked before the first `sign`.
 */
export async function openAuth(credentials: GcsCredentials | undefined, timeoutMs: number): Promise<Auth> {
  const library = await loadSdk(() => import('google-auth-library'), 'google-auth-library', 'gs:// storages');
  let client: Promise<AuthClient> | undefined;
  const sign = async () => {
    client ??= credentials ? clientOf(credentials, library) : applicationDefault(library);
    const ready = await client;
    return { headers: new Headers(await ready.getRequestHeaders()), transport: ready.transporter };
  };
  return {
    async sign() {
      try {
        return await within(timeoutMs, sign);
      } catch (error) {
        client = undefined; // it may wait for ever for what it once asked for
        throw authFailure(error);
      }
    },
    forget() {
      client = undefined;
    },
  };
}

type Library = typeof import('google-auth-library');

function applicationDefault({ GoogleAuth }: Library): Promise<AuthClient> {
  // With a project the library does not look for one, which would start gcloud; requests here need none.
  return new GoogleAuth({ scopes: SCOPE, projectId: 'none' }).getClient();
}

/** Each type by its own class, as Google asks for where a configuration may come from anywhere. */
async function clientOf(credentials: GcsCredentials, library: Library): Promise<AuthClient> {
  const { type, content } = parseCredentials(await textOf(credentials));
  const { client_email, private_key, private_key_id, client_id, client_secret, refresh_token } = content;
  switch (type) {
    case 'service_account':
      return new library.JWT({ email: client_email, key: private_key, keyId: private_key_id, scopes: SCOPE });
    case 'authorized_user':
      return new library.UserRefreshClient(client_id, client_secret, refresh_token);
    case 'external_account': {
      const { IdentityPoolClient, AwsClient } = library;
      const options = { ...content, scopes: [SCOPE] };
      return content.credential_source?.environment_id
        ? new AwsClient(options)
        : new IdentityPoolClient(options);
    }
  }
}

async function textOf(credentials: GcsCredentials): Promise<string> {
  if ('json' in credentials) return credentials.json;
  const path = credentials.file.replace(/^~(?=\/)/, homedir());
  try {
    return (await readSmallFile(path)).bytes.toString('utf8');
  } catch (cause) {
    throw new TidemarkError(
      'STORAGE_AUTHENTICATION',
      `can't read the credentials file ${path}: ${(cause as NodeJS.ErrnoException).code}`,
      'let the user that runs tidemark read it, or correct credentials_file in the strategy',
      { cause },
    );
  }
}

async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLate(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(timeoutMs: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_TIMEOUT',
    `Google gave no access token within ${Math.ceil(timeoutMs / 1000)} s`,
    'look at the network of this machine, and at https://status.cloud.google.com',
    { retry: {} },
  );
}

/** The library's errors hold requests and assertions: only their words are kept. */
function authFailure(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const what = "can't get an access token from Google";
  const { message, code, response } = error as { message?: string; code?: unknown; response?: Response };
  if (response && (response.status === 429 || response.status >= 500))
    return new TidemarkError('STORAGE_BUSY', `${what}: it answers ${response.status}`, 'try again later', {
      retry: {},
    });
  if (!response && typeof code === 'string' && !FILE_CODES.includes(code)) return networkFailure(error, what);
  return new TidemarkError(
    'STORAGE_AUTHENTICATION',
    `${what}: ${response ? wordsOf(response) : (message ?? String(error)).split('\n')[0]}`,
    "write credentials: { credentials_file: … }, set GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth application-default login'",
  );
}

/** A file of credentials, or one that it names, which can't be read. */
const FILE_CODES = ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'];

interface Response {
  status: number;
  /** RFC 6749, section 5.2. */
  data?: { error?: unknown; error_description?: unknown };
}

function wordsOf({ status, data }: Response): string {
  const words = [data?.error, data?.error_description].filter(each => typeof each === 'string');
  return words.join(', ') || `status ${status}`;
}
