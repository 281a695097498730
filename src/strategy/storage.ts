import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { absolutePath, type Environment } from './environment.ts';
import type { StorageLocation } from './spec.ts';

const LATER_SCHEMES = ['s3', 'azure', 'gs', 'sftp'];

/** What a storage's text means, or what is wrong with it. A URL can hold a password, so neither part ever shows it. */
export type StorageReading = { location: StorageLocation } | { fault: string; hint: string };

/**
 * Reads where a repository lies: a folder (relative to `folder`, or from `~`) or a `file://` URL; the schemes of other
 * storages are known, but not supported yet.
 */
export function readStorage(written: string, folder: string, environment: Environment): StorageReading {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1]?.toLowerCase();
  if (scheme === undefined) return local(absolutePath(written, folder, environment));
  if (LATER_SCHEMES.includes(scheme)) {
    return {
      fault: `is on ${scheme}://: that storage comes with a later version`,
      hint: 'use a folder for now, such as ./backups',
    };
  }
  if (scheme !== 'file') {
    const known = ['file', ...LATER_SCHEMES].map(known => `${known}://`).join(', ');
    return {
      fault: `is on ${scheme}://, which is no storage`,
      hint: `write a folder such as ./backups; storages are ${known}`,
    };
  }
  try {
    return local(path.resolve(fileURLToPath(written)));
  } catch {
    return {
      fault: 'is not a file:// URL',
      hint: 'write three slashes and an absolute path: file:///var/backups/x',
    };
  }
}

function local(absolute: string): StorageReading {
  return { location: { kind: 'local', path: absolute } };
}
