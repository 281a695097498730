import type { Readable } from 'node:stream';
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { TidemarkError } from '../../base/errors.ts';
import {
  checkName,
  checkWholeSize,
  isObjectName,
  missing,
  OTHER_NAME,
  truncated,
  wholeBytesMax,
} from '../object.ts';
import type { PassedOver, PutOptions, Storage, StoredObject } from '../storage.ts';
import { repeated } from '../wrap/repeat.ts';
import { AbsentPuts } from './absent.ts';
import { readBody } from './body.ts';
import { Bucket } from './bucket.ts';
import { Claims } from './claims.ts';
import { openClient, type Patience } from './client.ts';
import { S3Freezer } from './freezer.ts';
import { S3Locks } from './locks.ts';
import { Uploads } from './put.ts';
import type { S3Spec } from './spec.ts';

/** Of our way to put what must not replace another (docs/format.md, "On S3"). */
const OWN_PREFIX = '.tidemark/';

/** @param patience for tests, which have none. */
export async function openS3(spec: S3Spec, patience?: Patience): Promise<S3Storage> {
  const { sdk, client } = await openClient(spec, patience);
  return new S3Storage(new Bucket(sdk, client, spec));
}

/** A bucket, or a folder of one, on any server that speaks S3. docs/guides/storage-s3.md says what that takes. */
export class S3Storage implements Storage {
  readonly place: string;
  readonly freezer: S3Freezer;
  readonly locks: S3Locks;
  readonly #bucket: Bucket;
  readonly #uploads: Uploads;
  readonly #absent: AbsentPuts;

  constructor(bucket: Bucket) {
    this.place = bucket.place;
    this.freezer = new S3Freezer(bucket);
    this.locks = new S3Locks(bucket, () => this.now());
    this.#bucket = bucket;
    this.#uploads = new Uploads(bucket);
    const claims = new Claims({
      place: bucket.place,
      has: async name => (await this.#head(name)) !== undefined,
      put: (name, data, options) => this.#uploads.put(name, data, options),
      list: prefix => Array.fromAsync(this.#listed(prefix)),
      remove: name => this.#delete(name),
    });
    this.#absent = new AbsentPuts(this, this.#uploads, claims);
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkName(name);
    if (options.ifAbsent) await this.#absent.put(name, data, options);
    else await this.#uploads.put(name, data, options);
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    checkName(name);
    if (range?.length === 0) return this.#emptyRange(name, range.offset);
    const { sdk } = this.#bucket;
    const doing = { what: `read ${name}`, permission: 's3:GetObject', object: name };
    const end = range ? range.offset + range.length : undefined;
    const command = new sdk.GetObjectCommand({
      ...this.#bucket.at(name),
      ...(range && { Range: `bytes=${range.offset}-${end! - 1}` }),
    });
    return this.#bucket.ask(doing, async client => {
      const answer = await client.send(command).catch(error => {
        if (error.name === 'InvalidRange' || error.$metadata?.httpStatusCode === 416)
          throw truncated(name, this.place, end ?? 0);
        throw error;
      });
      this.#bucket.genuine(answer.ETag !== undefined, doing);
      const body = answer.Body as Readable;
      const sizeBytes = answer.ContentLength;
      if (!range && sizeBytes !== undefined && sizeBytes > wholeBytesMax(name)) {
        body.destroy();
        checkWholeSize(name, this.place, sizeBytes);
      }
      if (range && sizeBytes !== range.length) {
        body.destroy();
        throw this.#otherRange(name, end!, answer.ContentRange);
      }
      return readBody(body, sizeBytes, wholeBytesMax(name));
    });
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    checkName(name);
    return this.#head(name);
  }

  async *list(
    prefix: string,
    passedOver: (entry: PassedOver) => void = () => {},
  ): AsyncIterable<StoredObject> {
    for await (const object of this.#listed(prefix)) {
      const { name } = object;
      if (isObjectName(name)) yield object;
      else if (!name.startsWith(OWN_PREFIX)) passedOver({ name, what: OTHER_NAME });
    }
  }

  async remove(name: string): Promise<void> {
    checkName(name);
    await this.locks.refuseLocked(name);
    await this.#delete(name);
  }

  async now(): Promise<Date> {
    const { date } = await this.#headBucket('read the clock');
    return date;
  }

  async region(): Promise<string | undefined> {
    const { region } = await this.#headBucket('ask for the region');
    return region ?? this.#locationConstraint();
  }

  async close(): Promise<void> {
    this.#bucket.close();
  }

  /** No request can ask for nothing, so that the object is looked at instead. */
  async #emptyRange(name: string, offset: number): Promise<Buffer> {
    const found = await this.#head(name);
    if (!found) throw missing(name, this.place);
    if (offset > found.sizeBytes) throw truncated(name, this.place, offset, found.sizeBytes);
    return Buffer.alloc(0);
  }

  /** What an answer of another length means, by the header that says which part of how many bytes it is. */
  #otherRange(name: string, end: number, contentRange: string | undefined): TidemarkError {
    const sizeBytes = Number(/\/(\d+)$/.exec(contentRange ?? '')?.[1]);
    if (sizeBytes < end) return truncated(name, this.place, end, sizeBytes);
    const what = `can't read a part of ${name} in ${this.place}: the server gives ${contentRange ?? 'the whole object'}`;
    return new TidemarkError(
      'STORAGE_UNSUPPORTED',
      what,
      'tidemark needs a server that serves ranges of objects',
    );
  }

  async #head(name: string): Promise<StoredObject | undefined> {
    try {
      const { ContentLength, LastModified } = await this.#bucket.head(name);
      return { name, sizeBytes: ContentLength, modified: LastModified };
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'OBJECT_MISSING') return undefined;
      throw error;
    }
  }

  /** Everything under the prefix, what is no object of ours among it. */
  async *#listed(prefix: string): AsyncIterable<StoredObject> {
    const { sdk, spec } = this.#bucket;
    const doing = { what: `list ${prefix || 'the objects'}`, permission: 's3:ListBucket' };
    const root = this.#bucket.keyOf('');
    let ContinuationToken: string | undefined;
    do {
      const command = new sdk.ListObjectsV2Command({
        Bucket: spec.bucket,
        Prefix: root + prefix,
        ContinuationToken,
        EncodingType: 'url', // keys of others may hold what XML can't
      });
      // A page that fails is asked for again by itself: to begin a list of millions anew would take its names in memory.
      const page: ListObjectsV2CommandOutput = await repeated(
        () => this.#bucket.ask(doing, client => client.send(command)),
        ContinuationToken === undefined ? { attempts: 1 } : {},
      );
      this.#bucket.genuine(page.IsTruncated !== undefined || page.Name !== undefined, doing);
      const decode = page.EncodingType === 'url' ? decodeKey : (key: string) => key;
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = decode(Key!).slice(root.length);
        yield { name, sizeBytes: Size!, modified: LastModified! };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async #delete(name: string): Promise<void> {
    const { sdk } = this.#bucket;
    const doing = { what: `remove ${name}`, permission: 's3:DeleteObject' };
    await this.#bucket.ask(doing, client => client.send(new sdk.DeleteObjectCommand(this.#bucket.at(name))));
  }

  async #headBucket(what: string): Promise<{ date: Date; region: string | undefined }> {
    const { sdk, spec } = this.#bucket;
    const command = new sdk.HeadBucketCommand({ Bucket: spec.bucket });
    let date = '';
    command.middlewareStack.add(
      next => async args => {
        const result = await next(args);
        date = (result.response as { headers: Record<string, string> }).headers.date ?? '';
        return result;
      },
      { step: 'deserialize', name: 'readDate', priority: 'low' },
    );
    const doing = { what, permission: 's3:ListBucket' };
    const { BucketRegion } = await this.#bucket.ask(
      doing,
      client => client.send(command),
      client => client.send(new sdk.ListObjectsV2Command({ Bucket: spec.bucket, MaxKeys: 1 })),
    );
    this.#bucket.genuine(!Number.isNaN(Date.parse(date)), doing);
    return { date: new Date(date), region: BucketRegion };
  }

  async #locationConstraint(): Promise<string | undefined> {
    const { sdk, spec } = this.#bucket;
    const doing = { what: 'ask for the region', permission: 's3:GetBucketLocation' };
    const { LocationConstraint } = await this.#bucket.ask(doing, client =>
      client.send(new sdk.GetBucketLocationCommand({ Bucket: spec.bucket })),
    );
    if (LocationConstraint === 'EU') return 'eu-west-1';
    // AWS leaves out its first region; elsewhere nothing means nothing.
    return LocationConstraint || (spec.endpoint === undefined ? 'us-east-1' : undefined);
  }
}

/** A key of others that is no text stays as it is: it is no object's name. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}
