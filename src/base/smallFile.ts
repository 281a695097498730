import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** What people write into keys, passwords, settings and strategies is far shorter. */
export const SMALL_FILE_BYTES_MAX = 1_000_000;

export interface SmallFile {
  bytes: Buffer;
  /** Permission bits. */
  mode: number;
}

/**
 * Reads a file that is short by nature. What is no regular file (a FIFO, a device, a folder) is an error at once, and so is
 * one that is longer, however it grows meanwhile: nothing here waits, and nothing takes memory without end. /dev/null is an
 * empty file, as people mean it.
 *
 * @throws NodeJS.ErrnoException; beside the system's codes NOT_A_FILE and FILE_TOO_LONG.
 */
export async function readSmallFile(path: string, bytesMax = SMALL_FILE_BYTES_MAX): Promise<SmallFile> {
  // Without O_NONBLOCK, opening a FIFO waits until somebody writes.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const found = await file.stat();
    if (found.isCharacterDevice() && found.rdev === (await stat('/dev/null')).rdev)
      return { bytes: Buffer.alloc(0), mode: 0o600 };
    if (found.isDirectory()) throw fileError('EISDIR', path);
    if (!found.isFile()) throw fileError('NOT_A_FILE', path);
    return { bytes: await readAtMost(file, path, bytesMax), mode: found.mode & 0o777 };
  } finally {
    await file.close();
  }
}

async function readAtMost(file: FileHandle, path: string, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536));
    if (bytesRead === 0) return Buffer.concat(chunks);
    length += bytesRead;
    if (length > bytesMax) throw fileError('FILE_TOO_LONG', path);
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

function fileError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code, path });
}

/** Whether a file that decides or holds secrets may be changed by anybody on the machine. */
export function isWorldWritable({ mode }: Pick<SmallFile, 'mode'>): boolean {
  return process.platform !== 'win32' && (mode & 0o002) !== 0;
}

/** Whether others than its owner may read or change a file. */
export function isOpenToOthers({ mode }: Pick<SmallFile, 'mode'>): boolean {
  return process.platform !== 'win32' && (mode & 0o077) !== 0;
}

/** Permission bits as `chmod` takes them: `0644`. */
export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
