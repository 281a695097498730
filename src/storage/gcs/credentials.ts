import { TidemarkError, usageError } from '../../base/errors.ts';

/** A file, absolute or from `~/`, or its text: what Google makes for a service account or a workload identity. */
export type GcsCredentials = { file: string } | { json: string };

const KEYS = ['credentials_file', 'credentials_json'];
const TYPES = ['service_account', 'authorized_user', 'external_account'] as const;

/** @throws TidemarkError of kind usage that goes on after "storage of repository x" and repeats no secret. */
export function readCredentials(given: Readonly<Record<string, string>>): GcsCredentials {
  const unknown = Object.keys(given).find(key => !KEYS.includes(key));
  if (unknown !== undefined)
    throw wrong(
      `has ${unknown} in its credentials, which gs:// does not know`,
      `known are ${KEYS.join(', ')}`,
    );
  const { credentials_file: file, credentials_json: json } = given;
  if ((file === undefined) === (json === undefined))
    throw wrong(
      `needs one of ${KEYS.join(' and ')} in its credentials`,
      'leave credentials out for the application default credentials',
    );
  if (json !== undefined) {
    if (parsed(json) !== undefined) return { json };
    throw wrong('has a credentials_json that is none', HINT);
  }
  if (/^(\/|~\/|[A-Za-z]:[\\/])/.test(file!)) return { file: file! };
  throw wrong(`has the credentials_file ${file}, which is not absolute`, 'write it from / or from ~/');
}

export interface Parsed {
  type: (typeof TYPES)[number];
  // biome-ignore lint/suspicious/noExplicitAny: Google's own format, given to Google's own classes
  content: any;
}

/** What a file or text of credentials holds. */
export function parseCredentials(text: string): Parsed {
  const found = parsed(text);
  if (found !== undefined) return found;
  throw new TidemarkError(
    'STORAGE_AUTHENTICATION',
    'the credentials for gs:// are none that are known',
    HINT,
  );
}

/** What is wrong with it would show some of it, so that nobody is told. */
function parsed(text: string): Parsed | undefined {
  try {
    const content = JSON.parse(text);
    return TYPES.includes(content.type) ? { type: content.type, content } : undefined;
  } catch {
    return undefined;
  }
}

const HINT = `give the whole JSON that Google made, whose "type" is ${TYPES.join(', ')}; others by GOOGLE_APPLICATION_CREDENTIALS`;

function wrong(what: string, hint: string) {
  return usageError('STORAGE_SETTING', what, hint);
}
