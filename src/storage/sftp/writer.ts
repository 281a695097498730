import { basename, dirname } from 'node:path/posix';
import { claimObject, NO_LINKS_REMARK } from '../claim.ts';
import { existing } from '../object.ts';
import {
  ABANDONED_MS,
  claimName,
  isUnfinishedFile,
  isUnfinishedFolder,
  UNFINISHED,
  unfinishedName,
} from '../unfinished.ts';
import { hasStatus, LostError, type SftpChannel, STATUS, UnsupportedError } from './channel.ts';
import { fullError } from './failure.ts';
import {
  claimFiles,
  entriesOf,
  ifThere,
  inFolder,
  isFile,
  isFolder,
  isThere,
  makeFolder,
  readFile,
  removeFolder,
  replace,
  writeFile,
} from './files.ts';
import type { SftpRoot } from './root.ts';

/** What is done on the way to an object: in `.unfinished`, and from there into place. */
export class SftpWriter {
  readonly #place: string;
  readonly #root: SftpRoot;
  #swept: Promise<void> | undefined;
  #noLinks = false;
  #noSync = false;
  #noReplace = false;

  constructor(place: string, root: SftpRoot) {
    this.#place = place;
    this.#root = root;
  }

  /** `.unfinished`, which is no link. */
  async #folder(channel: SftpChannel): Promise<string> {
    const folder = await this.#root.at(channel, UNFINISHED);
    await this.#root.requireOwn(channel, folder);
    return folder;
  }

  async put(
    channel: SftpChannel,
    name: string,
    data: readonly Uint8Array[],
    ifAbsent: boolean,
  ): Promise<void> {
    this.#swept ??= this.#sweep(channel).catch(() => {});
    await this.#swept;
    const target = await this.#root.at(channel, name);
    const [folder] = await Promise.all([
      this.#folder(channel),
      this.#root.requireOwn(channel, dirname(target)),
    ]);
    const temporary = `${folder}/${unfinishedName()}`;
    try {
      const { synced } = await inFolder(channel, folder, () => writeFile(channel, temporary, data));
      if (!synced) this.#noSync = true;
      if (ifAbsent) await this.#putIfAbsent(channel, name, temporary, data);
      else {
        const isSame = () => holds(channel, target, data);
        const inOne = await inFolder(channel, dirname(target), () =>
          replace(channel, temporary, target, isSame),
        );
        if (!inOne) this.#noReplace = true;
      }
    } catch (error) {
      const told = await this.#lookForSpace(channel, name, data, error);
      await channel.unlink(temporary).catch(() => {});
      throw told;
    }
  }

  /** The server's time, to the second, as a file there gets it. */
  async now(channel: SftpChannel): Promise<Date> {
    const folder = await this.#folder(channel);
    const probe = `${folder}/${unfinishedName()}`;
    const { mtime } = await inFolder(channel, folder, () => writeFile(channel, probe, []));
    await channel.unlink(probe).catch(() => {});
    return new Date(mtime * 1000);
  }

  /** What of the server's extensions was missed so far. */
  remarks(): string[] {
    const remarks: string[] = [];
    if (this.#noSync)
      remarks.push(
        "it can't be told to sync (fsync@openssh.com): a power cut there may lose what was just written",
      );
    if (this.#noReplace)
      remarks.push(
        "it can't replace an object in one step (posix-rename@openssh.com): it is gone for a moment, unless it is the same",
      );
    if (this.#noLinks) remarks.push(NO_LINKS_REMARK);
    return remarks;
  }

  async #putIfAbsent(
    channel: SftpChannel,
    name: string,
    temporary: string,
    data: readonly Uint8Array[],
  ): Promise<void> {
    const target = await this.#root.at(channel, name);
    const linked = await inFolder(channel, dirname(target), () => this.#link(channel, temporary, target));
    if (linked === 'exists') throw existing(name, this.#place);
    if (linked === 'no links') return this.#claim(channel, name, temporary, data);
    await channel.unlink(temporary).catch(() => {});
  }

  /** link(2) in one step; the server says no more than that it failed, so the reason is looked for. */
  async #link(channel: SftpChannel, from: string, to: string): Promise<'linked' | 'exists' | 'no links'> {
    if (this.#noLinks) return 'no links';
    try {
      await channel.hardlink(from, to);
      return 'linked';
    } catch (error) {
      if (error instanceof LostError) throw error;
      if (!(error instanceof UnsupportedError)) {
        if (await isThere(channel, to)) return 'exists';
        if (await this.#canLink(channel, from)) throw error;
      }
      this.#noLinks = true;
      return 'no links';
    }
  }

  /** Whether it is the folder's file system that has no links. */
  async #canLink(channel: SftpChannel, from: string): Promise<boolean> {
    const probe = `${dirname(from)}/${unfinishedName()}`;
    try {
      await channel.hardlink(from, probe);
    } catch (error) {
      if (error instanceof LostError) throw error;
      return false;
    }
    await channel.unlink(probe).catch(() => {});
    return true;
  }

  async #claim(
    channel: SftpChannel,
    name: string,
    temporary: string,
    data: readonly Uint8Array[],
  ): Promise<void> {
    const folder = `${temporary}.d`;
    const file = basename(temporary);
    const target = await this.#root.at(channel, name);
    const claim = `${dirname(temporary)}/${claimName(name)}`;
    try {
      await makeFolder(channel, dirname(target));
      await makeFolder(channel, folder);
      await channel.rename(temporary, `${folder}/${file}`);
      const isOurs = () => holds(channel, target, data);
      await claimObject(name, this.#place, claimFiles(channel), { folder, file, claim, target, isOurs });
    } finally {
      await channel.unlink(`${folder}/${file}`).catch(() => {});
      await removeFolder(channel, folder);
    }
  }

  /** Removes what writers that died left behind, by the server's clock: what is called and made as they do, and no link. */
  async #sweep(channel: SftpChannel): Promise<void> {
    const folder = await this.#folder(channel);
    const entries = (await entriesOf(channel, folder)).filter(
      ({ filename, attrs }) =>
        (isFile(attrs) && isUnfinishedFile(filename)) || (isFolder(attrs) && isUnfinishedFolder(filename)),
    );
    if (entries.length === 0) return;
    const abandoned = (await this.now(channel)).getTime() - ABANDONED_MS;
    for (const { filename, attrs } of entries) {
      if (attrs.mtime * 1000 > abandoned) continue;
      const path = `${folder}/${filename}`;
      if (isFile(attrs)) {
        await channel.unlink(path).catch(() => {});
        continue;
      }
      await this.#root.requireOwn(channel, path);
      for (const inside of await entriesOf(channel, path))
        if (isFile(inside.attrs) && isUnfinishedFile(inside.filename))
          await channel.unlink(`${path}/${inside.filename}`).catch(() => {});
      await removeFolder(channel, path);
    }
  }

  /** A server has one word for all that goes wrong while it writes: whether its disk is full has to be asked. */
  async #lookForSpace(
    channel: SftpChannel,
    name: string,
    data: readonly Uint8Array[],
    error: unknown,
  ): Promise<unknown> {
    if (!hasStatus(error, STATUS.failure)) return error;
    const system = await channel.statvfs(await this.#root.path(channel)).catch(() => undefined);
    if (!system) return error;
    const sizeBytes = data.reduce((sum, piece) => sum + piece.byteLength, 0);
    const what = `can't write ${name} in ${this.#place}`;
    if (system.f_bavail * system.f_frsize < Math.max(sizeBytes, 1)) return fullError(what, 'space');
    return system.f_files > 0 && system.f_favail === 0 ? fullError(what, 'files') : error;
  }
}

async function holds(
  channel: SftpChannel,
  path: string,
  data: readonly Uint8Array[],
): Promise<boolean | undefined> {
  const found = await ifThere(channel.lstat(path), undefined);
  if (!found) return undefined;
  // A reader of a FIFO would wait for who writes to it; what has another length has other bytes.
  const bytes = Buffer.concat(data);
  if (!isFile(found) || found.size !== bytes.length) return false;
  return (await ifThere(readFile(channel, path), undefined))?.bytes.equals(bytes);
}
