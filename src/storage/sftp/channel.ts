import type { Attributes, Entry, FileSystem, Sftp, SshError } from 'ssh2';

/** The answers of a server that are told apart (draft-ietf-secsh-filexfer-02, section 7). */
export const STATUS = { eof: 1, noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

/** The connection is gone, or the server said nothing for too long: whatever was asked may or may not have been done. */
export class LostError extends Error {
  readonly silent: boolean;

  constructor(message: string, silent = false, cause?: unknown) {
    super(message, { cause });
    this.silent = silent;
  }
}

/** The server has no such request. */
export class UnsupportedError extends Error {}

/** What a channel tells the connection it belongs to. */
export interface ChannelWatch {
  /** The server may stay silent so long while something is asked. */
  silenceMs: number;
  /** More is asked for than answered; then: everything is answered. */
  busy(yes: boolean): void;
  /** It was silent for too long. */
  silent(): void;
}

type Start<T> = (done: (error: SshError | null | undefined, value: T) => void) => void;

/**
 * One SFTP channel, as promises. Every call ends: with the server's answer, an SshError with its status; or with a
 * LostError. Any number of calls may be under way.
 */
export class SftpChannel {
  readonly #sftp: Sftp;
  readonly #watch: ChannelWatch;
  readonly #pending = new Set<(error: Error) => void>();
  #silence: NodeJS.Timeout | undefined;
  #lost: LostError | undefined;

  constructor(sftp: Sftp, watch: ChannelWatch) {
    this.#sftp = sftp;
    this.#watch = watch;
    sftp.on('error', error => this.lose(new LostError(`the SFTP channel broke: ${error.message}`)));
    sftp.on('close', () => this.lose(new LostError('the SFTP channel was closed')));
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Ends every call that waits. */
  lose(error: LostError): void {
    this.#lost ??= error;
    for (const reject of this.#pending) reject(this.#lost);
  }

  open(path: string, flags: 'r' | 'wx', mode?: number): Promise<Buffer> {
    return this.#ask(done => this.#sftp.open(path, flags, mode === undefined ? {} : { mode }, done));
  }

  close(handle: Buffer): Promise<void> {
    return this.#ask(done => this.#sftp.close(handle, done));
  }

  /** Bytes read, which may be fewer than asked for; 0 at the end. */
  read(handle: Buffer, into: Buffer, position: number): Promise<number> {
    return this.#ask(done => this.#sftp.read(handle, into, 0, into.length, position, done));
  }

  async write(handle: Buffer, data: Buffer, position: number): Promise<void> {
    await this.#ask<number>(done => this.#sftp.write(handle, data, 0, data.length, position, done));
  }

  fstat(handle: Buffer): Promise<Attributes> {
    return this.#ask(done => this.#sftp.fstat(handle, done));
  }

  /** Of a link itself. */
  lstat(path: string): Promise<Attributes> {
    return this.#ask(done => this.#sftp.lstat(path, done));
  }

  opendir(path: string): Promise<Buffer> {
    return this.#ask(done => this.#sftp.opendir(path, done));
  }

  /** The next entries; undefined after the last. */
  async readdir(handle: Buffer): Promise<Entry[] | undefined> {
    try {
      return await this.#ask<Entry[]>(done => this.#sftp.readdir(handle, done));
    } catch (error) {
      if (hasStatus(error, STATUS.eof)) return undefined;
      throw error;
    }
  }

  mkdir(path: string, mode: number): Promise<void> {
    return this.#ask(done => this.#sftp.mkdir(path, { mode }, done));
  }

  rmdir(path: string): Promise<void> {
    return this.#ask(done => this.#sftp.rmdir(path, done));
  }

  unlink(path: string): Promise<void> {
    return this.#ask(done => this.#sftp.unlink(path, done));
  }

  /** Fails where the new name is taken. */
  rename(from: string, to: string): Promise<void> {
    return this.#ask(done => this.#sftp.rename(from, to, done));
  }

  /** Absolute, without links; what of it must be there differs between servers. */
  realpath(path: string): Promise<string> {
    return this.#ask(done => this.#sftp.realpath(path, done));
  }

  /** rename(2): replaces what is there. */
  posixRename(from: string, to: string): Promise<void> {
    return this.#ask(done => extension(() => this.#sftp.ext_openssh_rename(from, to, done)));
  }

  /** link(2) */
  hardlink(from: string, to: string): Promise<void> {
    return this.#ask(done => extension(() => this.#sftp.ext_openssh_hardlink(from, to, done)));
  }

  fsync(handle: Buffer): Promise<void> {
    return this.#ask(done => extension(() => this.#sftp.ext_openssh_fsync(handle, done)));
  }

  statvfs(path: string): Promise<FileSystem> {
    return this.#ask(done => extension(() => this.#sftp.ext_openssh_statvfs(path, done)));
  }

  async #ask<T>(start: Start<T>): Promise<T> {
    if (this.#lost) throw this.#lost;
    let stop: (error: Error) => void = () => {};
    const answer = new Promise<T>((resolve, reject) => {
      stop = reject;
      start((error, value) => {
        this.#silence?.refresh();
        if (error && error.code === undefined) reject(new LostError(error.message, false, error));
        else if (error) reject(error);
        else resolve(value);
      });
    });
    this.#begin(stop);
    try {
      return await answer;
    } finally {
      this.#end(stop);
    }
  }

  #begin(stop: (error: Error) => void): void {
    if (this.#pending.size === 0) {
      this.#watch.busy(true);
      this.#silence = setTimeout(() => this.#watch.silent(), this.#watch.silenceMs);
    }
    this.#pending.add(stop);
  }

  #end(stop: (error: Error) => void): void {
    this.#pending.delete(stop);
    if (this.#pending.size > 0) return;
    clearTimeout(this.#silence);
    this.#watch.busy(false);
  }
}

export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof Error && (error as SshError).code === status;
}

/** ssh2 throws at once what the server has not announced. */
function extension(ask: () => void): void {
  try {
    ask();
  } catch (cause) {
    throw new UnsupportedError('the server has no such request', { cause });
  }
}
