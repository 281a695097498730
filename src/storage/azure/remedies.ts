import { existing, missing } from '../object.ts';

/** What is told of a failure: our code for it, and what to do. */
export interface Remedy {
  code: string;
  hint: string;
  kind?: 'failed' | 'fault';
  /** The same call may succeed later. */
  temporary?: true;
}

export const AUTHENTICATION: Remedy = {
  code: 'STORAGE_CREDENTIALS',
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
const UNAVAILABLE: Remedy = {
  code: 'STORAGE_UNAVAILABLE',
  hint: 'run the command again later; https://azure.status.microsoft says how Azure is',
  temporary: true,
};
const TIER: Remedy = {
  code: 'STORAGE_CLASS_UNKNOWN',
  hint: 'the account has no such tier: premium accounts have none, and Archive needs LRS, GRS or RA-GRS; choose another class',
};
const ACCOUNT: Remedy = {
  code: 'STORAGE_DENIED',
  hint: 'see the reason above; the owner of the storage account can change it',
};

/** What the service answers (learn.microsoft.com/rest/api/storageservices/blob-service-error-codes), and what to do. */
export const BY_SERVICE_CODE: Record<string, Remedy> = {
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
    code: 'STORAGE_BUCKET_MISSING',
    hint: 'make the container, or correct its name in the address',
  },
  ContainerBeingDeleted: {
    code: 'STORAGE_BUCKET_MISSING',
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
  InvalidBlockList: {
    code: 'STORAGE_CONTENDED',
    hint: 'another writer stores the same object; run the command again',
    temporary: true,
  },
  Md5Mismatch: {
    code: 'STORAGE_DAMAGED_UPLOAD',
    hint: 'bytes changed on their way; if it happens again, look for a faulty proxy, network card or memory',
    temporary: true,
  },
  ServerBusy: BUSY,
  OperationTimedOut: UNAVAILABLE,
  InternalError: UNAVAILABLE,
  BlobAccessTierNotSupportedForAccountType: TIER,
  AccessTierNotSupportedForBlobType: TIER,
  InvalidBlobTier: TIER,
};

/** What the service says of an object, in the words that all storages have for it. */
export const OF_OBJECTS: Record<string, typeof missing> = {
  BlobNotFound: missing,
  ResourceNotFound: missing,
  BlobAlreadyExists: existing,
  ConditionNotMet: existing, // the only condition that is ever set is that there is no blob
};

/** Answers without a code of the service, from whatever stands between. */
export const BY_STATUS: Record<number, Remedy> = {
  401: AUTHENTICATION,
  403: ROLE,
  407: { code: 'STORAGE_CREDENTIALS', hint: 'the proxy wants a password; see HTTPS_PROXY' },
  408: UNAVAILABLE,
  429: BUSY,
  500: UNAVAILABLE,
  501: {
    code: 'STORAGE_UNSUPPORTED',
    hint: 'what answers here is no full blob service; emulators lack some of it',
  },
  502: UNAVAILABLE,
  503: BUSY,
  504: UNAVAILABLE,
};

export const NETWORK: Remedy = {
  code: 'STORAGE_UNREACHABLE',
  hint: 'check the network, and the endpoint in the address if there is one',
  temporary: true,
};
const CERTIFICATE: Remedy = {
  code: 'STORAGE_TLS',
  hint: 'the certificate of the endpoint is not trusted; NODE_EXTRA_CA_CERTS names a file with the one of your own authority',
};
/** What the network does, by the system's code for it. */
export const BY_SYSTEM_CODE: Record<string, Remedy> = {
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
