import { TidemarkError } from '../../base/errors.ts';
import type { S3Error } from './error.ts';
import type { S3Spec } from './spec.ts';

/** Errors that came without an answer: no connection, a cut one, no credentials to ask with. */
export function networkFailure(error: S3Error, did: string, spec: S3Spec): TidemarkError {
  const { code, reason, hint, retry } = verdictOn(error, spec);
  return new TidemarkError(code, `${did}: ${reason}`, hint, { cause: error, retry: retry ? {} : undefined });
}

interface Verdict {
  code: string;
  reason: string;
  hint: string;
  retry?: true;
}

function verdictOn(error: S3Error, spec: S3Spec): Verdict {
  const { name, message } = error;
  const code = error.code ?? '';
  const server = spec.endpoint ?? 'AWS';
  if (/^(CredentialsProviderError|TokenProviderError)$/.test(name)) return credentials(message);
  if (/region is missing/i.test(message))
    return {
      code: 'STORAGE_REGION',
      reason: 'no region is given',
      hint: 'write region: beside the storage, such as region: eu-central-1, or set AWS_REGION',
    };
  if (/^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code))
    return {
      code: 'STORAGE_TLS',
      reason: `the server's certificate is not trusted (${code})`,
      hint: 'look at endpoint= and at what stands between; NODE_EXTRA_CA_CERTS names further authorities',
    };
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return {
      code: 'STORAGE_TLS',
      reason: `${server} does not speak TLS there`,
      hint: 'look at the port; a server without TLS is written endpoint=http://…',
    };
  if (code === 'ENOTFOUND')
    return {
      code: 'STORAGE_UNREACHABLE',
      reason: `there is no host of that name (${hostOf(message) ?? server})`,
      hint: 'look at endpoint= and region= in the address, and at the network of this machine',
    };
  if (name === 'TimeoutError' || code === 'ETIMEDOUT')
    return {
      code: 'STORAGE_TIMEOUT',
      reason: `${server} fell silent`,
      hint: 'look at the network of this machine, and at endpoint= in the address',
      retry: true,
    };
  if (TEMPORARY.includes(code) || /socket hang up|aborted/.test(message))
    return {
      code: 'STORAGE_UNREACHABLE',
      reason: TOLD[code] ? `${server} ${TOLD[code]}` : message,
      hint: 'is the server running? look at endpoint= in the address, and at the network of this machine',
      retry: true,
    };
  return { code: 'STORAGE', reason: message || name, hint: 'see the reason above' };
}

const TEMPORARY = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ERR_STREAM_PREMATURE_CLOSE',
];

const TOLD: Record<string, string> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'cut the connection',
  EPIPE: 'cut the connection',
  ERR_STREAM_PREMATURE_CLOSE: 'cut the connection',
  EAI_AGAIN: "can't be looked up at the moment",
};

function credentials(message: string): Verdict {
  const expired = /expired|refresh|sso login/i.test(message);
  return {
    code: 'STORAGE_CREDENTIALS',
    reason: `no credentials to ask with: ${message.trim().split('\n')[0]!.replace(/\.$/, '')}`,
    hint: expired
      ? 'sign in again (aws sso login)'
      : 'write credentials: beside the storage, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile',
  };
}

function hostOf(message: string): string | undefined {
  return /ENOTFOUND (\S+)/.exec(message)?.[1];
}
