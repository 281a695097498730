import type { RestError } from '@azure/storage-blob';
import { TidemarkError } from '../../base/errors.ts';
import {
  AUTHENTICATION,
  BY_SERVICE_CODE,
  BY_STATUS,
  BY_SYSTEM_CODE,
  NETWORK,
  OF_OBJECTS,
  type Remedy,
} from './remedies.ts';

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
  const remedy = BY_SERVICE_CODE[code ?? ''] ?? BY_STATUS[status];
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
    code: 'STORAGE_CREDENTIALS',
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
