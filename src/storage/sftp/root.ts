import { basename, dirname, join } from 'node:path/posix';
import type { Attributes } from 'ssh2';
import { faultError } from '../../base/errors.ts';
import { foreign } from '../object.ts';
import { hasStatus, type SftpChannel, STATUS } from './channel.ts';
import { ifThere, isFile, isFolder, isLink } from './files.ts';

/** Names and folders remembered to be ours, so that reading a pack again asks for nothing more. */
const REMEMBERED_MAX = 10_000;

/**
 * The folder of an SFTP storage. It may itself be reached through symbolic links, which are followed once; none is followed
 * below it (rootFolder.ts says what that does not keep out).
 */
export class SftpRoot {
  readonly #place: string;
  readonly #given: string;
  #real: Promise<string> | undefined;
  readonly #read = new Set<string>();

  constructor(place: string, path: string) {
    this.#place = place;
    this.#given = path;
  }

  /** Absolute, without links. */
  path(channel: SftpChannel): Promise<string> {
    this.#real ??= resolved(channel, this.#given).catch(error => {
      this.#real = undefined;
      throw error;
    });
    return this.#real;
  }

  async at(channel: SftpChannel, name: string): Promise<string> {
    return `${await this.path(channel)}/${name}`;
  }

  /**
   * A folder that is not there yet is looked at as far as its path is there.
   *
   * @throws TidemarkError FOLDER_IS_LINK where it, or one on the way from the root to it, is a symbolic link.
   */
  async requireOwn(channel: SftpChannel, folder: string): Promise<void> {
    const root = await this.path(channel);
    for (let at = folder; at.length > root.length; at = dirname(at)) {
      const real = await ifThere(channel.realpath(at), undefined);
      if (real === at) return;
      if (real === undefined) continue;
      const hint =
        'tidemark follows no link inside a repository: put the folder itself there, or move the whole repository and change its path in the strategy';
      throw faultError('FOLDER_IS_LINK', `${at} in ${this.#place} is, or lies behind, a symbolic link`, hint);
    }
  }

  /**
   * The path of an object that is there, and what is said of it.
   *
   * @throws TidemarkError OBJECT_FOREIGN where it is no regular file; an error with the status noSuchFile where it isn't there.
   */
  async existing(channel: SftpChannel, name: string): Promise<{ path: string; attributes: Attributes }> {
    const path = await this.at(channel, name);
    const [attributes] = await Promise.all([channel.lstat(path), this.requireOwn(channel, dirname(path))]);
    if (!isFile(attributes)) throw foreign(name, this.#place, typeOf(attributes));
    return { path, attributes };
  }

  /** The same for reading, where one look is enough for as long as it is remembered. */
  async readable(channel: SftpChannel, name: string): Promise<string> {
    if (this.#read.has(name)) return this.at(channel, name);
    const { path } = await this.existing(channel, name);
    if (this.#read.size >= REMEMBERED_MAX) this.#read.clear();
    this.#read.add(name);
    return path;
  }
}

/** The part of the path that is not there yet stays as it is written. */
async function resolved(channel: SftpChannel, path: string): Promise<string> {
  for (let at = path, rest = ''; ; rest = join(basename(at), rest), at = dirname(at)) {
    try {
      return join(await channel.realpath(at), rest).replace(/(.)\/$/, '$1');
    } catch (error) {
      if (!hasStatus(error, STATUS.noSuchFile) || dirname(at) === at) throw error;
    }
  }
}

/** What is no regular file, for people. */
export function typeOf(attributes: Attributes): string {
  if (isLink(attributes)) return 'a symbolic link';
  return isFolder(attributes) ? 'a folder' : 'a FIFO, socket or device';
}
