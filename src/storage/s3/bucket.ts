import type { Readable } from 'node:stream';
import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { TidemarkError } from '../../base/errors.ts';
import { missing } from '../object.ts';
import type { S3Sdk } from './client.ts';
import type { S3Error } from './error.ts';
import { type Doing, isUnexplained, s3Failure } from './failure.ts';
import { type S3Spec, s3Location } from './spec.ts';

/** What everything that asks an S3 server shares: where the objects are, and errors in our words. */
export class Bucket {
  readonly sdk: S3Sdk;
  readonly spec: S3Spec;
  readonly place: string;
  readonly #client: S3Client;

  constructor(sdk: S3Sdk, client: S3Client, spec: S3Spec) {
    this.sdk = sdk;
    this.spec = spec;
    this.place = s3Location(spec);
    this.#client = client;
  }

  /** Which object a request is about. */
  at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.spec.bucket, Key: this.keyOf(name) };
  }

  keyOf(name: string): string {
    return this.spec.prefix === '' ? name : `${this.spec.prefix}/${name}`;
  }

  /**
   * Makes requests; what they throw becomes a TidemarkError.
   *
   * @param why asked where an answer has no body that would say what is wrong, as with HEAD: a request that has one.
   */
  async ask<T>(
    doing: Doing,
    requests: (client: S3Client) => Promise<T>,
    why?: (client: S3Client) => Promise<unknown>,
  ): Promise<T> {
    try {
      return await requests(this.#client);
    } catch (error) {
      throw s3Failure(await this.#explained(error, doing, why), doing, this);
    }
  }

  /** @throws TidemarkError OBJECT_MISSING */
  async head(name: string): Promise<HeadObjectCommandOutput & { ContentLength: number; LastModified: Date }> {
    const at = this.at(name);
    const doing = { what: `look at ${name}`, permission: 's3:ListBucket and s3:GetObject', object: name };
    const answer = await this.ask(
      doing,
      client => client.send(new this.sdk.HeadObjectCommand(at)),
      async client => {
        const { Body } = await client.send(new this.sdk.GetObjectCommand({ ...at, Range: 'bytes=0-0' }));
        (Body as Readable).destroy();
      },
    );
    const { ContentLength, LastModified } = answer;
    this.genuine(ContentLength !== undefined && LastModified !== undefined, doing);
    return { ...answer, ContentLength: ContentLength!, LastModified: LastModified! };
  }

  /**
   * The page of a web server, or of whoever stands between, can look like an answer in which there is just nothing.
   *
   * @param marked whether the answer has what every answer of S3 has.
   * @throws TidemarkError STORAGE_NOT_S3
   */
  genuine(marked: unknown, { what }: Doing): void {
    if (marked) return;
    throw new TidemarkError(
      'STORAGE_NOT_S3',
      `can't ${what} in ${this.place}: what answers is no S3 server`,
      'look at endpoint= in the address, and at what stands between',
    );
  }

  async #explained(
    error: unknown,
    { object }: Doing,
    why?: (client: S3Client) => Promise<unknown>,
  ): Promise<unknown> {
    if (!why || !isUnexplained(error)) return error;
    try {
      await why(this.#client);
    } catch (explained) {
      return explained;
    }
    // Put by somebody between the two requests: it was not there when it was looked for.
    const gone = object !== undefined && (error as S3Error).$metadata?.httpStatusCode === 404;
    return gone ? missing(object, this.place, error) : error;
  }

  close(): void {
    this.#client.destroy();
  }
}
