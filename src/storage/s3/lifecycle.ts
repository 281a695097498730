import { shellCommand } from '../../base/shell.ts';
import {
  folderOf,
  type Lifecycle,
  type LifecycleWishes,
  MOVED_FOLDER,
  OLD_VERSION_DAYS,
  replacesAll,
  UNFINISHED_DAYS,
} from '../lifecycle.ts';
import type { S3Spec } from './spec.ts';

/** AWS takes objects into these only after 30 days: docs.aws.amazon.com, "Constraints and considerations for transitions". */
const INFREQUENT_ACCESS = { classes: ['STANDARD_IA', 'ONEZONE_IA'], afterDays: 30 };

/**
 * The form of `put-bucket-lifecycle-configuration`:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html.
 */
export function s3Lifecycle(spec: S3Spec, { repository, move }: LifecycleWishes): Lifecycle {
  const { bucket, prefix, endpoint, profile } = spec;
  const folder = folderOf(prefix);
  const rules: object[] = [
    {
      ID: `tidemark ${repository}: unfinished uploads`,
      Status: 'Enabled',
      Filter: { Prefix: folder },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: UNFINISHED_DAYS },
    },
    {
      ID: `tidemark ${repository}: old versions`,
      Status: 'Enabled',
      Filter: { Prefix: folder },
      NoncurrentVersionExpiration: { NoncurrentDays: OLD_VERSION_DAYS },
      Expiration: { ExpiredObjectDeleteMarker: true },
    },
  ];
  if (move) {
    const { classes, afterDays } = INFREQUENT_ACCESS;
    const days = classes.includes(move.storageClass) ? Math.max(move.afterDays, afterDays) : move.afterDays;
    rules.push({
      ID: `tidemark ${repository}: class of packs`,
      Status: 'Enabled',
      Filter: { Prefix: folder + MOVED_FOLDER },
      Transitions: [{ Days: days, StorageClass: move.storageClass }],
    });
  }
  const words = ['aws', 's3api', 'put-bucket-lifecycle-configuration', '--bucket', bucket];
  if (profile !== undefined) words.push('--profile', profile);
  if (endpoint !== undefined) words.push('--endpoint-url', endpoint);
  return {
    document: { Rules: rules },
    apply: shellCommand([...words, '--lifecycle-configuration', 'file://lifecycle.json']),
    notes: [
      replacesAll('bucket'),
      'old versions are only in a bucket that keeps versions, as one with object lock does; a locked one stays until its lock ends',
      ...(endpoint === undefined
        ? []
        : [`${new URL(endpoint).host} may not know every rule; it refuses what it does not know`]),
    ],
  };
}
