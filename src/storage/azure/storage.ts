import { TidemarkError } from '../../base/errors.ts';
import { existing, isObjectName, OTHER_NAME } from '../object.ts';
import type { Freezer, Lock, Locks, PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';
import { repeated } from '../wrap/repeat.ts';
import { type AzureContainer, isFolder } from './container.ts';
import { isMissing } from './failure.ts';
import { AzureFreezer } from './freezer.ts';
import { AzureLocks, lockedUntil, policyOf } from './locks.ts';
import { lengthOf, md5Of, type Pieces } from './pieces.ts';
import { receive } from './receive.ts';
import type { AzureSpec } from './spec.ts';
import { PART_ATTEMPTS, upload, type WriteOptions } from './upload.ts';

/** Looked at for the time of the answer alone; it need not be there. */
const CLOCK = 'clock';

/** Part of a container as a storage: an object is a block blob. */
export class AzureStorage implements Storage {
  readonly freezer: Freezer;
  readonly locks: Locks;
  readonly #container: AzureContainer;
  readonly #encryptionScope: string | undefined;

  constructor(container: AzureContainer, { rehydrate, encryptionScope }: AzureSpec) {
    this.#container = container;
    this.#encryptionScope = encryptionScope;
    this.freezer = new AzureFreezer(container, rehydrate);
    this.locks = new AzureLocks(container);
  }

  get place(): string {
    return this.#container.place;
  }

  async put(name: string, data: Pieces, options: PutOptions = {}): Promise<void> {
    const blob = this.#container.blob(name);
    const write: WriteOptions = {
      conditions: options.ifAbsent ? { ifNoneMatch: '*' } : undefined,
      tier: options.storageClass,
      immutabilityPolicy: options.lock && policyOf(options.lock),
      encryptionScope: this.#encryptionScope,
    };
    try {
      await upload(blob, data, write, run => this.#container.call('write', name, run));
    } catch (error) {
      if (!forbidsOverwriting(error)) throw error;
      if (options.ifAbsent) throw existing(name, this.place, error);
      if (!(await this.#holds(name, data).catch(() => false))) throw error;
    }
    if (options.lock) await this.#checkLock(name, options.lock);
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return receive(this.#container, name, range);
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    const found = await this.#container.properties(name);
    return found && { name, sizeBytes: found.contentLength!, modified: found.lastModified! };
  }

  async *list(
    prefix: string,
    passedOver: (entry: PassedOver) => void = () => {},
  ): AsyncIterable<StoredObject> {
    const { client, prefix: own, pageObjects } = this.#container;
    let token: string | undefined;
    do {
      const read = () =>
        this.#container.call('list', prefix || 'objects', ({ signal }) =>
          client
            .listBlobsFlat({ prefix: own + prefix, includeMetadata: true, abortSignal: signal })
            .byPage({ continuationToken: token, maxPageSize: pageObjects })
            .next(),
        );
      const { value: page } = await repeated(read, { attempts: PART_ATTEMPTS });
      for (const { name: full, properties, metadata } of page.segment.blobItems) {
        const name = full.slice(own.length);
        if (!isObjectName(name)) passedOver({ name, what: OTHER_NAME });
        if (!isObjectName(name) || isFolder(metadata)) continue;
        yield { name, sizeBytes: properties.contentLength, modified: properties.lastModified };
      }
      token = page.continuationToken;
    } while (token);
  }

  /**
   * Asks about locks first: where the container keeps versions, the service lets a locked blob be removed, keeps what
   * it was as a version, and says nothing.
   */
  async remove(name: string): Promise<void> {
    const blob = this.#container.blob(name);
    const found = await this.#container.properties(name);
    if (!found) return;
    const until = lockedUntil(found);
    if (until || found.legalHold) throw locked(name, this.place, until);
    await this.#container.call('remove', name, ({ signal }) =>
      blob.deleteIfExists({ deleteSnapshots: 'include', abortSignal: signal }),
    );
  }

  async now(): Promise<Date> {
    const blob = this.#container.blob(CLOCK);
    return this.#container.call('read', 'the clock', async ({ signal }) => {
      let header: string | undefined;
      try {
        header = (await blob.getProperties({ abortSignal: signal })).date?.toUTCString();
      } catch (error) {
        if (!isMissing(error)) throw error;
        header = error.response?.headers.get('date');
      }
      const now = new Date(header ?? Number.NaN);
      if (Number.isFinite(now.getTime())) return now;
      throw new TidemarkError(
        'STORAGE_PROTOCOL',
        `${this.place} does not tell the time`,
        'its answers lack the header Date; a proxy in between may take it off',
      );
    });
  }

  async close(): Promise<void> {}

  /** A service that knows no locks may pass over them without a word: an object that has none does not stay. */
  async #checkLock(name: string, lock: Lock): Promise<void> {
    const until = await this.locks.until(name);
    if (until && until >= lock.until) return;
    await this.remove(name);
    throw new TidemarkError(
      'STORAGE_NO_LOCKS',
      `can't lock ${name} in ${this.place}: the service took the object without its lock`,
      'enable versions for the account and version-level immutability for the container, or remove lock',
    );
  }

  /** Whether the object is there already and is the same: an earlier attempt's, whose answer was lost. */
  async #holds(name: string, data: Pieces): Promise<boolean> {
    const found = await this.#container.properties(name);
    const md5 = found?.contentLength === lengthOf(data) ? found.contentMD5 : undefined;
    return md5 !== undefined && md5Of(data).equals(md5);
  }
}

/** Archived and locked blobs can't be written again, not even with the same bytes. */
function forbidsOverwriting(error: unknown): boolean {
  return error instanceof TidemarkError && ['OBJECT_FROZEN', 'OBJECT_LOCKED'].includes(error.code);
}

function locked(name: string, place: string, until: Date | undefined): TidemarkError {
  const reason = until ? `it is locked until ${until.toISOString()}` : 'there is a legal hold on it';
  return new TidemarkError(
    'OBJECT_LOCKED',
    `can't remove ${name} in ${place}: ${reason}`,
    until ? 'wait until then' : 'who set the hold can end it',
  );
}
