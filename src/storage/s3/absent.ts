import { TidemarkError } from '../../base/errors.ts';
import { existing } from '../object.ts';
import type { PutOptions, Storage } from '../storage.ts';
import type { Claims } from './claims.ts';
import type { Uploads } from './put.ts';

/** Starts with a dot, so that it is part of no repository. Its bytes never change. */
const PROBE = '.tidemark/if-none-match';

/**
 * Puts with `ifAbsent`: by If-None-Match where the server looks at it, else by claims. Whether it does is not assumed
 * from who it is, but tried, once for each storage that is opened and puts in this way: a put onto a probe that is there
 * must be refused.
 */
export class AbsentPuts {
  readonly #uploads: Uploads;
  readonly #claims: Claims;
  readonly #storage: Storage;
  #conditional: Promise<boolean> | undefined;

  constructor(storage: Storage, uploads: Uploads, claims: Claims) {
    this.#storage = storage;
    this.#uploads = uploads;
    this.#claims = claims;
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void> {
    if (!(await this.conditional())) return this.#claims.put(name, data, options);
    try {
      await this.#uploads.putIfNoneMatch(name, data, options);
    } catch (error) {
      throw isRefusal(error) ? existing(name, this.#storage.place, error) : error;
    }
  }

  /** Whether the server looks at If-None-Match. */
  conditional(): Promise<boolean> {
    this.#conditional ??= this.#probe().catch(error => {
      this.#conditional = undefined;
      throw error;
    });
    return this.#conditional;
  }

  /** The first put ever makes the probe; every other one must be refused. */
  async #probe(): Promise<boolean> {
    const probe = [Buffer.from('written to see whether If-None-Match is looked at\n')];
    for (let puts = 0; puts < 2; puts++) {
      try {
        await this.#uploads.putIfNoneMatch(PROBE, probe, {});
      } catch (error) {
        if (isRefusal(error)) return true;
        if (isIgnorance(error)) return false;
        throw error;
      }
    }
    return false;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'STORAGE_PRECONDITION';
}

/** Some servers say that they don't know the header. */
function isIgnorance(error: unknown): boolean {
  return error instanceof TidemarkError && (error.code === 'STORAGE_UNSUPPORTED' || error.code === 'STORAGE');
}
