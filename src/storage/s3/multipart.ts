import type { CompletedPart } from '@aws-sdk/client-s3';
import { repeated } from '../wrap/repeat.ts';
import { type Attributes, writing } from './attributes.ts';
import { outgoingBody, signBody, sizeOf, sliceOf } from './body.ts';
import type { Bucket } from './bucket.ts';

/** Of one object, on their way at once. */
const PARTS_AT_ONCE = 4;
/** What S3 allows: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. */
const MOST_PARTS = 10_000;
/** A part is tried this often before the object as a whole fails, and is begun again from outside. */
const PART_ATTEMPTS = 4;
const ABORT_ATTEMPTS = 3;

export interface PartsOptions {
  attributes: Attributes;
  md5: boolean;
}

/**
 * Uploads an object in parts, some at a time; each is repeated on its own. The object is there when the last request
 * resolves; if anything fails, the upload is aborted, and its parts are gone.
 */
export async function putInParts(
  bucket: Bucket,
  name: string,
  data: readonly Uint8Array[],
  options: PartsOptions,
): Promise<void> {
  const upload = await Upload.begin(bucket, name, options);
  try {
    await upload.complete(await upload.sendAll(data));
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

class Upload {
  readonly #bucket: Bucket;
  readonly #name: string;
  readonly #id: string;
  readonly #options: PartsOptions;

  private constructor(bucket: Bucket, name: string, id: string, options: PartsOptions) {
    this.#bucket = bucket;
    this.#name = name;
    this.#id = id;
    this.#options = options;
  }

  static async begin(bucket: Bucket, name: string, options: PartsOptions): Promise<Upload> {
    const { attributes } = options;
    const command = new bucket.sdk.CreateMultipartUploadCommand({ ...bucket.at(name), ...attributes });
    const doing = writing(name, attributes);
    const { UploadId } = await bucket.ask(doing, client => client.send(command));
    bucket.genuine(UploadId, doing);
    return new Upload(bucket, name, UploadId!, options);
  }

  /** Resolves or rejects when no part is on its way any more. */
  async sendAll(data: readonly Uint8Array[]): Promise<CompletedPart[]> {
    const sizeBytes = sizeOf(data);
    const partBytes = Math.max(this.#bucket.spec.partSizeBytes, Math.ceil(sizeBytes / MOST_PARTS));
    const parts: CompletedPart[] = new Array(Math.ceil(sizeBytes / partBytes));
    const failure = new AbortController();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < parts.length; index = next++) {
        const slice = sliceOf(data, index * partBytes, partBytes);
        parts[index] = await this.#send(index + 1, slice, failure.signal);
      }
    };
    const workers = Array.from({ length: PARTS_AT_ONCE }, () =>
      work().catch(error => {
        // The first one says what is wrong; the others end because of it.
        if (!failure.signal.aborted) failure.abort(error);
      }),
    );
    await Promise.all(workers);
    failure.signal.throwIfAborted();
    return parts;
  }

  #send(number: number, data: readonly Uint8Array[], signal: AbortSignal): Promise<CompletedPart> {
    const { sdk } = this.#bucket;
    const body = outgoingBody(data);
    const send = async (): Promise<CompletedPart> => {
      const command = new sdk.UploadPartCommand({
        ...this.#place(),
        PartNumber: number,
        Body: body.open(),
        ContentLength: body.sizeBytes,
        ContentMD5: this.#options.md5 ? body.md5() : undefined,
      });
      const { ETag } = await this.#bucket.ask(this.#writing(), client =>
        client.send(signBody(command, body), { abortSignal: signal }),
      );
      this.#bucket.genuine(ETag, this.#writing());
      return { ETag, PartNumber: number };
    };
    return repeated(send, { attempts: PART_ATTEMPTS, signal });
  }

  async complete(Parts: CompletedPart[]): Promise<void> {
    const { sdk } = this.#bucket;
    const command = new sdk.CompleteMultipartUploadCommand({ ...this.#place(), MultipartUpload: { Parts } });
    const { ETag } = await this.#bucket.ask(this.#writing(), client => client.send(command));
    this.#bucket.genuine(ETag !== undefined, this.#writing()); // Ceph sends an empty one
  }

  /** Never fails: what it is called for has failed already. A lifecycle rule removes what it leaves (the guide has one). */
  async abort(): Promise<void> {
    const { sdk } = this.#bucket;
    const doing = { what: `abort the upload of ${this.#name}`, permission: 's3:AbortMultipartUpload' };
    const abort = () =>
      this.#bucket.ask(doing, client => client.send(new sdk.AbortMultipartUploadCommand(this.#place())));
    await repeated(abort, { attempts: ABORT_ATTEMPTS }).catch(() => {});
  }

  #writing() {
    return writing(this.#name, this.#options.attributes);
  }

  #place() {
    return { ...this.#bucket.at(this.#name), UploadId: this.#id };
  }
}
