import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { PutOptions } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import type { Doing } from './failure.ts';

/** What an object gets besides its bytes, in words that PutObject and CreateMultipartUpload share. */
export type Attributes = Pick<
  PutObjectCommandInput,
  'StorageClass' | 'ServerSideEncryption' | 'SSEKMSKeyId' | 'ObjectLockMode' | 'ObjectLockRetainUntilDate'
>;

/** For messages. */
export function writing(name: string, { StorageClass, ObjectLockMode }: Attributes): Doing {
  const permission = ObjectLockMode ? 's3:PutObject and s3:PutObjectRetention' : 's3:PutObject';
  return {
    what: `write ${name}`,
    permission,
    storageClass: StorageClass,
    lock: ObjectLockMode !== undefined,
  };
}

export function attributesOf({ spec }: Bucket, { storageClass, lock }: PutOptions): Attributes {
  const attributes: Attributes = {};
  if (storageClass !== undefined) attributes.StorageClass = storageClass as Attributes['StorageClass'];
  if (spec.encryption?.mode === 'provider') attributes.ServerSideEncryption = 'AES256';
  if (spec.encryption?.mode === 'kms') {
    attributes.ServerSideEncryption = 'aws:kms';
    attributes.SSEKMSKeyId = spec.encryption.keyId;
  }
  if (lock) {
    attributes.ObjectLockMode = lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
    attributes.ObjectLockRetainUntilDate = lock.until;
  }
  return attributes;
}
