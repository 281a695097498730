import type { RestError } from '@azure/storage-blob';
import { TidemarkError } from '../../base/errors.ts';
import { existing, missing } from '../object.ts';

interface Remedy {
  code: string;
  hint: string;
  kind?: 'failed' | 'fault';
  /** The same call may succeed later. */
  temporary?: true;
}

const AUTHENTICATION: Remedy = {
  code: 'STORAGE_AUTHENTICATION',
  hint: 'check that the account key, SAS token or identity is of this account, is whole and has not expired or been renewed, and that the clock of this machine is right',
};
const ROLE: Remedy = {
  code: 'STORAGE_DENIED',
  hint: 'give the identity the role Storage Blob Data Contributor on the container (Owner and Contributor of the account are not enough; a new role takes some minutes); a SAS token needs the permissions racwdl',
};
const LOCKED: Remedy = {
  code: 'OBJECT_LOCKED',
  hint: 'an immutability policy, a legal hold or a lease on it forbids it until it ends',
};
const BUSY: Remedy = {
  code: 'STORAGE_BUSY',
  hint: 'run the command again later, or lower connections or limit of the repository',
  temporary: true,
};
const ACCOUNT: Remedy = {
  code: 'STORAGE_DENIED',
  hint: 'see the reason above; the owner of the storage account can change it',
};

/** What the service answers (learn.microsoft.com/rest/api/storageservices/blob-service-error-codes), and what to do. */
const REMEDIES: Record<string, Remedy> = {
  AuthenticationFailed: AUTHENTICATION,
  InvalidAuthenticationInfo: AUTHENTICATION,
  NoAuthenticationInformation: AUTHENTICATION,
  AuthorizationPermissionMismatch: ROLE,
  InsufficientAccountPermissions: ROLE,
  UnauthorizedBlobOverwrite: ROLE,
  AuthorizationFailure: {
    code: 'STORAGE_DENIED',
    hint: 'the firewall of the storage account may refuse this machine, or the SAS token may lack the permissions racwdl on the container (emulators say so of a wrong account key, too)',
  },
  AuthorizationSourceIPMismatch: {
    code: 'STORAGE_DENIED',
    hint: 'the SAS token or the firewall of the storage account allows other addresses than this machine has',
  },
  AuthorizationProtocolMismatch: {
    code: 'STORAGE_DENIED',
    hint: 'the SAS token is for https only; use an https endpoint',
  },
  AuthorizationResourceTypeMismatch: {
    code: 'STORAGE_DENIED',
    hint: 'make a SAS token for containers and objects (srt=co), or one of the container',
  },
  AuthorizationServiceMismatch: { code: 'STORAGE_DENIED', hint: 'make a SAS token for blobs (ss=b)' },
  KeyBasedAuthenticationNotPermitted: {
    code: 'STORAGE_DENIED',
    hint: 'the account takes no keys: leave credentials out, and give your identity the role Storage Blob Data Contributor on the container',
  },
  AccountIsDisabled: ACCOUNT,
  ContainerDisabled: ACCOUNT,
  ContainerNotFound: {
    code: 'STORAGE_MISSING',
    hint: 'make the container, or correct its name in the address',
  },
  ContainerBeingDeleted: {
    code: 'STORAGE_MISSING',
    hint: 'the container is being deleted; make it again in a minute, or take another one',
  },
  BlobArchived: {
    code: 'OBJECT_FROZEN',
    hint: 'it is in the tier Archive and has to be thawed first, which takes up to 15 hours (1 hour with rehydrate=high in the address)',
  },
  BlobBeingRehydrated: { code: 'OBJECT_FROZEN', hint: 'it is being thawed, which takes up to 15 hours' },
  BlobImmutableDueToPolicy: LOCKED,
  BlobImmutableDueToLegalHold: LOCKED,
  LeaseIdMissing: LOCKED,
  // Another writer finished the same name meanwhile, which throws away the blocks of all others.
  InvalidBlockList: { ...BUSY, hint: 'another writer stores the same object; run the command again' },
  Md5Mismatch: {
    code: 'STORAGE_TRANSFER',
    hint: 'bytes changed on their way; if it happens again, look for a faulty proxy, network card or memory',
    temporary: true,
  },
  ServerBusy: BUSY,
  OperationTimedOut: BUSY,
  InternalError: BUSY,
};

/** What the service says of an object, in the words that all storages have for it. */
const OF_OBJECTS: Record<string, typeof missing> = {
  BlobNotFound: missing,
  ResourceNotFound: missing,
  BlobAlreadyExists: existing,
  ConditionNotMet: existing, // the only condition that is ever set is that there is no blob
};

/** Answers without a code of the service, from whatever stands between. */
const BY_STATUS: Record<number, Remedy> = {
  401: AUTHENTICATION,
  403: ROLE,
  407: { code: 'STORAGE_AUTHENTICATION', hint: 'the proxy wants a password; see HTTPS_PROXY' },
  408: BUSY,
  429: BUSY,
  500: BUSY,
  502: BUSY,
  503: BUSY,
  504: BUSY,
};

const NETWORK: Remedy = {
  code: 'STORAGE_UNREACHABLE',
  hint: 'check the network, and the endpoint in the address if there is one',
  temporary: true,
};
const CERTIFICATE: Remedy = {
  code: 'STORAGE_TLS',
  hint: 'the certificate of the endpoint is not trusted; NODE_EXTRA_CA_CERTS names a file with the one of your own authority',
};
const BY_SYSTEM_CODE: Record<string, Remedy> = {
  ECONNREFUSED: NETWORK,
  ECONNRESET: NETWORK,
  EPIPE: NETWORK,
  ETIMEDOUT: NETWORK,
  EHOSTUNREACH: NETWORK,
  ENETUNREACH: NETWORK,
  ENETDOWN: NETWORK,
  EAI_AGAIN: NETWORK,
  ENOTFOUND: {
    code: 'STORAGE_UNREACHABLE',
    hint: 'there is no such storage account, or no network: check the name of the account in the address',
  },
  CERT_HAS_EXPIRED: CERTIFICATE,
  DEPTH_ZERO_SELF_SIGNED_CERT: CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE,
  ERR_TLS_CERT_ALTNAME_INVALID: CERTIFICATE,
  EPROTO: { code: 'STORAGE_TLS', hint: 'does the endpoint speak https? an emulator is usually http' },
};
const IDENTITY_ERRORS = [
  'CredentialUnavailableError',
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
];
const LONGEST_REASON = 200;

export interface Known {
  place: string;
  /** The object that the call is about, if it is about one. */
  name?: string;
  /** Whether the account has answered before: then a name or credential that can't be had now was there once. */
  reached: boolean;
  /** When the SAS token ends. */
  expires?: Date;
}

/**
 * An error of the SDK as ours. Nothing of the SDK's error is kept: its requests hold tokens.
 *
 * @param what the call: `can't read packs/x in azure://…`.
 */
export function azureError(error: unknown, what: string, known: Known): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const failure = error as Partial<RestError> & Error;
  if (IDENTITY_ERRORS.includes(failure.name)) return identityError(failure, what, known.reached);
  if (failure.statusCode !== undefined) return answered(failure, what, known);
  const code = failure.code ?? '';
  const remedy = BY_SYSTEM_CODE[code] ?? (code === 'PARSE_ERROR' ? NETWORK : undefined);
  if (remedy) {
    const temporary = remedy.temporary || (known.reached && code === 'ENOTFOUND');
    return told(remedy, `${what}: ${plain(failure.message)}`, temporary ? {} : undefined);
  }
  return told({ code: 'STORAGE', hint: 'see the reason above' }, `${what}: ${plain(failure.message)}`);
}

/** The code of the service, which answers to HEAD have only in a header. */
export function serviceCode(error: unknown): string | undefined {
  const { response, code } = error as Partial<RestError>;
  return response?.headers.get('x-ms-error-code') ?? code;
}

/** Whether the service said that there is no such blob. */
export function isMissing(error: unknown): error is RestError {
  return (error as Partial<RestError>).statusCode === 404 && serviceCode(error) === 'BlobNotFound';
}

function answered(error: Partial<RestError> & Error, what: string, known: Known): TidemarkError {
  const { place, name, expires } = known;
  const code = serviceCode(error);
  const status = error.statusCode!;
  const headers = error.response?.headers;
  if (headers && !headers.has('x-ms-request-id') && status < 500 && BY_STATUS[status] === undefined) {
    const message = `${what}: something that is no blob service answered ${status}`;
    return told(
      { code: 'STORAGE_PROTOCOL', hint: 'check the endpoint in the address, and the proxy' },
      message,
    );
  }
  const ofObject = OF_OBJECTS[code ?? ''];
  if (ofObject && name !== undefined) return ofObject(name, place);
  const remedy = REMEDIES[code ?? ''] ?? BY_STATUS[status];
  if ((status === 401 || status === 403) && expires && expires.getTime() <= clockOf(error)) {
    const message = `${what}: the SAS token expired on ${expires.toISOString()}`;
    return told(
      { ...AUTHENTICATION, hint: 'make a new SAS token and put it in the place of the old one' },
      message,
    );
  }
  const reason = code === undefined ? `it answered ${status}` : `${code}${said(error.message)}`;
  const request = headers?.get('x-ms-request-id');
  if (!remedy) {
    const asked = request === undefined ? '' : ` (request ${request})`;
    return told({ code: 'STORAGE', hint: 'see the reason above' }, `${what}: ${reason}${asked}`);
  }
  return told(remedy, `${what}: ${reason}`, remedy.temporary && { afterMs: waitOf(error) });
}

/** No credential of the chain worked. Each says why in lines of its own; the first one is enough. */
function identityError(error: Error, what: string, reached: boolean): TidemarkError {
  const remedy = {
    code: 'STORAGE_AUTHENTICATION',
    hint: "sign in with 'az login', or give the machine a managed identity, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in the environment, or write credentials in the strategy",
  };
  return told(
    remedy,
    `${what}: no Azure credential works: ${plain(error.message)}`,
    reached ? {} : undefined,
  );
}

function told(remedy: Remedy, message: string, retry?: { afterMs?: number }): TidemarkError {
  return new TidemarkError(remedy.code, message, remedy.hint, { kind: remedy.kind, retry });
}

/** Milliseconds that the server asks to wait for, if it does. */
function waitOf({ response }: Partial<RestError>): number | undefined {
  const headers = response?.headers;
  const exact = Number(headers?.get('retry-after-ms') ?? headers?.get('x-ms-retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(exact)) return exact;
  const written = headers?.get('retry-after');
  if (written === undefined) return undefined;
  const ms = /^\d+$/.test(written) ? Number(written) * 1000 : Date.parse(written) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** The server's time of the answer, else ours. */
function clockOf({ response }: Partial<RestError>): number {
  const date = Date.parse(response?.headers.get('date') ?? '');
  return Number.isFinite(date) ? date : Date.now();
}

/** What the service says beside its code, where it says something in words. */
function said(message: string): string {
  return /^[A-Z][\w ,.'"-]+/.test(message) ? `: ${plain(message)}` : '';
}

/** The first line, in lower case, without a full stop, and without anything that could be a token. */
function plain(message: string): string {
  const line = message.split('\n', 1)[0]!.replace(/\b(sig|se|code|client_secret)=[^&\s]+/gi, '$1=…');
  const text = line.trim().slice(0, LONGEST_REASON).replace(/\.+$/, '');
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}
