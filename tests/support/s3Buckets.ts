import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { parseStorage } from '../../src/storage/address.ts';
import type { StorageSettings } from '../../src/storage/kind.ts';
import type { S3Spec } from '../../src/storage/s3/spec.ts';
import { radosgw, type S3User } from './radosgw.ts';

/** What a strategy says of a bucket on the test server. */
export interface Written extends StorageSettings {
  /** Absent: the test server itself. */
  endpoint?: string;
  user?: S3User;
  /** More of the address's query: `&part_size=5MiB`. */
  query?: string;
}

/** As the strategy would: from an address and what stands beside it. */
export async function specOf(
  place: string,
  { endpoint, user, query, ...settings }: Written = {},
): Promise<S3Spec> {
  const server = await radosgw();
  const { accessKeyId, secretAccessKey } = user ?? server.user;
  const address = `s3://${place}?endpoint=${endpoint ?? server.endpoint}${query ?? ''}`;
  const credentials = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  return parseStorage(address, { credentials, ...settings }) as S3Spec;
}

/** A client that is none of ours, to look at what ours did. */
export async function stockClient(): Promise<S3Client> {
  const { endpoint, user } = await radosgw();
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: user,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
}

export async function makeBucket(Bucket: string, { locks = false } = {}): Promise<void> {
  const client = await stockClient();
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: locks }));
  client.destroy();
}
