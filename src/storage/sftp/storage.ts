import { dirname } from 'node:path/posix';
import type { Attributes, Entry } from 'ssh2';
import { checkName, missing, truncated } from '../object.ts';
import type { PutOptions, Storage, StoredObject } from '../storage.ts';
import type { SftpChannel } from './channel.ts';
import { SftpConnection, type Timing } from './connection.ts';
import { sftpError } from './failure.ts';
import { entriesOf, ifThere, isFile, isFolder, readFile, removeFolder } from './files.ts';
import { type SftpSpec, sftpLocation } from './spec.ts';
import { SftpWriter } from './writer.ts';

/** Folders that are read at once while a tree is listed. */
const FOLDERS_AT_ONCE = 8;

/** A folder on an SSH server as a storage, kept as in a local folder (docs/format.md, "In a file system"). */
export class SftpStorage implements Storage {
  readonly place: string;
  readonly #root: string;
  readonly #connection: SftpConnection;
  readonly #writer: SftpWriter;

  constructor(spec: SftpSpec, timing: Partial<Timing> = {}) {
    this.place = sftpLocation(spec);
    this.#root = spec.path;
    this.#connection = new SftpConnection(spec, timing);
    this.#writer = new SftpWriter(this.place, spec.path);
  }

  put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    return this.#try(`can't write ${name}`, channel => {
      checkName(name);
      return this.#writer.put(channel, name, data, options.ifAbsent === true);
    });
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#try(`can't read ${name}`, async channel => {
      const read = await ifThere(readFile(channel, this.#path(name), range), undefined);
      if (read === undefined) throw missing(name, this.place);
      const { bytes, sizeBytes } = read;
      const { offset, length } = range ?? { offset: 0, length: sizeBytes };
      if (bytes.length === length) return bytes;
      throw truncated(name, this.place, offset + length, Math.min(sizeBytes, offset + bytes.length));
    });
  }

  stat(name: string): Promise<StoredObject | undefined> {
    return this.#try(`can't look at ${name}`, async channel => {
      const found = await ifThere(channel.stat(this.#path(name)), undefined);
      return found && !isFolder(found) ? stored(name, found) : undefined;
    });
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    yield* this.#walk(prefix, this.#entries(prefix));
  }

  async *#walk(prefix: string, reading: Promise<Entry[]>): AsyncIterable<StoredObject> {
    const folders: string[] = [];
    for (const { filename, attrs } of await reading) {
      if (filename.startsWith('.')) continue;
      const name = prefix + filename;
      const found = isFile(attrs) || isFolder(attrs) ? attrs : await this.#followed(name);
      if (found && isFile(found)) yield stored(name, found);
      else if (found && isFolder(found)) folders.push(`${name}/`);
    }
    yield* this.#inside(folders);
  }

  /** What a link leads to; undefined where that is nothing. */
  #followed(name: string): Promise<Attributes | undefined> {
    const path = `${this.#root}/${name}`;
    return this.#try(`can't look at ${name}`, channel => ifThere(channel.stat(path), undefined));
  }

  /** Reads some folders ahead of the one that is given out, since each takes several round trips. */
  async *#inside(folders: readonly string[]): AsyncIterable<StoredObject> {
    const ahead: Promise<Entry[]>[] = [];
    for (let next = 0, at = 0; at < folders.length; at++) {
      for (; next < folders.length && next < at + FOLDERS_AT_ONCE; next++) {
        ahead[next] = this.#entries(folders[next]!);
        // It is waited for below, where its error counts; if nobody asks so far, it is nobody's.
        ahead[next]!.catch(() => {});
      }
      yield* this.#walk(folders[at]!, ahead[at]!);
      delete ahead[at];
    }
  }

  #entries(prefix: string): Promise<Entry[]> {
    const path = `${this.#root}/${prefix}`.replace(/\/$/, '');
    return this.#try(`can't list ${prefix || 'the folder'}`, channel =>
      ifThere(entriesOf(channel, path), []),
    );
  }

  remove(name: string): Promise<void> {
    return this.#try(`can't remove ${name}`, async channel => {
      const path = this.#path(name);
      // A folder that no object is in any more costs every list. The server takes one after the other.
      await Promise.all([
        ifThere(channel.unlink(path), undefined),
        this.#removeEmpty(channel, dirname(path)),
      ]);
    });
  }

  async #removeEmpty(channel: SftpChannel, folder: string): Promise<void> {
    if (folder === this.#root || !(await removeFolder(channel, folder))) return;
    await this.#removeEmpty(channel, dirname(folder));
  }

  now(): Promise<Date> {
    return this.#try("can't read the clock", channel => this.#writer.now(channel));
  }

  async remarks(): Promise<readonly string[]> {
    return this.#writer.remarks();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #try<T>(what: string, work: (channel: SftpChannel) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.use(work);
    } catch (error) {
      throw sftpError(error, `${what} in ${this.place}`);
    }
  }

  #path(name: string): string {
    checkName(name);
    return `${this.#root}/${name}`;
  }
}

function stored(name: string, { size, mtime }: Attributes): StoredObject {
  return { name, sizeBytes: size, modified: new Date(mtime * 1000) };
}
