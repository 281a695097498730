import type { PutOptions } from '../storage.ts';
import { type Attributes, attributesOf, writing } from './attributes.ts';
import { outgoingBody, signBody, sizeOf } from './body.ts';
import type { Bucket } from './bucket.ts';
import { Confirmations } from './confirm.ts';
import { putInParts } from './multipart.ts';

/** What S3 takes in one request: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. */
const LARGEST_PUT_BYTES = 5 * 2 ** 30;

/** Sends objects: whole ones, and large ones in parts. */
export class Uploads {
  readonly #bucket: Bucket;
  readonly #confirmations: Confirmations;
  /** A bucket that locks by default refuses requests without MD5; that it does shows with the first one. */
  #needsMd5 = false;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
    this.#confirmations = new Confirmations(bucket);
  }

  async put(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { partSizeBytes } = this.#bucket.spec;
    const attributes = attributesOf(this.#bucket, options);
    // Ceph forgets the lock of an upload in parts.
    const wholeBytes = options.lock ? LARGEST_PUT_BYTES : 2 * partSizeBytes;
    if (sizeOf(data) <= wholeBytes) await this.#putWhole(name, data, attributes);
    else await this.#withMd5(attributes, md5 => putInParts(this.#bucket, name, data, { attributes, md5 }));
    await this.#confirmations.check(name, attributes);
  }

  /** @throws TidemarkError STORAGE_PRECONDITION where there is an object, if the server looks at the condition at all. */
  async putIfNoneMatch(name: string, data: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const attributes = attributesOf(this.#bucket, options);
    await this.#putWhole(name, data, { ...attributes, IfNoneMatch: '*' });
    await this.#confirmations.check(name, attributes);
  }

  async #putWhole(
    name: string,
    data: readonly Uint8Array[],
    more: Attributes & { IfNoneMatch?: '*' },
  ): Promise<void> {
    const { sdk } = this.#bucket;
    const body = outgoingBody(data);
    const doing = writing(name, more);
    await this.#withMd5(more, async md5 => {
      const command = new sdk.PutObjectCommand({
        ...this.#bucket.at(name),
        ...more,
        Body: body.open(),
        ContentLength: body.sizeBytes,
        ContentMD5: md5 ? body.md5() : undefined,
      });
      const { ETag } = await this.#bucket.ask(doing, client => client.send(signBody(command, body)));
      this.#bucket.genuine(ETag, doing);
    });
  }

  async #withMd5(attributes: Attributes, put: (md5: boolean) => Promise<unknown>): Promise<void> {
    const md5 = this.#needsMd5 || attributes.ObjectLockMode !== undefined;
    try {
      await put(md5);
    } catch (error) {
      if (md5 || !asksForMd5(error)) throw error;
      this.#needsMd5 = true;
      await put(true);
    }
  }
}

function asksForMd5(error: unknown): boolean {
  return error instanceof Error && /content-md5|x-amz-checksum/i.test(error.message);
}
