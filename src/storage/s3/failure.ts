import { TidemarkError } from '../../base/errors.ts';
import { missing } from '../object.ts';
import { BodyLengthError } from './body.ts';
import type { S3Error } from './error.ts';
import { networkFailure } from './network.ts';
import type { S3Spec } from './spec.ts';

/** What was being done, for messages and hints. */
export interface Doing {
  /** Goes on after "can't": `write packs/1`. */
  what: string;
  /** What the policy has to allow: `s3:PutObject`. */
  permission: string;
  /** The object, where it is about one that must be there. */
  object?: string;
  /** What is asked for besides: servers that don't have it answer with hardly a word. */
  storageClass?: string;
  lock?: boolean;
}

interface Where {
  spec: S3Spec;
  place: string;
}

/** An answer without a body says nothing but its status, which the SDK makes a name of. */
export function isUnexplained(error: unknown): boolean {
  const { name, $metadata } = error as S3Error;
  const status = $metadata?.httpStatusCode ?? 0;
  return status >= 300 && status < 500 && UNEXPLAINED.includes(name);
}

const UNEXPLAINED = [
  'Unknown',
  'UnknownError',
  'BadRequest',
  'Forbidden',
  'NotFound',
  '301',
  '307',
  '400',
  '403',
];

/** Anything that a request threw, in our words. */
export function s3Failure(thrown: unknown, doing: Doing, where: Where): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const error = thrown as S3Error;
  const did = `can't ${doing.what} in ${where.place}`;
  if (thrown instanceof BodyLengthError)
    return temporary('STORAGE_CUT', `${did}: ${error.message}`, RETRIED, error);
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined || error.code !== undefined) return networkFailure(error, did, where.spec);
  if (doing.object !== undefined && error.name === 'NoSuchKey')
    return missing(doing.object, where.place, error);
  const verdict = VERDICTS.find(each => each.names.includes(error.name)) ?? byStatus(status, error, doing);
  const { code, reason, hint, kind, retry } = verdict;
  const told = `${did}: ${reason?.(error, where) ?? serverWords(error)}`;
  const advice = typeof hint === 'string' ? hint : hint(error, doing, where);
  return new TidemarkError(code, told, advice, {
    cause: error,
    kind,
    retry: retry ? retryAfter(error) : undefined,
  });
}

interface Verdict {
  names: string[];
  code: string;
  /** Absent: what the server says. */
  reason?: (error: S3Error, where: Where) => string;
  hint: string | ((error: S3Error, doing: Doing, where: Where) => string);
  kind?: 'fault' | 'usage';
  retry?: true;
}

const RETRIED = 'it was tried again and again; run the command again later';
const NO_LOCKS = 'object lock must be enabled on the bucket; enable it, or remove lock from the repository';
/** A prune writes before it removes. */
const FULL =
  "raise the quota or cap with the provider, or remove something else that counts for it; then 'tidemark prune' frees what no snapshot needs, a day after it was found";
const NO_CLASS = 'remove class from the repository, or name one that this provider has';

/** Error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of other servers. */
const VERDICTS: Verdict[] = [
  {
    names: [
      'InvalidAccessKeyId',
      'InvalidClientTokenId',
      'UnrecognizedClientException',
      'AuthFailure',
      'Unauthorized',
    ],
    code: 'STORAGE_CREDENTIALS',
    reason: () => 'the server does not know the access key',
    hint: 'use an access key of this provider and account; it may have been deleted',
  },
  {
    names: ['SignatureDoesNotMatch'],
    code: 'STORAGE_CREDENTIALS',
    reason: () => 'the secret access key is not the one that belongs to the access key',
    hint: (_error, _doing, { spec }) =>
      `look at the secret access key${spec.endpoint ? `; some servers also say so of a wrong region (it is ${spec.region})` : ''}`,
  },
  {
    names: [
      'ExpiredToken',
      'ExpiredTokenException',
      'TokenRefreshRequired',
      'InvalidToken',
      'InvalidSecurity',
    ],
    code: 'STORAGE_CREDENTIALS',
    reason: error =>
      error.name === 'InvalidToken' ? 'the session token is not valid' : 'the session token has expired',
    hint: 'get new temporary credentials (aws sso login, or what made them); the standard chain renews them by itself',
  },
  {
    names: ['NoSuchBucket'],
    code: 'STORAGE_BUCKET_MISSING',
    reason: (_error, { spec }) => `there is no bucket ${spec.bucket}`,
    hint: 'create the bucket, or correct its name; tidemark creates none',
  },
  {
    names: [
      'PermanentRedirect',
      'AuthorizationHeaderMalformed',
      'IllegalLocationConstraintException',
      'TemporaryRedirect',
      '301',
      '307',
    ],
    code: 'STORAGE_REGION',
    reason: (error, { spec }) =>
      `the bucket is in ${rightRegion(error) ?? 'another region'}, not in ${spec.region ?? 'the one that was used'}`,
    hint: error => `write region: ${rightRegion(error) ?? "the bucket's region"} beside the storage`,
  },
  {
    names: ['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture'],
    code: 'STORAGE_CLOCK',
    reason: error => {
      const date = error.$response?.headers?.date;
      return `this machine's clock is wrong${date ? `: the server's says ${date}, ours ${new Date().toUTCString()}` : ''}`;
    },
    hint: 'set the clock (timedatectl set-ntp true): requests are only valid for some minutes',
  },
  {
    names: ['InvalidObjectState'],
    code: 'OBJECT_FROZEN',
    reason: () => 'it is in a class that must be thawed before it is read',
    hint: 'ask for it to be thawed, and wait for hours: docs/guides/storage-s3.md, Classes',
  },
  {
    names: ['ObjectLocked', 'ObjectLockedByBucketPolicy', 'WORMViolation', 'ObjectUnderLegalHold'],
    code: 'OBJECT_LOCKED',
    hint: 'a lock keeps it until its date; in governance mode s3:BypassGovernanceRetention lifts it',
  },
  {
    names: [
      'InvalidRetentionPeriod',
      'ObjectLockConfigurationNotFoundError',
      'InvalidBucketObjectLockConfiguration',
      'InvalidBucketState',
    ],
    code: 'STORAGE_NO_LOCKS',
    hint: NO_LOCKS,
  },
  {
    names: [
      'QuotaExceeded',
      'XMinioStorageFull',
      'XMinioAdminBucketQuotaExceeded',
      'StorageQuotaExceeded',
      'InsufficientStorage',
      'CapExceeded',
    ],
    code: 'STORAGE_FULL',
    hint: FULL,
  },
  {
    names: ['NoSuchObjectLockConfiguration'],
    code: 'OBJECT_UNLOCKED',
    reason: () => 'it has no lock',
    hint: 'nothing to do',
  },
  {
    names: ['PreconditionFailed', '412'],
    code: 'STORAGE_PRECONDITION',
    hint: 'somebody else wrote it first; run the command again',
  },
  {
    names: ['InvalidStorageClass'],
    code: 'STORAGE_CLASS_UNKNOWN',
    reason: () => 'the server does not have this storage class',
    hint: NO_CLASS,
  },
  {
    names: ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch'],
    code: 'STORAGE_DAMAGED_UPLOAD',
    reason: () => 'the server got other bytes than were sent',
    hint: 'bytes change on the way; look at the network and the memory of this machine',
    retry: true,
  },
  {
    names: [
      'SlowDown',
      'SlowDownRead',
      'SlowDownWrite',
      'TooManyRequests',
      'Throttling',
      'ThrottlingException',
      'RequestLimitExceeded',
      'BandwidthLimitExceeded',
      'XMinioServerNotInitialized',
    ],
    code: 'STORAGE_BUSY',
    hint: 'the server asks for fewer requests: set limit: or connections: of the repository, or run at another time',
    retry: true,
  },
  {
    names: [
      'RequestTimeout',
      'RequestTimeoutException',
      'IncompleteBody',
      'OperationAborted',
      'ConditionalRequestConflict',
    ],
    code: 'STORAGE_UNAVAILABLE',
    hint: RETRIED,
    retry: true,
  },
  {
    names: ['NotImplemented', 'MethodNotAllowed', 'XNotImplemented'],
    code: 'STORAGE_UNSUPPORTED',
    hint: 'this server does not do that: docs/guides/storage-s3.md says what needs it',
  },
];

/** What a code we don't know means, by the status it came with. */
function byStatus(status: number, error: S3Error, doing: Doing): Omit<Verdict, 'names'> {
  if (status === 403 || status === 401) return denied(error);
  if (status === 429 || status >= 500) {
    const code = status === 429 || status === 503 ? 'STORAGE_BUSY' : 'STORAGE_UNAVAILABLE';
    return status === 501
      ? { code: 'STORAGE_UNSUPPORTED', hint: 'this server does not do that: docs/guides/storage-s3.md' }
      : status === 507
        ? { code: 'STORAGE_FULL', hint: FULL }
        : { code, hint: RETRIED, retry: true };
  }
  if (/object.?lock/i.test(error.message) || (doing.lock && error.name === 'InvalidRequest'))
    return { code: 'STORAGE_NO_LOCKS', hint: NO_LOCKS };
  if (doing.storageClass && error.name === 'InvalidArgument')
    return {
      code: 'STORAGE_CLASS_UNKNOWN',
      reason: () => `the server refuses it in class ${doing.storageClass}`,
      hint: NO_CLASS,
    };
  if (status < 300 || (status === 404 && error.Code === undefined))
    return {
      code: 'STORAGE_NOT_S3',
      hint: 'it answered with something that is not S3: look at endpoint= in the address',
    };
  return {
    code: 'STORAGE',
    hint: 'see the reason above; docs/guides/storage-s3.md says what tidemark needs',
  };
}

/** Locks and exhausted budgets of some providers come as a denial too, told apart by words only. */
function denied(error: S3Error): Omit<Verdict, 'names'> {
  if (/object.?lock|WORM|retention|legal hold/i.test(error.message))
    return {
      code: 'OBJECT_LOCKED',
      hint: 'a lock keeps it until its date; s3:BypassGovernanceRetention changes one in governance mode',
    };
  if (/\bcap\b|quota/i.test(error.message))
    return {
      code: 'STORAGE_FULL',
      hint: FULL,
    };
  return {
    code: 'STORAGE_DENIED',
    hint: (_error, { permission }, { spec }) => {
      const kms =
        spec.encryption?.mode === 'kms' ? ', and kms:GenerateDataKey and kms:Decrypt on the key' : '';
      return `the credentials need ${permission}${kms}: docs/guides/storage-s3.md has the whole policy`;
    },
  };
}

/** The server's message as our messages are written. */
function serverWords({ name, message, $metadata }: S3Error): string {
  const status = `status ${$metadata?.httpStatusCode}`;
  const words = message && message !== name ? message.trim().split('\n')[0]!.replace(/\.$/, '') : '';
  const known = UNEXPLAINED.includes(name) ? status : name;
  return words && !UNEXPLAINED.includes(words) ? `${known}: ${words}` : known;
}

function rightRegion(error: S3Error): string | undefined {
  const said = error.Region ?? error.$response?.headers?.['x-amz-bucket-region'];
  return said ?? /expecting '([a-z0-9-]+)'/.exec(error.message)?.[1];
}

/** The server's word on when: seconds, or a date. */
function retryAfter(error: S3Error): { afterMs?: number } {
  const written = error.$response?.headers?.['retry-after'];
  if (written === undefined) return {};
  const afterMs = /^\d+$/.test(written) ? Number(written) * 1000 : Date.parse(written) - Date.now();
  return afterMs > 0 ? { afterMs } : {};
}

function temporary(code: string, message: string, hint: string, cause: unknown): TidemarkError {
  return new TidemarkError(code, message, hint, { cause, retry: {} });
}
