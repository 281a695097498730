import { TidemarkError } from '../../base/errors.ts';
import { existing, isObjectName, OTHER_NAME } from '../object.ts';
import type { Locks, PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';
import { repeated } from '../wrap/repeat.ts';
import type { GcsBucket } from './bucket.ts';
import { GcsLocks, retentionOf } from './locks.ts';
import { readObject } from './read.ts';
import { Uploader } from './upload.ts';

/** An object's metadata, as far as it is asked for. */
interface Listed {
  name: string;
  /** Decimal digits. */
  size: string;
  /** RFC 3339; of this generation, unlike `updated`, which a longer lock changes. */
  timeCreated: string;
}

interface Page {
  /** Absent where there are none. */
  items?: Listed[];
  nextPageToken?: string;
}

const FIELDS = 'name,size,timeCreated';
const PAGE_OBJECTS = 1000;
/** Of one page; then the list has failed, and is begun again as other calls are. */
const PAGE_ATTEMPTS = 3;

export interface GcsStorageOptions {
  /** Where the bucket has to lie, in lower case. */
  region?: string;
  /** What Google encrypts new objects with; absent: what the bucket says. */
  kmsKey?: string;
}

/** A bucket as a storage. The JSON API is strongly consistent, and an object appears only whole. */
export class GcsStorage implements Storage {
  readonly place: string;
  readonly locks: Locks;
  readonly #bucket: GcsBucket;
  readonly #options: GcsStorageOptions;
  readonly #uploader: Uploader;

  constructor(bucket: GcsBucket, options: GcsStorageOptions = {}) {
    this.place = bucket.place;
    this.locks = new GcsLocks(bucket);
    this.#bucket = bucket;
    this.#options = options;
    this.#uploader = new Uploader(bucket);
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    const { ifAbsent, storageClass, lock } = options;
    const outcome = await this.#uploader.upload({
      name,
      data,
      metadata: {
        contentType: 'application/octet-stream',
        cacheControl: 'no-store',
        ...(storageClass === undefined ? {} : { storageClass }),
        ...(lock === undefined ? {} : { retention: retentionOf(lock) }),
      },
      query: { ifGenerationMatch: ifAbsent ? '0' : undefined, kmsKeyName: this.#options.kmsKey },
    });
    if (outcome === 'refused') throw existing(name, this.place);
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    return readObject(this.#bucket, name, range);
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    const doing = `can't look at ${name}`;
    const answer = await this.#bucket.askOf(doing, name, { method: 'GET', query: { fields: FIELDS } });
    if (this.#bucket.hasNone(answer, doing)) return undefined;
    return this.#stored(this.#bucket.content<Listed>(answer, doing));
  }

  async *list(
    prefix: string,
    passedOver: (entry: PassedOver) => void = () => {},
  ): AsyncIterable<StoredObject> {
    let pageToken: string | undefined;
    do {
      const page = await repeated(() => this.#page(prefix, pageToken), { attempts: PAGE_ATTEMPTS });
      for (const item of page.items ?? []) {
        const object = this.#stored(item);
        if (isObjectName(object.name)) yield object;
        else passedOver({ name: object.name, what: OTHER_NAME });
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }

  async #page(prefix: string, pageToken: string | undefined): Promise<Page> {
    const doing = `can't list ${prefix || 'objects'}`;
    const answer = await this.#bucket.ask(doing, '/o', {
      method: 'GET',
      query: {
        prefix: this.#bucket.prefixed(prefix),
        fields: `items(${FIELDS}),nextPageToken`,
        maxResults: String(PAGE_OBJECTS),
        pageToken,
      },
    });
    return this.#bucket.content(answer, doing);
  }

  async remove(name: string): Promise<void> {
    const doing = `can't remove ${name}`;
    const answer = await this.#bucket.askOf(doing, name, { method: 'DELETE' });
    const gone = answer.status === 204 || this.#bucket.hasNone(answer, doing);
    if (!gone) throw this.#bucket.failure(answer, doing);
  }

  /** The head of every answer says it, also of one that finds no object. */
  async now(): Promise<Date> {
    const doing = "can't read the clock";
    const answer = await this.#bucket.askOf(doing, 'repository.json', {
      method: 'GET',
      query: { fields: 'name' },
    });
    const well = answer.status === 200 || this.#bucket.hasNone(answer, doing);
    if (!well) throw this.#bucket.failure(answer, doing);
    const date = Date.parse(answer.headers.get('date') ?? '');
    if (Number.isNaN(date)) throw this.#bucket.unreadable(doing);
    return new Date(date);
  }

  async close(): Promise<void> {}

  /** Such as `europe-west1` or, for a bucket in several regions, `eu`. */
  async region(): Promise<string | undefined> {
    const doing = "can't ask for the region of the bucket";
    const answer = await this.#bucket.ask(doing, '', { method: 'GET', query: { fields: 'location' } });
    const location = this.#bucket.content<{ location?: string }>(answer, doing).location?.toLowerCase();
    const { region } = this.#options;
    if (region === undefined || region === location) return location;
    throw new TidemarkError(
      'STORAGE_REGION',
      `${this.place} lies in ${location}, not in ${region}`,
      `write region: ${location}, or make a bucket in ${region}`,
      { kind: 'usage' },
    );
  }

  #stored({ name, size, timeCreated }: Listed): StoredObject {
    return {
      name: this.#bucket.nameOf(name),
      sizeBytes: Number(size),
      modified: new Date(timeCreated),
    };
  }
}
