import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileTrouble } from '../../base/errno.ts';
import { TidemarkError, usageError } from '../../base/errors.ts';
import type { Environment } from '../../strategy/environment.ts';
import { StrategyError } from '../../strategy/faults.ts';
import { loadStrategy } from '../../strategy/load.ts';
import type { Strategy } from '../../strategy/spec.ts';
import type { Undo } from '../key/undo.ts';

/** A strategy that is being made: whole beside its place first, and in its place in one step at the end. */
export class StrategyFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #undo: Undo;

  constructor(file: string, undo: Undo) {
    this.#path = file;
    this.#temporary = path.join(path.dirname(file), `.tidemark-${randomBytes(6).toString('hex')}.tmp`);
    this.#undo = undo;
  }

  /** Writes the text beside its place, and reads it back as every command will. */
  async write(text: string, environment: Environment): Promise<Strategy> {
    try {
      const file = await open(this.#temporary, 'wx', 0o644);
      this.#undo.push(() => rm(this.#temporary, { force: true }));
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (cause) {
      throw this.#unwritable(cause);
    }
    return loadStrategy(this.#temporary, environment, { secrets: 'optional' }).catch(error => {
      throw error instanceof StrategyError ? new StrategyError(this.#path, error.faults) : error;
    });
  }

  /** Gives the file its name, unless somebody else took the name meanwhile. */
  async publish(): Promise<void> {
    try {
      // Where the file system has no links, the copy refuses an existing file just the same.
      await link(this.#temporary, this.#path).catch(async error => {
        if (error.code === 'EEXIST') throw error;
        await copyFile(this.#temporary, this.#path, constants.COPYFILE_EXCL);
      });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw this.#unwritable(cause);
      const hint = 'look at it, then run init again';
      throw usageError('STRATEGY_EXISTS', `somebody else just wrote ${this.#path}`, hint);
    }
    await rm(this.#temporary, { force: true }).catch(() => {});
  }

  #unwritable(cause: unknown): TidemarkError {
    const hint = 'give this user write permission there, or name another file with --config';
    const what = `can't write in ${path.dirname(path.resolve(this.#path))}: ${fileTrouble(cause)}`;
    return new TidemarkError('STRATEGY_UNWRITABLE', what, hint, { cause });
  }
}
