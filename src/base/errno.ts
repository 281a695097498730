import { SMALL_FILE_BYTES_MAX } from './smallFile.ts';

interface Trouble {
  /** What failed, after the name of the file or host where there is one. */
  what: string;
  hint: string;
}

/** Failures of the system, in words, with what helps. They are never a defect of ours. */
const TROUBLES: Readonly<Record<string, Trouble>> = {
  ENOENT: { what: 'there is no such file or folder', hint: 'look at the path' },
  EACCES: {
    what: 'this user may not use it',
    hint: 'give the user that runs tidemark the right to, or run it as another',
  },
  EPERM: {
    what: 'this user may not do that',
    hint: 'give the user that runs tidemark the right to, or run it as another',
  },
  EISDIR: { what: 'it is a folder', hint: 'name a file' },
  ENOTDIR: { what: 'it is not a folder', hint: 'look at the path: a part of it is a file' },
  EEXIST: { what: 'it is there already', hint: 'name another, or remove it' },
  ENOTEMPTY: { what: 'the folder is not empty', hint: 'name another, or empty it' },
  ELOOP: { what: 'its symbolic links lead in a circle', hint: 'name the file itself' },
  ENAMETOOLONG: { what: 'the name is too long', hint: 'use a shorter path' },
  NOT_A_FILE: { what: 'it is not a regular file', hint: 'name a file: pipes and devices are not read' },
  FILE_TOO_LONG: { what: `it is longer than ${SMALL_FILE_BYTES_MAX / 1e6} MB`, hint: 'name the right file' },
  ENOSPC: { what: 'no space is left on the device', hint: 'make room there, then run the command again' },
  EDQUOT: { what: 'the disk quota is used up', hint: 'make room there, then run the command again' },
  EFBIG: { what: 'the file is too long for its file system', hint: 'use another file system' },
  EROFS: { what: 'the file system is read-only', hint: 'mount it for writing, or name another folder' },
  EIO: { what: 'the device failed', hint: 'look at the disk: the system log says more' },
  EBUSY: { what: 'it is in use', hint: 'end what uses it, then run the command again' },
  EMFILE: {
    what: 'too many files are open',
    hint: 'raise the limit (ulimit -n), then run the command again',
  },
  ENFILE: { what: 'too many files are open on this machine', hint: 'end what holds them open' },
  ENOMEM: { what: 'there is not enough memory', hint: 'end something else, then run the command again' },
  EPIPE: { what: 'the other end closed the connection', hint: 'run the command again' },
  ECONNRESET: { what: 'the other end closed the connection', hint: 'run the command again' },
  ECONNABORTED: { what: 'the connection was cut', hint: 'run the command again' },
  ECONNREFUSED: {
    what: 'nothing accepts connections there',
    hint: 'look at the address, and whether the server runs',
  },
  EHOSTUNREACH: { what: 'there is no way to the host', hint: 'look at the address and the network' },
  ENETUNREACH: { what: 'there is no way to the network', hint: 'look at the address and the network' },
  ETIMEDOUT: {
    what: 'the other end did not answer in time',
    hint: 'look at the network, then run the command again',
  },
  ENOTFOUND: { what: 'the host is not known', hint: "look at the host's name, and at DNS" },
  EAI_AGAIN: {
    what: 'the name of the host could not be looked up',
    hint: 'look at DNS, then run the command again',
  },
};

/** Why a file can't be used, in words, from what the system said: `it is a folder`. */
export function fileTrouble(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && TROUBLES[code]?.what) || `${code ?? 'the reason is not known'}`;
}

/** What the system said, about the file or host that it named; null for what is no failure of the system. */
export function systemTrouble(error: Error): { code: string; message: string; hint: string } | null {
  const { code, path, dest, syscall, hostname, address, port } = error as NodeJS.ErrnoException & {
    dest?: string;
    hostname?: string;
    address?: string;
    port?: number;
  };
  const trouble = code !== undefined && Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : undefined;
  if (!code || !trouble) return null;
  const host = hostname ?? (address && (port === undefined ? address : `${address}:${port}`));
  const where = dest ?? path ?? host ?? (syscall && `the system call ${syscall}`);
  return { code, message: where ? `${where}: ${trouble.what}` : trouble.what, hint: trouble.hint };
}
