/** What went wrong, in our words: https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes */
import { TidemarkError } from '../../base/errors.ts';
import type { Answer } from './answer.ts';

/** What an answer says of itself. */
export interface Complaint {
  /** Such as `retentionPolicyNotMet`; empty where it gives none. */
  reason: string;
  /** One line. */
  message: string;
}

/** Errors come as JSON, but those of downloads and of what stands before the API as plain text. */
export function complaintOf({ status, body }: Answer): Complaint {
  const text = body.toString('utf8', 0, 16_384);
  try {
    const { message, errors } = JSON.parse(text).error;
    return { reason: String(errors?.[0]?.reason ?? ''), message: oneLine(String(message)) };
  } catch {
    return {
      reason: '',
      message: /^\s*</.test(text) ? `status ${status}` : oneLine(text) || `status ${status}`,
    };
  }
}

/** @param doing what failed and where: `can't write x in gs://y`. */
export function answerFailure(answer: Answer, doing: string): TidemarkError {
  const { status } = answer;
  const { reason, message } = complaintOf(answer);
  const fail = (code: string, hint: string, options: { retry?: { afterMs?: number } } = {}) =>
    new TidemarkError(code, `${doing}: ${message}`, hint, options);
  if (isTemporary(status, reason))
    return fail(
      'STORAGE_BUSY',
      'run the command again later, or lower connections or limit of the repository',
      {
        retry: retryAfter(answer),
      },
    );
  // Google found that what came is not what was sent, and has thrown it away.
  if (status === 400 && /doesn't match calculated/i.test(message))
    return fail(
      'STORAGE_TRANSFER',
      'bytes change on the way; look at the network and memory of this machine',
      {
        retry: {},
      },
    );
  if (status === 401)
    return fail(
      'STORAGE_AUTHENTICATION',
      'the credentials were revoked or are of another cloud; make new ones',
    );
  if (isOfBucket(answer))
    return fail('STORAGE_MISSING', 'make the bucket, or correct its name in the strategy');
  if (reason === 'retentionPolicyNotMet' || reason === 'objectUnderActiveHold')
    return fail('OBJECT_LOCKED', 'a retention or a hold keeps it; wait until it ends, or lift it if you may');
  if (/object retention/i.test(message) && status < 500)
    return fail(
      'STORAGE_NO_LOCKS',
      'enable object retention on the bucket, or remove lock from the repository',
    );
  if (status === 403) return fail('STORAGE_DENIED', deniedHint(reason, message));
  return fail('STORAGE', 'see the reason above');
}

const BUSY_REASONS = ['rateLimitExceeded', 'userRateLimitExceeded', 'usageLimits.rateLimitExceeded'];

function isTemporary(status: number, reason: string): boolean {
  return (
    status === 408 || status === 429 || status >= 500 || (status === 403 && BUSY_REASONS.includes(reason))
  );
}

/** A 404 says of what only in words: "The specified bucket does not exist." */
export function isOfBucket(answer: Answer): boolean {
  return answer.status === 404 && /bucket does not exist/i.test(complaintOf(answer).message);
}

const ROLES: [RegExp, string][] = [
  [/storage\.buckets\.get/, 'roles/storage.bucketViewer'],
  [/storage\.objects\.(setRetention|overrideUnlockedRetention)/, 'roles/storage.objectAdmin'],
  [/storage\.objects\./, 'roles/storage.objectUser'],
  [/serviceusage\.services\.use/, 'roles/serviceusage.serviceUsageConsumer'],
  [
    /kms/i,
    'roles/cloudkms.cryptoKeyEncrypterDecrypter, which the service agent of Cloud Storage needs on the key,',
  ],
];

function deniedHint(reason: string, message: string): string {
  if (reason === 'insufficientPermissions' || /scope/i.test(message))
    return 'the access token may not be used for storage: give the machine the scope cloud-platform';
  const role = ROLES.find(([pattern]) => pattern.test(message))?.[1] ?? 'roles/storage.objectUser';
  return `grant ${role} to who asks; docs/guides/storage-gcs.md lists what tidemark needs`;
}

/** The server's word on when: seconds, or a date. */
function retryAfter({ headers }: Answer): { afterMs?: number } {
  const written = headers.get('retry-after');
  if (written === null) return {};
  const afterMs = /^\d+$/.test(written) ? Number(written) * 1000 : Date.parse(written) - Date.now();
  return afterMs > 0 ? { afterMs } : {};
}

/** No answer, or only part of one. Certificates do not mend by themselves, everything else may. */
export function networkFailure(error: unknown, doing: string): TidemarkError {
  const { code = '', message } = deepest(error);
  if (/^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code))
    return new TidemarkError(
      'STORAGE_TLS',
      `${doing}: the server's certificate is not trusted (${code})`,
      'look at endpoint= and at what stands between; NODE_EXTRA_CA_CERTS names further authorities',
    );
  return new TidemarkError(
    'STORAGE_UNREACHABLE',
    `${doing}: ${oneLine(withoutAddresses(message))}`,
    'look at the network of this machine, its proxy (HTTPS_PROXY), and at endpoint= in the address',
    { retry: {} },
  );
}

/** The error that the system gave. Those around it hold the request, and are not passed on. */
function deepest(error: unknown): NodeJS.ErrnoException {
  let found = error instanceof Error ? error : new Error(String(error));
  for (let depth = 0; depth < 5 && found.cause instanceof Error; depth++) found = found.cause;
  return found;
}

/** The address of an upload lets anybody go on with it: it is never shown. */
function withoutAddresses(message: string): string {
  return message.replace(/^request to .* failed, reason: /, '').replace(/https?:\/\/\S+/g, '…');
}

function oneLine(text: string): string {
  const line = text.trim().split('\n')[0]!.replace(/\.$/, '');
  return line.length > 300 ? `${line.slice(0, 300)} …` : line;
}
