/**
 * Where an export goes: a pipe, a file or a folder. Files and folders are written under a temporary name beside the
 * target and appear under their own name only when they are complete and on disk. What exists is never overwritten.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, lstat, mkdir, open, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { removeAtExit } from '../../base/disposal.ts';
import { asTidemarkError, invariant, TidemarkError, usageError } from '../../base/errors.ts';
import type { FileSink, FolderSink } from './format.ts';

/** Small writes are gathered up to this much. */
const BUFFER_BYTES = 256 * 1024;

/** Gathers small writes into large ones. */
abstract class BufferedSink implements FileSink {
  abstract readonly seekable: boolean;
  position = 0;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #filled = 0;

  async write(bytes: Uint8Array): Promise<void> {
    this.position += bytes.length;
    if (this.#filled + bytes.length > BUFFER_BYTES) await this.flush();
    if (bytes.length >= BUFFER_BYTES) return this.emit(bytes);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async flush(): Promise<void> {
    if (this.#filled === 0) return;
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    await this.emit(bytes);
  }

  protected abstract emit(bytes: Uint8Array): Promise<void>;
  abstract patch(position: number, bytes: Uint8Array): Promise<void>;
}

class PipeSink extends BufferedSink {
  readonly seekable = false;
  readonly #stream: Writable;

  constructor(stream: Writable) {
    super();
    this.#stream = stream;
    // A failed write is reported by its callback; without a listener the same error would also end the process.
    stream.on('error', () => {});
  }

  protected emit(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, error => (error ? reject(pipeFailure(error)) : resolve()));
    });
  }

  async patch(): Promise<void> {
    invariant(false, 'a pipe has no earlier bytes to replace');
  }
}

class DiskSink extends BufferedSink {
  readonly seekable = true;
  readonly #handle: FileHandle;
  readonly #path: string;
  #written = 0;

  constructor(handle: FileHandle, path: string) {
    super();
    this.#handle = handle;
    this.#path = path;
  }

  protected async emit(bytes: Uint8Array): Promise<void> {
    await this.#writeAt(bytes, this.#written);
    this.#written += bytes.length;
  }

  async patch(position: number, bytes: Uint8Array): Promise<void> {
    invariant(position + bytes.length <= this.position, 'only bytes already written are replaced');
    await this.flush();
    await this.#writeAt(bytes, position);
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle
        .write(bytes, done, bytes.length - done, position + done)
        .catch(unfinished(this.#path));
      done += bytesWritten;
    }
  }
}

/** Writes to a stream that belongs to the caller, who ends it. Returns once the last byte is handed over. */
export async function writeToStream(
  stream: Writable,
  fill: (sink: FileSink) => Promise<void>,
): Promise<void> {
  const sink = new PipeSink(stream);
  await fill(sink);
  await sink.flush();
}

/** Writes a file that exists only if `fill` returned and the bytes are on disk. EXPORT_EXISTS if there is one. */
export async function writeToFile(path: string, fill: (sink: FileSink) => Promise<void>): Promise<void> {
  await refuseExisting(path);
  const temporary = temporaryName(path);
  const removed = removeAtExit(temporary);
  try {
    await writeFile(temporary, path, fill);
    await publishFile(temporary, path).catch(unfinished(path));
    await syncFolder(dirname(resolve(path))).catch(unfinished(path));
  } catch (error) {
    throw await withoutRest(temporary, error);
  } finally {
    removed();
  }
}

/** The same for a folder. */
export async function writeToFolder(path: string, fill: (sink: FolderSink) => Promise<void>): Promise<void> {
  await refuseExisting(path);
  const temporary = temporaryName(path);
  await mkdir(temporary, { mode: 0o700 }).catch(unwritable(temporary));
  const removed = removeAtExit(temporary);
  try {
    await fill({ file: (name, fillFile) => writeFile(join(temporary, name), join(path, name), fillFile) });
    await syncFolder(temporary).catch(unfinished(path));
    await refuseExisting(path);
    await rename(temporary, path).catch(unfinished(path));
    await syncFolder(dirname(resolve(path))).catch(unfinished(path));
  } catch (error) {
    throw await withoutRest(temporary, error);
  } finally {
    removed();
  }
}

/** @param path what it will be called, for messages. */
async function writeFile(
  temporary: string,
  path: string,
  fill: (sink: FileSink) => Promise<void>,
): Promise<void> {
  // Rows may be anybody's secrets: readable by the owner alone.
  const handle = await open(temporary, 'wx', 0o600).catch(unwritable(path));
  let closed = false;
  try {
    const sink = new DiskSink(handle, path);
    await fill(sink);
    await sink.flush();
    await handle.sync().catch(unfinished(path));
    closed = true;
    await handle.close().catch(unfinished(path)); // where some network shares say that the disk is full
  } finally {
    if (!closed) await handle.close().catch(() => {});
  }
}

/** The error, and with it what could not be removed of what was written. */
async function withoutRest(temporary: string, error: unknown): Promise<unknown> {
  try {
    await rm(temporary, { recursive: true, force: true });
    return error;
  } catch (cause) {
    const { code, message, hint, kind } = asTidemarkError(error);
    const rest = `what was written until then is left in ${temporary}, and can't be removed: ${(cause as Error).message}`;
    return new TidemarkError(code, message, `${hint}\n${rest}`, { kind, cause: error });
  }
}

/** For a `catch`: what the file system says while an export is written, with the path that was meant. */
function unfinished(path: string): (cause: Error) => never {
  return cause => {
    if (cause instanceof TidemarkError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    const [name, why, hint] = DISK_FAULTS[code ?? ''] ?? [
      'EXPORT_UNWRITABLE',
      cause.message,
      'see the reason above; is the disk or share still there?',
    ];
    throw new TidemarkError(name, `can't write ${path}: ${why}`, hint, { cause });
  };
}

const OTHER_DISK = 'nothing of the export is left there; free some space, or export to another disk';
const DISK_FAULTS: Record<string, [code: string, why: string, hint: string]> = {
  ENOSPC: ['EXPORT_FULL', 'the disk is full', OTHER_DISK],
  EDQUOT: ['EXPORT_FULL', 'the disk quota is used up', OTHER_DISK],
  EFBIG: [
    'EXPORT_FULL',
    'the file would be longer than the file system, or the limit of this process, allows',
    "export in the directory format, or to another disk (FAT32 takes 4 GiB a file; 'ulimit -f' shows the limit)",
  ],
  EROFS: ['EXPORT_UNWRITABLE', 'the file system is mounted read-only', 'export to another disk'],
};

function pipeFailure(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  const why = code === 'ENOSPC' ? 'the disk that it goes to is full' : 'the disk quota is used up';
  return new TidemarkError(
    'EXPORT_FULL',
    `can't write to standard output: ${why}`,
    'what was written until then is not a whole export: remove it, free some space, and run the command again',
    { cause: error },
  );
}

/** A link, unlike a rename, fails if the name was taken meanwhile. Not every file system has links. */
async function publishFile(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw exists(path);
    await refuseExisting(path);
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

function temporaryName(path: string): string {
  return `${resolve(path)}.${randomBytes(6).toString('hex')}.part`;
}

function exists(path: string): TidemarkError {
  return usageError(
    'EXPORT_EXISTS',
    `${path} exists already`,
    'choose another name, or move what is there out of the way',
  );
}

async function refuseExisting(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw asTidemarkError(error);
  });
  if (found) throw exists(path);
}

function unwritable(path: string): (cause: Error) => never {
  return cause => {
    throw new TidemarkError(
      'EXPORT_UNWRITABLE',
      `can't create ${path}: ${cause.message}`,
      'export into a folder that exists and that you may write to',
      { cause },
    );
  };
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
