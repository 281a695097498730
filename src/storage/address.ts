import { usageError } from '../base/errors.ts';
import type { Address, StorageSettings } from './kind.ts';
import { STORAGE_KINDS, type StorageSpec } from './kinds.ts';

/** The scheme of `scheme://…`, in lower case; undefined for a folder. */
export function schemeOf(written: string): string | undefined {
  return /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1]?.toLowerCase();
}

/**
 * What an address with a scheme, and the settings beside it, mean. Pure.
 *
 * @throws TidemarkError of kind usage; its message goes on after "storage of repository x" and holds no secret.
 */
export function parseStorage(written: string, settings: StorageSettings): StorageSpec {
  const scheme = schemeOf(written);
  const kind = STORAGE_KINDS.find(each => each.schemes.includes(scheme ?? ''));
  if (!kind) {
    const known = STORAGE_KINDS.flatMap(each => each.schemes).map(each => `${each}://`);
    throw usageError(
      'STORAGE_UNKNOWN',
      `is on ${scheme}://, which is no storage`,
      `write a folder such as ./backups; storages are ${known.join(', ')}`,
    );
  }
  return kind.parse(parseAddress(written), settings);
}

/** Takes an address apart: by RFC 3986, but names of hosts and buckets stay as they are written. */
export function parseAddress(written: string): Address {
  const [, scheme, authority, path, query] =
    /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/.exec(written) ?? [];
  if (scheme === undefined) throw malformed('is not a URL');
  const [, user, password, host, port] =
    /^(?:([^@:]*)(:[^@]*)?@)?(\[[0-9A-Fa-f:.]+\]|[^:@]*)(?::(\d+))?$/.exec(authority!) ?? [];
  if (host === undefined) throw malformed('is not a URL: the part after // is not understood');
  if (password !== undefined) {
    throw usageError(
      'STORAGE_ADDRESS',
      'has a password in its address',
      'put it under credentials:, from a variable, or use the standard chain of the provider',
    );
  }
  return {
    scheme: scheme.toLowerCase(),
    user: user === undefined ? undefined : decoded(user),
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? undefined : Number(port),
    path: path!
      .split('/')
      .filter(part => part !== '')
      .map(decoded)
      .join('/'),
    query: new Map(new URLSearchParams(query ?? '')),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw malformed('has a % that starts no escape', cause);
  }
}

function malformed(what: string, cause?: unknown) {
  return usageError(
    'STORAGE_ADDRESS',
    what,
    'write it as scheme://place/folder, such as s3://bucket/folder',
    cause,
  );
}
