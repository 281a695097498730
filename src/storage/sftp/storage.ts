import { dirname } from 'node:path/posix';
import type { Attributes, Entry } from 'ssh2';
import {
  checkName,
  checkWholeSize,
  foreign,
  isObjectName,
  missing,
  OTHER_NAME,
  truncated,
} from '../object.ts';
import type { PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';
import { UNFINISHED } from '../unfinished.ts';
import type { SftpChannel } from './channel.ts';
import { SftpConnection } from './connection.ts';
import { sftpError } from './failure.ts';
import { entriesOf, ifThere, isFile, isFolder, type ReadFile, readFile, removeFolder } from './files.ts';
import { SftpRoot, typeOf } from './root.ts';
import { type SftpSpec, sftpLocation } from './spec.ts';
import type { Timing } from './timing.ts';
import { SftpWriter } from './writer.ts';

/** Folders that are read at once while a tree is listed. */
const FOLDERS_AT_ONCE = 8;

/** A folder on an SSH server as a storage, kept as in a local folder (docs/format.md, "In a file system"). */
export class SftpStorage implements Storage {
  readonly place: string;
  readonly #root: SftpRoot;
  readonly #connection: SftpConnection;
  readonly #writer: SftpWriter;

  constructor(spec: SftpSpec, timing: Partial<Timing> = {}) {
    this.place = sftpLocation(spec);
    this.#root = new SftpRoot(this.place, spec.path);
    this.#connection = new SftpConnection(spec, timing);
    this.#writer = new SftpWriter(this.place, this.#root);
  }

  put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    return this.#try(`can't write ${name}`, channel => {
      checkName(name);
      return this.#writer.put(channel, name, data, options.ifAbsent === true);
    });
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return this.#try(`can't read ${name}`, async channel => {
      checkName(name);
      const read = await ifThere(this.#read(channel, name, range), undefined);
      if (read === undefined) throw missing(name, this.place);
      const { bytes, sizeBytes } = read;
      const { offset, length } = range ?? { offset: 0, length: sizeBytes };
      if (bytes.length === length) return bytes;
      throw truncated(name, this.place, offset + length, Math.min(sizeBytes, offset + bytes.length));
    });
  }

  async #read(
    channel: SftpChannel,
    name: string,
    range: { offset: number; length: number } | undefined,
  ): Promise<ReadFile> {
    const path = await this.#root.readable(channel, name);
    return readFile(channel, path, range, sizeBytes => checkWholeSize(name, this.place, sizeBytes));
  }

  stat(name: string): Promise<StoredObject | undefined> {
    return this.#try(`can't look at ${name}`, async channel => {
      checkName(name);
      const path = await this.#root.at(channel, name);
      const [found] = await Promise.all([
        ifThere(channel.lstat(path), undefined),
        this.#root.requireOwn(channel, dirname(path)),
      ]);
      if (!found || isFolder(found)) return undefined;
      if (!isFile(found)) throw foreign(name, this.place, typeOf(found));
      return stored(name, found);
    });
  }

  async *list(
    prefix: string,
    passedOver: (entry: PassedOver) => void = () => {},
  ): AsyncIterable<StoredObject> {
    await this.#try(`can't list ${prefix || 'the folder'}`, async channel => {
      const folder = await this.#root.at(channel, prefix);
      await this.#root.requireOwn(channel, folder.replace(/\/$/, ''));
      const found = await ifThere(channel.lstat(folder.replace(/\/$/, '')), undefined);
      if (found && !isFolder(found))
        throw foreign(prefix.slice(0, -1) || 'the root', this.place, 'no folder');
    });
    yield* this.#walk(prefix, this.#entries(prefix), passedOver);
  }

  async *#walk(
    prefix: string,
    reading: Promise<Entry[]>,
    passedOver: (entry: PassedOver) => void,
  ): AsyncIterable<StoredObject> {
    const folders: string[] = [];
    for (const { filename, attrs } of await reading) {
      const name = prefix + filename;
      if (filename === '.' || filename === '..' || name === UNFINISHED) continue;
      if (!isObjectName(name)) passedOver({ name, what: OTHER_NAME });
      else if (isFile(attrs)) yield stored(name, attrs);
      else if (isFolder(attrs)) folders.push(`${name}/`);
      else passedOver({ name, what: typeOf(attrs) });
    }
    yield* this.#inside(folders, passedOver);
  }

  /** Reads some folders ahead of the one that is given out, since each takes several round trips. */
  async *#inside(
    folders: readonly string[],
    passedOver: (entry: PassedOver) => void,
  ): AsyncIterable<StoredObject> {
    const ahead: Promise<Entry[]>[] = [];
    for (let next = 0, at = 0; at < folders.length; at++) {
      for (; next < folders.length && next < at + FOLDERS_AT_ONCE; next++) {
        ahead[next] = this.#entries(folders[next]!);
        // It is waited for below, where its error counts; if nobody asks so far, it is nobody's.
        ahead[next]!.catch(() => {});
      }
      yield* this.#walk(folders[at]!, ahead[at]!, passedOver);
      delete ahead[at];
    }
  }

  #entries(prefix: string): Promise<Entry[]> {
    return this.#try(`can't list ${prefix || 'the folder'}`, async channel => {
      const path = (await this.#root.at(channel, prefix)).replace(/\/$/, '');
      return ifThere(entriesOf(channel, path), []);
    });
  }

  remove(name: string): Promise<void> {
    return this.#try(`can't remove ${name}`, async channel => {
      checkName(name);
      const there = await ifThere(this.#root.existing(channel, name), undefined);
      const path = there?.path ?? (await this.#root.at(channel, name));
      await this.#root.requireOwn(channel, dirname(path));
      // A folder that no object is in any more costs every list. The server takes one after the other.
      await Promise.all([
        there && ifThere(channel.unlink(path), undefined),
        this.#removeEmpty(channel, dirname(path), await this.#root.path(channel)),
      ]);
    });
  }

  async #removeEmpty(channel: SftpChannel, folder: string, root: string): Promise<void> {
    if (folder === root || !(await removeFolder(channel, folder))) return;
    await this.#removeEmpty(channel, dirname(folder), root);
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
}

function stored(name: string, { size, mtime }: Attributes): StoredObject {
  return { name, sizeBytes: size, modified: new Date(mtime * 1000) };
}
