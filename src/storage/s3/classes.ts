import type { StorageClass } from '../kind.ts';

/**
 * Storage classes of S3, by the names that requests use. Minimum days: https://aws.amazon.com/s3/storage-classes/ and
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html.
 */
export const S3_CLASSES: Readonly<Record<string, StorageClass>> = {
  STANDARD: { frozen: false, minimumDays: 0 },
  STANDARD_IA: { frozen: false, minimumDays: 30 },
  ONEZONE_IA: { frozen: false, minimumDays: 30 },
  INTELLIGENT_TIERING: { frozen: false, minimumDays: 0 },
  GLACIER_IR: { frozen: false, minimumDays: 90 },
  GLACIER: { frozen: true, minimumDays: 90 },
  DEEP_ARCHIVE: { frozen: true, minimumDays: 180 },
};
