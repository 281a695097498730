/** What we use of ssh2, which brings no types: its client, and its SFTP calls (SFTP.md there; draft-ietf-secsh-filexfer-02). */
declare module 'ssh2' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  export interface SshError extends Error {
    /** Of a socket: as Node has it. Of an SFTP answer: its status. Of a disconnect: its reason. */
    code?: string | number;
    level?: string;
  }

  export type Prompt = (
    name: string,
    instructions: string,
    language: string,
    prompts: readonly { prompt: string; echo: boolean }[],
    finish: (answers: string[]) => void,
  ) => void;

  export type AuthMethod = { username: string } & (
    | { type: 'none' }
    | { type: 'agent'; agent: string }
    | { type: 'publickey'; key: string | Buffer; passphrase?: string }
    | { type: 'password'; password: string }
    | { type: 'keyboard-interactive'; prompt: Prompt }
  );

  export interface ConnectOptions {
    sock: Socket;
    username: string;
    readyTimeout: number;
    algorithms?: { serverHostKey: readonly string[] };
    hostVerifier(key: Buffer): boolean;
    authHandler(left: string[] | null, partial: boolean | null): AuthMethod | false;
  }

  export interface Client extends EventEmitter {
    connect(options: ConnectOptions): this;
    sftp(done: (error: SshError | undefined, sftp: Sftp) => void): this;
    end(): this;
    destroy(): this;
  }

  export interface Attributes {
    mode: number;
    /** Undefined where the server does not say. */
    size: number;
    /** Seconds since 1970. */
    mtime: number;
  }

  export interface Entry {
    filename: string;
    attrs: Attributes;
  }

  export interface FileSystem {
    f_frsize: number;
    f_bavail: number;
    f_favail: number;
    f_files: number;
  }

  type Done<T = undefined> = (error: SshError | null | undefined, value: T) => void;

  /** One channel. What begins with `ext_` throws where the server has no such extension. */
  export interface Sftp extends EventEmitter {
    open(path: string, flags: string, attributes: { mode?: number }, done: Done<Buffer>): void;
    close(handle: Buffer, done: Done): void;
    read(
      handle: Buffer,
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      done: Done<number>,
    ): void;
    write(
      handle: Buffer,
      data: Buffer,
      offset: number,
      length: number,
      position: number,
      done: Done<number>,
    ): void;
    fstat(handle: Buffer, done: Done<Attributes>): void;
    lstat(path: string, done: Done<Attributes>): void;
    opendir(path: string, done: Done<Buffer>): void;
    readdir(handle: Buffer, done: Done<Entry[]>): void;
    mkdir(path: string, attributes: { mode?: number }, done: Done): void;
    rmdir(path: string, done: Done): void;
    unlink(path: string, done: Done): void;
    rename(from: string, to: string, done: Done): void;
    realpath(path: string, done: Done<string>): void;
    ext_openssh_rename(from: string, to: string, done: Done): void;
    ext_openssh_hardlink(from: string, to: string, done: Done): void;
    ext_openssh_fsync(handle: Buffer, done: Done): void;
    ext_openssh_statvfs(path: string, done: Done<FileSystem>): void;
    end(): void;
  }

  export interface ParsedKey {
    type: string;
    isPrivateKey(): boolean;
  }

  /** It is a CommonJS module: its names come with the default export. */
  const ssh2: {
    Client: new () => Client;
    utils: { parseKey(data: string | Buffer, passphrase?: string): ParsedKey | ParsedKey[] | Error };
  };
  export default ssh2;
}
